//! The allocator of the engine's host, for a library that is loaded: a copy of mimalloc of our own. Each copy frees memory
//! that the other has allocated.
//!
//! Only what crosses to the engine or from it (`crossing`) is in mimalloc. The rest of the library keeps to the
//! system's allocator, since our copy never unmaps anything: where no arena is used, mimalloc 2.2.3 gives back 0 bytes of
//! what it has from the system (`_mi_os_free_ex`).

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ffi::{c_int, c_long, c_void};
use std::sync::Once;

use mimalloc::MiMalloc;

unsafe extern "C" {
    fn mi_option_set(option: c_int, value: c_long);
    fn mi_usable_size(at: *const c_void) -> usize;
}
/// `mi_option_disallow_arena_alloc` of the mimalloc that Cargo.toml pins.
const DISALLOW_ARENA_ALLOC: c_int = 27;

/// Keeps our copy from taking memory from arenas. When the host has freed all of a block that our copy took, the host's
/// copy gives the block back: to the system, or to an arena of its own. A block from the system is safe there, one from
/// our arenas is not. To be called before the first allocation, which no constructor of the library makes.
pub fn keep_out_of_arenas() {
    static ONCE: Once = Once::new();
    // SAFETY: the function is that of the mimalloc we are linked with, and no other thread of ours runs yet.
    ONCE.call_once(|| unsafe { mi_option_set(DISALLOW_ARENA_ALLOC, 1) });
}

/// # Safety
/// `layout` is not of size 0.
pub unsafe fn allocate(layout: Layout) -> *mut u8 {
    keep_a_segment();
    // SAFETY: the same contract.
    unsafe { MiMalloc.alloc(layout) }
}

/// Keeps the first segment of this thread (32 MiB of addresses) from becoming empty, by a block that nobody frees: an
/// empty one is dropped, and stays mapped. When the thread ends, other threads take the segment over.
fn keep_a_segment() {
    thread_local!(static KEPT: Cell<bool> = const { Cell::new(false) });
    if !KEPT.replace(true) {
        // SAFETY: the layout is not of size 0.
        unsafe { MiMalloc.alloc(Layout::new::<u64>()) };
    }
}

/// # Safety
/// `at` is of one of the two copies, in this layout, and nobody uses it any more.
pub unsafe fn free(at: *mut u8, layout: Layout) {
    // SAFETY: the same contract.
    unsafe {
        // More than the layout has: the host may have shrunk it in place.
        give_back_pages(at, mi_usable_size(at.cast()));
        MiMalloc.dealloc(at, layout);
    }
}

/// Gives the system what a large block has in memory. Our copy knows no arena of the host's, so a whole segment of the
/// host's that it frees stays mapped for good; now with nothing in it.
///
/// # Safety
/// `len` bytes at `at` are a block that is about to be freed.
#[cfg(target_os = "linux")]
unsafe fn give_back_pages(at: *mut u8, len: usize) {
    unsafe extern "C" {
        fn madvise(at: *mut u8, len: usize, advice: c_int) -> c_int;
    }
    const MADV_DONTNEED: c_int = 4;
    /// No page of a system is larger than this.
    const PAGE: usize = 64 << 10;
    if len < 1 << 20 {
        return;
    }
    let before = at.addr().next_multiple_of(PAGE) - at.addr();
    let whole = (len - before) / PAGE * PAGE;
    // SAFETY: whole pages within the block, whose content nobody needs. They stay mapped, and read as zeros. A failure
    // leaves them as they are.
    unsafe { madvise(at.add(before), whole, MADV_DONTNEED) };
}

#[cfg(not(target_os = "linux"))]
unsafe fn give_back_pages(_: *mut u8, _: usize) {}
