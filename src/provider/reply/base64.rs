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
        self.reserve(bytes / 4, 5, reader)?;
        let data = &mut self.reply.data;
        let start = data.len();
        // Zeros row by row, as they are in the processor's cache then when they are written over.
        data.resize(start + bytes / 4, 0.0);
        let row = &mut data[start..];
        if codec.decode(text, bytemuck::cast_slice_mut::<f32, u8>(row).as_out()).is_err() {
            data.truncate(start);
            return Err(wrong("it cannot be decoded"));
        }
        if cfg!(target_endian = "big") {
            row.iter_mut().for_each(|x| *x = f32::from_bits(x.to_bits().swap_bytes()));
        }
        Ok(())
    }
}
