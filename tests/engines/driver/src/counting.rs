//! An allocator that counts, to see that a call leaves nothing behind.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};

/// Rust's memory of the process, by the system's allocator.
pub struct Counting;

static LIVE: AtomicIsize = AtomicIsize::new(0);

/// How many allocations are alive.
pub fn live() -> isize {
    LIVE.load(Ordering::Relaxed)
}

// SAFETY: all of it is the system's allocator; the count touches no memory of its.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(1, Ordering::Relaxed);
        // SAFETY: the caller's contract.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's contract.
        unsafe { System.realloc(memory, layout, size) }
    }
}
