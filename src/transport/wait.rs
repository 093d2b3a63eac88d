//! Waits for a socket, in slices: between two of them the statement may be interrupted, and time may be up.

use std::io::{self, ErrorKind};
use std::time::Instant;

use ureq::unversioned::transport::time;
use ureq::unversioned::transport::{ConnectionDetails, NextTimeout};
use ureq::{Error, Timeout};

use crate::base::interrupt::{Stop, may_wait};

/// Called before every read and write, not only after a wait: while a server sends byte after byte, no wait ever ends.
pub(super) fn check() -> Result<(), Error> {
    may_wait().map_err(|stop| match stop {
        // Not ErrorKind::Interrupted: readers take that as "try again".
        Stop::Interrupted => io::Error::other(stop).into(),
        Stop::Late => Error::Timeout(Timeout::Global),
    })
}

pub(super) fn is_timeout(e: &io::Error) -> bool {
    matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// After a slice of waiting: is it to go on?
pub(super) fn waited(start: Instant, timeout: NextTimeout) -> Result<(), Error> {
    check()?;
    match !timeout.after.is_not_happening() && start.elapsed() >= *timeout.after {
        true => Err(Error::Timeout(timeout.reason)),
        false => Ok(()),
    }
}

/// What is left of the time for connecting, of which each step takes its part.
pub(super) fn left(details: &ConnectionDetails) -> Result<NextTimeout, Error> {
    let mut timeout = details.timeout;
    if let (time::Duration::Exact(after), time::Instant::Exact(start)) = (timeout.after, details.now) {
        let left = after.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Err(Error::Timeout(timeout.reason));
        }
        timeout.after = time::Duration::Exact(left);
    }
    Ok(timeout)
}
