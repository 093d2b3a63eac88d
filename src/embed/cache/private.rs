//! A folder and a database in it that nobody but their owner may enter, read or put a link in place of.
//!
//! What already stands there is refused unless it is ours. On Windows a folder has the rights of the one above it.

use std::path::{Path, PathBuf};

/// The files that SQLite keeps beside a database, by what is appended to its name.
#[cfg(unix)]
const SUFFIXES: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Makes the folder at `path`, or checks the one that is there. Returns its path without links.
///
/// # Errors
/// A folder that cannot be made, or is not for us alone and cannot be made so.
#[cfg(unix)]
pub fn folder(path: &Path, is_ours: impl Fn(&str) -> bool) -> Result<PathBuf, String> {
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};

    // Without a slash at its end, by which a link would be followed.
    let path: PathBuf = path.components().collect();
    let failed = |e: std::io::Error| format!("{}: {e}", path.display());
    if let Some(above) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(above).map_err(failed)?;
    }
    match std::fs::DirBuilder::new().mode(0o700).create(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(failed(e)),
        Err(_) => {}
        // Whatever the umask took away.
        Ok(()) => restrict(&path, 0o700)?,
    }
    let found = std::fs::symlink_metadata(&path).map_err(failed)?;
    let wrong = |why: &str| Err(format!("{} {why}", path.display()));
    if found.is_symlink() {
        return wrong("is a symbolic link: name the folder that it leads to");
    }
    if !found.is_dir() {
        return wrong("is no folder");
    }
    if found.uid() != me() {
        return wrong("belongs to another user: name a folder of your own, which may be one in it");
    }
    if found.mode() & 0o1000 != 0 {
        return wrong("is for all users to share (as /tmp is): name a folder in it");
    }
    if found.mode() & 0o077 != 0 {
        // A folder with other files in it is not made private: others may need those files.
        let mut names = std::fs::read_dir(&path).map_err(failed)?.flatten();
        if !names.all(|file| file.file_name().to_str().is_some_and(&is_ours)) {
            return wrong("is open to other users and holds other files: chmod it to 700, or name one in it");
        }
        restrict(&path, found.mode() & 0o700)?;
    }
    std::fs::canonicalize(&path).map_err(failed)
}

/// Makes the database at `path`, empty, or checks the one that is there with the files beside it.
///
/// # Errors
/// A file that cannot be made, or is not ours alone and cannot be made so.
#[cfg(unix)]
pub fn database(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};

    let failed = |e: std::io::Error| format!("{}: {e}", path.display());
    // SQLite gives the files beside a database the mode of the database. A file that exists is not opened: closing it
    // would release the locks that this process holds on it elsewhere.
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(failed(e)),
        Err(_) => {}
        Ok(_) => restrict(path, 0o600)?,
    }
    for suffix in SUFFIXES {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let file = PathBuf::from(name);
        let Ok(found) = std::fs::symlink_metadata(&file) else { continue };
        let wrong = |why: &str| Err(format!("{} {why}", file.display()));
        if found.is_symlink() {
            return wrong("is a symbolic link");
        }
        if !found.is_file() {
            return wrong("is no file");
        }
        if found.nlink() > 1 {
            return wrong("has another name (a hard link)");
        }
        if found.uid() != me() {
            return wrong("belongs to another user");
        }
        if found.mode() & 0o077 != 0 {
            restrict(&file, found.mode() & 0o600)?;
        }
    }
    Ok(())
}

#[cfg(unix)]
fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Sets the rights of `path`, and makes sure: some file systems take them and forget.
#[cfg(unix)]
fn restrict(path: &Path, mode: u32) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt as _;

    let failed = |e: std::io::Error| format!("{}: {e}", path.display());
    match std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)) {
        // The file is gone: another process was the last to close the database, and SQLite then removes it.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        done => done.map_err(failed)?,
    }
    match std::fs::metadata(path) {
        Ok(now) if now.permissions().mode() & 0o077 != 0 => {
            Err(format!("{} cannot be closed to other users there", path.display()))
        }
        _ => Ok(()),
    }
}

/// Makes the folder at `path`.
///
/// # Errors
/// A folder that cannot be made.
#[cfg(not(unix))]
pub fn folder(path: &Path, _: impl Fn(&str) -> bool) -> Result<PathBuf, String> {
    std::fs::create_dir_all(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(path.to_owned())
}

/// Leaves the database to SQLite.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn database(_: &Path) -> Result<(), String> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// An empty `/tmp` of a container, whose user is its owner, stays everybody's.
    #[test]
    fn a_folder_that_all_users_share_keeps_its_rights() {
        let path = std::env::temp_dir().join(format!("rembed-shared-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        for (mode, after) in [(0o1777, None), (0o777, Some(0o700))] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let made = folder(&path, |_| true);
            let now = std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
            assert_eq!(now, after.unwrap_or(mode));
            assert_eq!(made.is_ok(), after.is_some());
        }
        std::fs::remove_dir(path).unwrap();
    }
}
