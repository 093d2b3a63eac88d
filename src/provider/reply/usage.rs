//! What a request took, as providers report it.

use crate::provider::json::{Error, Reader};

/// The tokens in what providers report: a number, `usage`, or `meta` with its `billed_units`. Whatever else
/// stands there is no reason to refuse a reply.
pub(super) fn tokens(reader: &mut Reader<'_>) -> Result<Option<u64>, Error> {
    if reader.peek() != b'{' {
        return Ok(whole(reader.raw()?));
    }
    let (mut total, mut billed) = (None, None);
    reader.object(|reader, key| match key {
        "total_tokens" => {
            total = whole(reader.raw()?);
            Ok(())
        }
        "billed_units" if reader.peek() == b'{' => reader.object(|reader, key| match key {
            "input_tokens" => {
                billed = whole(reader.raw()?);
                Ok(())
            }
            _ => reader.skip(),
        }),
        _ => reader.skip(),
    })?;
    Ok(total.or(billed))
}

/// The whole number that a value's text spells.
pub(super) fn whole(value: &[u8]) -> Option<u64> {
    if !matches!(value.first(), Some(b'-' | b'0'..=b'9')) {
        return None;
    }
    let text = std::str::from_utf8(value).ok()?;
    let float = || text.parse().ok().filter(|n: &f64| n.fract() == 0.0 && *n >= 0.0).map(|n| n as u64);
    text.parse().ok().or_else(float)
}
