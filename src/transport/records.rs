//! Where TLS records begin and end. Half a record is hidden in rustls until its other half comes, so a connection that
//! stands within one has something left unread.

use ureq::Error;
use ureq::unversioned::transport::{Buffers, NextTimeout, Transport};

/// A connection below TLS.
#[derive(Debug)]
pub(super) struct Records<T> {
    inner: T,
    border: Border,
}

impl<T: Transport> Records<T> {
    /// Counts the records of `inner`, which TLS is about to wrap.
    pub(super) fn new(mut inner: T) -> Records<T> {
        let mut border = Border::default();
        border.pass(inner.buffers().input());
        Records { inner, border }
    }
}

impl<T: Transport> Transport for Records<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let before = self.inner.buffers().input().len();
        let more = self.inner.await_input(timeout)?;
        self.border.pass(&self.inner.buffers().input()[before..]);
        Ok(more)
    }

    fn is_open(&mut self) -> bool {
        self.border.is_reached() && self.inner.is_open()
    }
}

/// How far the bytes that came are from the end of a record (RFC 8446, 5.1).
#[derive(Debug, Default)]
struct Border {
    header: [u8; 5],
    header_bytes: usize,
    body_left: usize,
}

impl Border {
    fn pass(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.body_left > 0 {
                let n = self.body_left.min(bytes.len());
                self.body_left -= n;
                bytes = &bytes[n..];
                continue;
            }
            self.header[self.header_bytes] = *first;
            self.header_bytes += 1;
            bytes = rest;
            if self.header_bytes == self.header.len() {
                self.body_left = usize::from(u16::from_be_bytes([self.header[3], self.header[4]]));
                self.header_bytes = 0;
            }
        }
    }

    fn is_reached(&self) -> bool {
        self.header_bytes == 0 && self.body_left == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_border_is_between_records_and_nowhere_else() {
        // Records of 3, 0 and 300 bytes, in pieces of every size.
        let mut stream = vec![23, 3, 3, 0, 3, 1, 2, 3, 22, 3, 3, 0, 0, 23, 3, 3, 1, 44];
        stream.extend([7; 300]);
        let borders = [0, 8, 13, stream.len()];
        for piece in 1..=stream.len() {
            let mut border = Border::default();
            let mut came = 0;
            for bytes in stream.chunks(piece) {
                border.pass(bytes);
                came += bytes.len();
                assert_eq!(border.is_reached(), borders.contains(&came), "{came} in pieces of {piece}");
            }
        }
    }
}
