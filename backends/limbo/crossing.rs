//! The memory that one side allocates and the other frees: results, names and schemas go to the engine, arguments come
//! from it. Nothing else is in the engine's allocator.
//!
//! The engine's objects are laid out and freed as Rust's Box, boxed slice and CString are.

use std::alloc::{Layout, handle_alloc_error};
use std::ffi::{CStr, c_char};

use super::allocator;

/// `value`, as the engine frees a Box.
pub fn boxed<T>(value: T) -> *mut T {
    let layout = const {
        assert!(size_of::<T>() > 0);
        Layout::new::<T>()
    };
    let at = allocate(layout).cast::<T>();
    // SAFETY: fresh memory, of the layout of T.
    unsafe { at.write(value) };
    at
}

/// The bytes, as the engine frees a boxed slice. There is an allocation even for no bytes, since the engine frees it in
/// any case.
pub fn bytes(bytes: &[u8]) -> *mut u8 {
    let layout = bytes_layout(bytes.len().max(1));
    let at = allocate(layout);
    // SAFETY: fresh memory of at least that many bytes.
    unsafe { at.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    at
}

/// The text, as the engine frees a CString.
pub fn text(text: &CStr) -> *mut c_char {
    bytes(text.to_bytes_with_nul()).cast()
}

/// Frees a Box of the engine's, and answers what was in it.
///
/// # Safety
/// The engine has boxed it in its allocator, and nobody uses it any more.
pub unsafe fn unboxed<T>(at: *mut T) -> T {
    // SAFETY: the same contract. The value is moved out before.
    unsafe {
        let value = at.read();
        allocator::free(at.cast(), Layout::new::<T>());
        value
    }
}

/// Frees a boxed slice of the engine's. An empty one has no allocation.
///
/// # Safety
/// The engine has boxed it in its allocator with this length, and nobody uses it any more.
pub unsafe fn free_bytes(at: *mut u8, len: usize) {
    if len > 0 && !at.is_null() {
        // SAFETY: the same contract.
        unsafe { allocator::free(at, bytes_layout(len)) };
    }
}

fn allocate(layout: Layout) -> *mut u8 {
    // SAFETY: no layout here is of size 0.
    let at = unsafe { allocator::allocate(layout) };
    if at.is_null() {
        handle_alloc_error(layout);
    }
    at
}

fn bytes_layout(len: usize) -> Layout {
    // What is in memory is not longer than isize::MAX, so that the error does not happen.
    Layout::array::<u8>(len).unwrap_or_else(|_| std::process::abort())
}
