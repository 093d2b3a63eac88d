//! State of the process that its children do not share.
//!
//! `fork()` copies a lock as it is: one that another thread held is held for ever in the child. So a child starts with
//! state of its own, and never waits for what its parent had. Nothing here waits either: threads that come first at
//! the same time make a value each, and one of them stays.

use std::ops::Deref;

use once_cell::race::OnceBox;

/// A value that is made when it is first used, in each process anew.
pub struct PerProcess<T> {
    make: fn(Option<&T>) -> T,
    first: OnceBox<Generation<T>>,
}

/// The value of one process, and where that of its child is.
struct Generation<T> {
    process: u32,
    value: T,
    child: OnceBox<Generation<T>>,
}

impl<T> PerProcess<T> {
    /// A value that `make` makes. In a child process, `make` is given the parent's value; it may try the locks in there,
    /// and must not wait for one.
    pub const fn new(make: fn(Option<&T>) -> T) -> PerProcess<T> {
        PerProcess { make, first: OnceBox::new() }
    }

    fn get(&self, process: u32) -> &T {
        let make = |parent| {
            let child = OnceBox::new();
            Box::new(Generation { process, value: (self.make)(parent), child })
        };
        let mut last = self.first.get_or_init(|| make(None));
        loop {
            // The last generation counts, not one with our process id: the system may give an id a second time, and
            // then an ancestor had it.
            while let Some(child) = last.child.get() {
                last = child;
            }
            if last.process == process {
                return &last.value;
            }
            last = last.child.get_or_init(|| make(Some(&last.value)));
        }
    }
}

impl<T> Deref for PerProcess<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.get(std::process::id())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_child_starts_anew_whoever_holds_the_parents_lock() {
        static STATE: PerProcess<Mutex<u32>> = PerProcess::new(|parent| {
            let inherited = parent.and_then(|parent| parent.try_lock().ok().map(|n| *n));
            Mutex::new(inherited.unwrap_or(100))
        });
        *STATE.get(1).lock().unwrap() += 1;
        assert_eq!(*STATE.get(1).lock().unwrap(), 101);
        assert_eq!(*STATE.get(2).lock().unwrap(), 101);
        let held = STATE.get(2).lock().unwrap();
        assert_eq!(*STATE.get(1).lock().unwrap(), 100, "a process id that came again");
        drop(held);
    }
}
