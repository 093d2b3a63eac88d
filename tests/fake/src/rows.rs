//! The rows of a reply, and the faults that befall them.

use std::fmt::Write as _;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::fault::{Fault, Order};

/// One vector of a reply.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The place of its text in the request.
    pub index: usize,
    /// `None` is sent as null.
    pub values: Option<Vec<f32>>,
}

/// Does to the rows what the faults say; `texts` are those the rows belong to.
pub fn spoil(rows: &mut Vec<Row>, faults: &[&Fault], texts: &[impl AsRef<str>]) {
    for fault in faults {
        spoil_one(rows, fault, texts);
        if let Some(width) = fault.width {
            rows.iter_mut().for_each(|row| row.resize(width));
        }
        if fault.duplicate_index && rows.len() > 1 {
            rows[1].index = rows[0].index;
        }
        if fault.empty {
            rows.clear();
        }
        if let Some(change) = fault.count {
            recount(rows, change);
        }
        match fault.order {
            Some(Order::Reversed) => rows.reverse(),
            Some(Order::Shuffled) => shuffle(rows),
            None => {}
        }
    }
}

fn spoil_one(rows: &mut [Row], fault: &Fault, texts: &[impl AsRef<str>]) {
    let of_needle =
        fault.text.as_ref().and_then(|needle| texts.iter().position(|text| text.as_ref().contains(needle)));
    let last = rows.len().saturating_sub(1);
    if let (Some(width), Some(row)) = (fault.row_width, rows.get_mut(of_needle.unwrap_or(last.min(1)))) {
        row.resize(width);
    }
    let Some(row) = rows.get_mut(of_needle.unwrap_or(0)) else {
        return;
    };
    if let Some(values) = &mut row.values {
        if fault.zero {
            values.fill(0.0);
        }
        if let Some(value) = values.first_mut() {
            if fault.nan {
                *value = f32::NAN;
            }
            if fault.inf {
                *value = f32::INFINITY;
            }
        }
    }
    if fault.null {
        row.values = None;
    }
}

impl Row {
    fn resize(&mut self, width: usize) {
        if let Some(values) = &mut self.values {
            values.resize(width, 0.5);
        }
    }
}

fn recount(rows: &mut Vec<Row>, change: i64) {
    let count = rows.len().saturating_add_signed(change as isize);
    rows.truncate(count);
    while let (true, Some(last)) = (rows.len() < count, rows.last()) {
        rows.push(Row { index: last.index + 1, values: last.values.clone() });
    }
}

/// Sattolo's shuffle, after which no row has kept its place, over a fixed generator.
fn shuffle(rows: &mut [Row]) {
    let mut state = 7_u64;
    for place in (1..rows.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        rows.swap(place, (state >> 33) as usize % place);
    }
}

/// Writes the values as a JSON array in the shortest notation that reads back as the same f32. What
/// JSON has no word for is written as real servers do: the bare token NaN, and a number too large.
pub fn write_floats(out: &mut Vec<u8>, values: &[f32]) {
    out.reserve(values.len() * 13 + 18);
    out.push(b'[');
    let mut notations = Notations::default();
    for (place, &value) in values.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        if value.is_finite() {
            notations.write(out, value);
        } else if value.is_nan() {
            out.extend_from_slice(b"NaN");
        } else {
            out.extend_from_slice(b"1e999");
        }
    }
    out.push(b']');
}

/// The notations met last. The components of one vector have few different values, and to format
/// them anew each time would be most of the work of a reply.
struct Notations([Notation; 64]);

#[derive(Clone, Copy, Default)]
struct Notation {
    bits: u32,
    length: u8,
    text: [u8; 16],
}

impl Default for Notations {
    fn default() -> Self {
        Self([Notation::default(); 64])
    }
}

impl Notations {
    fn write(&mut self, out: &mut Vec<u8>, value: f32) {
        let bits = value.to_bits();
        let known = &mut self.0[(bits.wrapping_mul(0x9e37_79b9) >> 26) as usize];
        if known.bits != bits || known.length == 0 {
            let mut buffer = zmij::Buffer::new();
            let text = buffer.format_finite(value).as_bytes();
            known.bits = bits;
            known.length = text.len() as u8;
            known.text[..text.len()].copy_from_slice(text);
        }
        // A copy of fixed length is one instruction; what is too much is taken back.
        let end = out.len() + usize::from(known.length);
        out.extend_from_slice(&known.text);
        out.truncate(end);
    }
}

/// Writes the values as a JSON string: base64 of little-endian f32.
pub fn write_base64(out: &mut Vec<u8>, values: &[f32]) {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    out.push(b'"');
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    STANDARD.encode_slice(bytes, &mut out[start..]).expect("the room is exact");
    out.push(b'"');
}

/// Writes a row as numbers, base64 or null.
pub fn write_row(out: &mut Vec<u8>, row: &Row, base64: bool) {
    match &row.values {
        None => out.extend_from_slice(b"null"),
        Some(values) if base64 => write_base64(out, values),
        Some(values) => write_floats(out, values),
    }
}

/// Writes items between brackets, with commas.
pub fn write_list<T>(out: &mut Vec<u8>, items: &[T], mut each: impl FnMut(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        each(out, item);
    }
    out.push(b']');
}

/// Writes formatted text; a `Vec` takes everything.
pub fn put(out: &mut Vec<u8>, text: std::fmt::Arguments) {
    out.write_fmt(text).expect("a Vec takes everything");
}

/// A string as JSON.
pub fn quoted(text: &str) -> String {
    let mut out = String::new();
    write!(out, "{}", serde_json::Value::from(text)).expect("a String takes everything");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoilt(fault: &str, count: usize) -> Vec<Row> {
        let mut rows: Vec<Row> =
            (0..count).map(|index| Row { index, values: Some(vec![index as f32 + 1.0; 2]) }).collect();
        let fault: Fault = serde_json::from_str(fault).unwrap();
        let texts: Vec<String> = (0..count).map(|n| format!("text {n}")).collect();
        spoil(&mut rows, &[&fault], &texts);
        rows
    }

    fn indices(rows: &[Row]) -> Vec<usize> {
        rows.iter().map(|row| row.index).collect()
    }

    #[test]
    fn rows_are_counted_and_ordered() {
        assert_eq!(indices(&spoilt(r#"{"count":-1}"#, 3)), [0, 1]);
        assert_eq!(indices(&spoilt(r#"{"count":2}"#, 2)), [0, 1, 2, 3]);
        assert_eq!(indices(&spoilt(r#"{"order":"reversed"}"#, 3)), [2, 1, 0]);
        assert_eq!(indices(&spoilt(r#"{"duplicate_index":true}"#, 3)), [0, 0, 2]);
        assert_eq!(indices(&spoilt(r#"{"empty":true}"#, 3)), [0; 0]);
        let mut shuffled = indices(&spoilt(r#"{"order":"shuffled"}"#, 10));
        assert_ne!(shuffled, (0..10).collect::<Vec<_>>());
        shuffled.sort_unstable();
        assert_eq!(shuffled, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn one_row_is_spoilt() {
        assert_eq!(spoilt(r#"{"row_width":1}"#, 2)[1].values, Some(vec![2.0]));
        assert_eq!(spoilt(r#"{"row_width":3}"#, 1)[0].values, Some(vec![1.0, 1.0, 0.5]));
        assert_eq!(spoilt(r#"{"zero":true}"#, 2)[0].values, Some(vec![0.0, 0.0]));
        assert_eq!(spoilt(r#"{"null":true,"text":"text 1"}"#, 2)[1].values, None);
        assert!(spoilt(r#"{"nan":true}"#, 1)[0].values.as_ref().unwrap()[0].is_nan());
    }

    #[test]
    fn notations_carry_the_same_bits() {
        let values = [0.1_f32, -1.0 / 3.0, -1.1754944e-38, f32::MAX, 0.0, 0.1, 1e-9, -0.0];
        let (mut json, mut base64) = (Vec::new(), Vec::new());
        write_floats(&mut json, &values);
        write_base64(&mut base64, &values);
        let read: Vec<f32> = serde_json::from_slice(&json).unwrap();
        let text: String = serde_json::from_slice(&base64).unwrap();
        let bytes = STANDARD.decode(text).unwrap();
        assert_eq!(read, values);
        assert_eq!(bytes, values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>());
    }

    #[test]
    fn what_json_cannot_say() {
        let mut out = Vec::new();
        write_floats(&mut out, &[f32::NAN, f32::INFINITY]);
        assert_eq!(out, b"[NaN,1e999]");
    }
}
