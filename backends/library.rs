//! Where this library lies: the folder of the file that was loaded, or of the program that it is linked into.

use std::path::PathBuf;

/// The folder, if the system tells.
pub fn folder() -> Option<PathBuf> {
    let file = file()?.canonicalize().ok()?;
    Some(file.parent()?.to_owned())
}

#[cfg(unix)]
fn file() -> Option<PathBuf> {
    use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
    use std::os::unix::ffi::OsStrExt;

    #[repr(C)]
    struct Info {
        file: *const c_char,
        base: *mut c_void,
        symbol: *const c_char,
        address: *mut c_void,
    }
    unsafe extern "C" {
        fn dladdr(address: *const c_void, info: *mut Info) -> c_int;
    }

    let mut info = Info {
        file: std::ptr::null(),
        base: std::ptr::null_mut(),
        symbol: std::ptr::null(),
        address: std::ptr::null_mut(),
    };
    // SAFETY: the address is that of a function of this library, and the struct is what <dlfcn.h> declares.
    let found = unsafe { dladdr(folder as *const c_void, &mut info) };
    if found == 0 || info.file.is_null() {
        return None;
    }
    // SAFETY: the path is a C string that lives as long as the library is loaded.
    let path = unsafe { CStr::from_ptr(info.file) };
    Some(OsStr::from_bytes(path.to_bytes()).into())
}

#[cfg(windows)]
fn file() -> Option<PathBuf> {
    use std::ffi::{OsString, c_void};
    use std::os::windows::ffi::OsStringExt;

    const FROM_ADDRESS: u32 = 4;
    const UNCHANGED_REFCOUNT: u32 = 2;
    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn GetModuleHandleExW(flags: u32, address: *const c_void, module: *mut *mut c_void) -> i32;
        fn GetModuleFileNameW(module: *mut c_void, path: *mut u16, size: u32) -> u32;
    }

    let mut module = std::ptr::null_mut();
    let mut path = vec![0u16; 32768];
    // SAFETY: the address is that of a function of this library, and the buffer is as long as it says.
    let length = unsafe {
        if GetModuleHandleExW(FROM_ADDRESS | UNCHANGED_REFCOUNT, folder as *const c_void, &mut module) == 0 {
            return None;
        }
        GetModuleFileNameW(module, path.as_mut_ptr(), path.len() as u32)
    };
    (length > 0).then(|| OsString::from_wide(&path[..length as usize]).into())
}

#[cfg(not(any(unix, windows)))]
fn file() -> Option<PathBuf> {
    None
}
