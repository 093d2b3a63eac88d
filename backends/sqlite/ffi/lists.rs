//! The functions for `column IN (…)` in a virtual table, which SQLite has since 3.38.0. They are taken from the table that SQLite
//! passes to an extension, also where it is linked: a name that an older SQLite lacks would not link.

use std::ffi::c_int;

use super::{sqlite3_index_info, sqlite3_value};

const SINCE: c_int = 3_038_000;

type IsIn = unsafe extern "C" fn(*mut sqlite3_index_info, c_int, c_int) -> c_int;
type Step = unsafe extern "C" fn(*mut sqlite3_value, *mut *mut sqlite3_value) -> c_int;

/// The three functions.
pub struct Lists {
    pub is_in: IsIn,
    pub first: Step,
    pub next: Step,
}

/// The places of the functions in SQLite's table.
#[cfg(any(test, not(feature = "sqlite")))]
mod slot {
    pub const IS_IN: usize = 259;
    pub const FIRST: usize = 260;
    pub const NEXT: usize = 261;
    /// Of `sqlite3_txn_state`, a few before them.
    pub const TXN_STATE: usize = 252;
}

cfg_if::cfg_if! {
    if #[cfg(feature = "sqlite")] {
        /// The functions, where SQLite has them.
        pub fn get() -> Option<Lists> {
            // SAFETY: the table is SQLite's; its slots are read only where it is known to be long enough.
            unsafe {
                if super::libversion_number() < SINCE {
                    return None;
                }
                let table = super::table::get();
                Some(Lists {
                    is_in: (*table).vtab_in?,
                    first: (*table).vtab_in_first?,
                    next: (*table).vtab_in_next?,
                })
            }
        }
    } else {
        use std::ffi::{c_char, c_void};
        use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

        use super::linked;

        static TABLE: AtomicPtr<*const c_void> = AtomicPtr::new(std::ptr::null_mut());
        static ASKED: AtomicBool = AtomicBool::new(false);

        /// The functions, where SQLite has them.
        pub fn get() -> Option<Lists> {
            // SAFETY: it takes nothing.
            if unsafe { super::libversion_number() } < SINCE {
                return None;
            }
            // Whoever comes meanwhile does without: an extension of somebody else may run a statement while it is asked.
            if !ASKED.swap(true, Ordering::AcqRel) {
                ask();
            }
            let table = TABLE.load(Ordering::Acquire);
            if table.is_null() {
                return None;
            }
            // SAFETY: ask() found SQLite's table, which has these functions since SINCE and which SQLite never changes.
            unsafe {
                Some(Lists {
                    is_in: std::mem::transmute::<*const c_void, IsIn>(*table.add(slot::IS_IN)),
                    first: std::mem::transmute::<*const c_void, Step>(*table.add(slot::FIRST)),
                    next: std::mem::transmute::<*const c_void, Step>(*table.add(slot::NEXT)),
                })
            }
        }

        /// Opens a database in memory: SQLite then calls extensions that are registered, and shows them the table.
        #[allow(clippy::missing_transmute_annotations)] // the crates declare the entry point each in its way
        fn ask() {
            // SAFETY: seen() has the signature that SQLite calls extensions by, whatever the declaration says, and is
            // there as long as the library; the connection is closed.
            unsafe {
                let entry = seen as *const c_void;
                if linked::sqlite3_auto_extension(Some(std::mem::transmute(entry))) == super::code::OK {
                    let mut db = std::ptr::null_mut();
                    super::open_v2(c":memory:".as_ptr(), &mut db, super::code::OPEN_READWRITE, std::ptr::null());
                    super::close(db);
                }
                linked::sqlite3_cancel_auto_extension(Some(std::mem::transmute(entry)));
            }
        }

        unsafe extern "C" fn seen(_: *mut super::sqlite3, _: *mut *mut c_char, table: *const *const c_void) -> c_int {
            // SAFETY: NULL, or SQLite's table, which is longer than that in every version from SINCE on.
            unsafe {
                // Another order of the functions would be another SQLite than is known.
                if !table.is_null() && *table.add(slot::TXN_STATE) == linked::sqlite3_txn_state as *const c_void {
                    TABLE.store(table.cast_mut(), Ordering::Release);
                }
            }
            super::code::OK
        }
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::slot;
    use crate::sqlite::ffi::sqlite3_api_routines as Table;
    use std::mem::{offset_of, size_of};

    #[test]
    fn the_functions_stand_where_the_declarations_have_them() {
        let pointer = size_of::<usize>();
        assert_eq!(offset_of!(Table, vtab_in), slot::IS_IN * pointer);
        assert_eq!(offset_of!(Table, vtab_in_first), slot::FIRST * pointer);
        assert_eq!(offset_of!(Table, vtab_in_next), slot::NEXT * pointer);
        assert_eq!(offset_of!(Table, txn_state), slot::TXN_STATE * pointer);
    }
}
