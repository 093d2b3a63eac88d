//! Hosts of the families before 0.7, as their tables of routines look (run.sh has a real one).

use std::ffi::{CString, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};

use turso_host::library;

unsafe extern "C" {
    fn dlopen(path: *const i8, flags: i32) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const i8) -> *mut c_void;
}

static CALLED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn routine() -> i32 {
    CALLED.fetch_add(1, Ordering::Relaxed);
    0
}

/// context, scalar, aggregate, table, then the file systems: register_vfs, builtin_vfs, its count.
#[repr(C)]
struct Api([*const c_void; 7]);

#[test]
fn older_hosts_are_refused_without_a_call() {
    let path = CString::new(library().to_str().unwrap()).unwrap();
    // SAFETY: the path and the name are C strings, and the library has this entry point.
    let register: unsafe extern "C" fn(*const Api) -> i32 = unsafe {
        let library = dlopen(path.as_ptr(), 2);
        assert!(!library.is_null());
        std::mem::transmute(dlsym(library, c"register_extension".as_ptr()))
    };
    let routine = routine as *const c_void;
    let mut context = 0_u64;
    let api = Api([
        (&raw mut context).cast(),
        routine,
        routine,
        routine,
        routine,
        std::ptr::null(),
        std::ptr::null(),
    ]);
    // SAFETY: a table as those hosts pass it, and what the entry point must bear.
    let codes = unsafe { [register(&api), register(std::ptr::null())] };
    assert_eq!(codes, [1, 1]);
    assert_eq!(CALLED.load(Ordering::Relaxed), 0);
}
