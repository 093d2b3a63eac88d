//! Vectors that come as base64 of little-endian f32, decoded into their place.

use base64_simd::AsOut;

use super::Rows;
use crate::provider::json::{Error, Reader};

/// Unescaped base64 that is decoded at once; groups of four.
const PIECE: usize = 4096;

impl Rows {
    /// Reads one vector.
    pub(super) fn base64(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        let mut string = reader.clone();
        let text = reader.raw_string(self.encoded)?;
        if self.decode(text, reader).is_ok() {
            self.encoded = text.len();
            return Ok(());
        }
        // Decoding the whole string failed: its length may differ, or it has escapes (`\/`). It is read in pieces.
        let mut piece = Vec::with_capacity(PIECE);
        let mut decoded = Ok(());
        string.string(|mut part| {
            while !part.is_empty() && decoded.is_ok() {
                // A full piece is decoded only when more follows: the last piece may end in padding.
                if piece.len() == PIECE {
                    decoded = self.decode(&piece, reader);
                    piece.clear();
                }
                let n = part.len().min(PIECE - piece.len());
                piece.extend_from_slice(&part[..n]);
                part = &part[n..];
            }
        })?;
        *reader = string;
        decoded.and_then(|()| self.decode(&piece, reader))
    }

    /// Decodes `text` behind what is read.
    fn decode(&mut self, text: &[u8], reader: &Reader<'_>) -> Result<(), Error> {
        let wrong = |why: &str| reader.shape(format!("an embedding is not base64 of f32 ({why})"));
        // Some servers leave the padding out.
        let codec = if text.len() % 4 == 0 { base64_simd::STANDARD } else { base64_simd::STANDARD_NO_PAD };
        let bytes = codec.decoded_length(text).map_err(|_| wrong("it cannot be decoded"))?;
        if bytes % 4 != 0 {
            return Err(wrong(&format!("it has {bytes} bytes")));
        }
        let end = self.filled + bytes / 4;
        if self.reply.data.is_empty() {
            // Zeroed by the allocator, which costs nothing; enough for all rows, if they are alike.
            self.reply.data = vec![0.0; end + reader.rest().len() / 16 * 3];
        } else if self.reply.data.len() < end {
            self.reserve(end - self.reply.data.len(), reader)?;
            self.reply.data.resize(end, 0.0);
        }
        let data = &mut self.reply.data[self.filled..end];
        let place = bytemuck::cast_slice_mut::<f32, u8>(data);
        codec.decode(text, place.as_out()).map_err(|_| wrong("it cannot be decoded"))?;
        if cfg!(target_endian = "big") {
            data.iter_mut().for_each(|x| *x = f32::from_bits(x.to_bits().swap_bytes()));
        }
        self.filled = end;
        Ok(())
    }
}
