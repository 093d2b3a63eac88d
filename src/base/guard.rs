//! A panic must not cross into C: every function that an engine calls runs in a guard.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `work`; a panic becomes the text of an error.
///
/// # Errors
/// The panic's text.
pub fn guard<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    // What the panic left half done belongs to the statement, and the statement ends with this error.
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| describe(&*panic))
}

fn describe(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    format!("rembed: internal error, please report it: {text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_text() {
        assert_eq!(guard(|| 1), Ok(1));
        let e = guard(|| panic!("n = {}", 2)).unwrap_err();
        assert!(e.ends_with("n = 2"), "{e}");
    }
}
