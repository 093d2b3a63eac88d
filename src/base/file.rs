//! Reads the small files that a user names: keys, certificates, the configuration.
//!
//! A name may lead to what never ends or never answers. So only a regular file is read, up to a bound, and on a
//! thread of its own, since the standard library cannot call a read off that a network file system holds up.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::base::interrupt::{Interrupt, SLICE, Uninterrupted, interruptible, may_wait};

/// The byte order mark in UTF-8.
pub const MARK: &[u8] = b"\xef\xbb\xbf";

/// How long a file that is read once may take.
const ONCE: Duration = Duration::from_secs(10);

/// Reads the regular file at `path`, of at most `most` bytes. It gives up when the request of this thread is interrupted
/// or its time is over.
///
/// # Errors
/// Why it cannot be read, in words for the user.
pub fn read(path: &Path, most: usize) -> Result<Zeroizing<Vec<u8>>, String> {
    let path = PathBuf::from(path);
    within_time(move || read_now(&path, most))
}

/// As [`read`], for a file that the process reads once, whichever statement needs it first: an interrupt of that
/// statement does not end the reading, only `ONCE` does.
///
/// # Errors
/// As [`read`].
pub fn read_once(path: &Path, most: usize) -> Result<Zeroizing<Vec<u8>>, String> {
    let path = PathBuf::from(path);
    once(move || read_now(&path, most))
}

/// Runs `work`, which reads files that others name, as [`read_once`] reads one.
///
/// # Errors
/// As of `work`, or that it takes too long.
pub fn once<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let never: Arc<dyn Interrupt> = Arc::new(Uninterrupted);
    let _deadline = interruptible(&never, Instant::now() + ONCE);
    within_time(work)
}

/// Runs `work` on a thread. An interrupt or the deadline leaves the thread behind, to end by itself.
fn within_time<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().name("rembed-file".into());
    thread
        .spawn(move || {
            // Nobody may be waiting any more.
            let _ = sender.send(work());
        })
        .map_err(|e| e.to_string())?;
    loop {
        match receiver.recv_timeout(SLICE) {
            Ok(result) => return result,
            Err(mpsc::RecvTimeoutError::Timeout) => may_wait().map_err(|stop| stop.to_string())?,
            Err(mpsc::RecvTimeoutError::Disconnected) => return Err("its reader has failed".into()),
        }
    }
}

fn read_now(path: &Path, most: usize) -> Result<Zeroizing<Vec<u8>>, String> {
    // Checked before the file is opened, since opening a device may set something off; and checked again after, since
    // the name may lead to another file by then.
    check(&std::fs::metadata(path).map_err(|e| e.to_string())?, most)?;
    let file = open(path).map_err(|e| e.to_string())?;
    check(&file.metadata().map_err(|e| e.to_string())?, most)?;
    // Room for all: growing would leave copies behind that nobody wipes.
    let mut content = Zeroizing::new(Vec::with_capacity(most + 1));
    file.take(most as u64 + 1).read_to_end(&mut content).map_err(|e| e.to_string())?;
    if content.len() > most {
        return Err(too_large(most));
    }
    // Windows editors begin a text with the byte order mark.
    if content.starts_with(MARK) {
        content.drain(..MARK.len());
    }
    Ok(content)
}

#[cfg(unix)]
fn open(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    // If a FIFO has taken the file's place meanwhile, open() must not wait for its writer.
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).open(path)
}

fn check(file: &Metadata, most: usize) -> Result<(), String> {
    if file.is_dir() {
        return Err("it is a directory, not a file".into());
    }
    if !file.is_file() {
        return Err("it is no regular file but a pipe, a socket or a device".into());
    }
    if file.len() > most as u64 {
        return Err(too_large(most));
    }
    Ok(())
}

fn too_large(most: usize) -> String {
    format!("it is larger than {} KiB", most >> 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("rembed-file-{name}-{}", std::process::id()))
    }

    #[test]
    fn a_file_is_read_up_to_its_bound() {
        let path = place("bound");
        for (size, fits) in [(0, true), (1, true), (2048, true), (2049, false), (100_000, false)] {
            std::fs::write(&path, vec![b'x'; size]).unwrap();
            match read(&path, 2048) {
                Ok(content) => assert!(fits && content.len() == size, "{size}"),
                Err(why) => assert!(!fits && why.contains("larger than 2 KiB"), "{size}: {why}"),
            }
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_text() {
        let path = place("mark");
        for (written, text) in [("\u{feff}sk-1", "sk-1"), ("\u{feff}", ""), ("a\u{feff}", "a\u{feff}")] {
            std::fs::write(&path, written).unwrap();
            assert_eq!(**read(&path, 100).unwrap(), *text.as_bytes(), "{written:?}");
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    #[cfg(unix)]
    fn what_is_no_file_is_refused_at_once() {
        let start = Instant::now();
        let fifo = place("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let socket = place("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for (path, why) in [
            (Path::new("/dev/zero"), "no regular file"),
            (Path::new("/dev/null"), "no regular file"),
            (&fifo, "no regular file"),
            (&socket, "no regular file"),
            (Path::new("/"), "directory"),
            (Path::new("/no/such/file"), "No such file"),
        ] {
            let e = read(path, 1000).unwrap_err();
            assert!(e.contains(why), "{}: {e}", path.display());
        }
        std::fs::remove_file(fifo).unwrap();
        std::fs::remove_file(socket).unwrap();
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    /// As a network file system whose server is gone holds a read up.
    #[test]
    fn a_read_that_does_not_end_is_left_behind() {
        let start = Instant::now();
        let never: Arc<dyn Interrupt> = Arc::new(Uninterrupted);
        let _deadline = interruptible(&never, start + Duration::from_millis(200));
        let e = within_time(|| {
            std::thread::sleep(Duration::from_secs(20));
            Ok(())
        });
        assert!(e.unwrap_err().contains("did not come in time") && start.elapsed() < Duration::from_secs(5));
    }
}
