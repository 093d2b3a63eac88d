//! How often a thread allocates: this program's `malloc` counts, and every library that it loads calls it.

use std::cell::Cell;
use std::ffi::c_void;

thread_local!(static COUNT: Cell<u64> = const { Cell::new(0) });

/// The allocations of this thread so far.
pub fn so_far() -> u64 {
    COUNT.get()
}

// glibc's own, by the names that are for programs which replace them.
unsafe extern "C" {
    fn __libc_malloc(size: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    fn __libc_realloc(memory: *mut c_void, size: usize) -> *mut c_void;
}

fn count() {
    COUNT.set(COUNT.get() + 1);
}

// SAFETY: each does what glibc's does, and counts in memory that is there before any allocation.
#[unsafe(no_mangle)]
unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
    count();
    unsafe { __libc_malloc(size) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn calloc(number: usize, size: usize) -> *mut c_void {
    count();
    unsafe { __libc_calloc(number, size) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(memory: *mut c_void, size: usize) -> *mut c_void {
    count();
    unsafe { __libc_realloc(memory, size) }
}
