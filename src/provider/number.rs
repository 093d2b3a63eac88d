//! The nearest f32 of a number as JSON spells it. A reply to 2,048 texts has three million of them, so that most of the
//! time of reading is spent here (`bench/` has the figures): the usual form has a way of its own, eight digits at once.

/// The longest number: an f64 has at most 1,075 digits that count.
pub(super) const NUMBER_MAX: usize = 4096;
/// The most digits behind the point of a number of the usual form: an f64 between 0.001 and 1 has 20.
const USUAL_DIGITS: usize = 22;
/// What is looked at of the text before a number, so that eight bytes can be taken that end within it.
const BEFORE: usize = 16;
/// The last place in a window where eight bytes begin.
const INDEX_MAX: usize = 63;
/// The bytes that a number of the usual form is looked for in.
const WINDOW: usize = INDEX_MAX + 8;
/// The highest bit of each of eight bytes.
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The number at the beginning of `text`, and its length. One that f32 does not hold is a NaN.
pub(super) fn number(text: &[u8]) -> Option<(f32, usize)> {
    let n = length(text)?;
    let number = fast_float2::parse(&text[..n]).ok().filter(|x: &f32| x.is_finite());
    Some((number.unwrap_or(f32::NAN), n))
}

/// How long the number at the beginning of `text` is, if JSON allows it.
pub(super) fn length(text: &[u8]) -> Option<usize> {
    let digits = |at: usize| text[at..].iter().take_while(|b| b.is_ascii_digit()).take(NUMBER_MAX).count();
    let mut at = usize::from(text.first() == Some(&b'-'));
    let integer = digits(at);
    let mut valid = integer == 1 || (integer > 1 && text[at] != b'0');
    at += integer;
    if text.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        valid &= fraction > 0;
        at += 1 + fraction;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        at += 1;
        at += usize::from(matches!(text.get(at), Some(b'+' | b'-')));
        let exponent = digits(at);
        valid &= exponent > 0;
        at += exponent;
    }
    (valid && at <= NUMBER_MAX).then_some(at)
}

/// What so many digits behind the point mean.
#[derive(Clone, Copy)]
struct Digits {
    /// The bytes of digits among the last eight, the eight before them and those before.
    kept: [u64; 3],
    /// What the last digit is worth.
    unit: f64,
}

const DIGITS: [Digits; USUAL_DIGITS + 1] = {
    let mut all = [Digits { kept: [0; 3], unit: 1.0 }; USUAL_DIGITS + 1];
    let (mut n, mut power) = (1, 1.0);
    while n <= USUAL_DIGITS {
        all[n].kept = all[n - 1].kept;
        all[n].kept[(n - 1) / 8] |= 0xff << (56 - (n - 1) % 8 * 8);
        // Exact up to 10²².
        power *= 10.0;
        all[n].unit = 1.0 / power;
        n += 1;
    }
    all
};

/// Reads numbers of the usual form, each with its comma and the white space behind it, from `at` on: as many as `out`
/// has room for. Returns where it stopped.
// Inlined, it would lack registers.
#[inline(never)]
pub(super) fn usual(text: &[u8], mut at: usize, out: &mut Vec<f32>) -> usize {
    while out.len() < out.capacity() {
        let window = text.get(at.wrapping_sub(BEFORE)..).and_then(|text| text.first_chunk());
        let Some((number, n)) = window.and_then(one) else { break };
        out.push(number);
        at += n;
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(at) {
            at += 1;
        }
    }
    at
}

/// The number that begins at [`BEFORE`], and its length with the comma behind it: a digit, a point, and up to
/// [`USUAL_DIGITS`] digits.
///
/// Where the next number begins is known before this one is: that is all that the next one has to wait for. And no
/// branch depends on what differs from number to number, the sign and how many digits there are: a mispredicted one costs
/// as much as half of the rest.
#[inline]
fn one(text: &[u8; WINDOW]) -> Option<(f32, usize)> {
    let negative = text[BEFORE] == b'-';
    let start = BEFORE + usize::from(negative);
    let whole = text[start].wrapping_sub(b'0');
    let end = behind(text)?;
    let n = end.wrapping_sub(start + 2);
    let digits = DIGITS.get(n)?;
    if whole > 9 || text[start + 1] != b'.' || n == 0 || text[end & INDEX_MAX] != b',' {
        return None;
    }
    let (low, a) = of_eight(text, end - 8, digits.kept[0]);
    let (middle, b) = of_eight(text, end - 16, digits.kept[1]);
    let (mut fraction, mut checked) = ((middle * 100_000_000 + low) as f64, a | b);
    if n > 16 {
        let (high, c) = of_eight(text, end - 24, digits.kept[2]);
        fraction += high as f64 * 1e16;
        checked |= c;
    }
    let value = f64::from(whole) + fraction * digits.unit;
    // Six roundings: at most six units of f64 from the true value. The boundary between two f32 is the middle of the bits
    // that f32 has not. Where it is not that near, rounding once more gives the nearest f32.
    let below = value.to_bits() & ((1 << 29) - 1);
    let is_near_boundary = below.wrapping_sub((1 << 28) - 8) <= 16;
    if checked & HIGH != 0 || is_near_boundary {
        return None;
    }
    let sign = u32::from(negative) << 31;
    Some((f32::from_bits((value as f32).to_bits() | sign), end + 1 - BEFORE))
}

/// Where the first byte is that is less than `-`, as the comma behind a number is.
#[inline]
fn behind(text: &[u8; WINDOW]) -> Option<usize> {
    [BEFORE, BEFORE + 8, BEFORE + 16].into_iter().find_map(|at| {
        // A carry only changes what follows a byte that is not ASCII, and so no digit.
        let less = !eight(text, at).wrapping_add(0x5353_5353_5353_5353) & HIGH;
        (less != 0).then(|| at + less.trailing_zeros() as usize / 8)
    })
}

/// The number of the digits among the eight bytes at `at`, which `kept` tells; and a bit of [`HIGH`] where one of them is
/// no digit.
#[inline]
fn of_eight(text: &[u8; WINDOW], at: usize, kept: u64) -> (i64, u64) {
    const EVERY_FOURTH: u64 = 0x0000_00ff_0000_00ff;
    // A digit is now 0 to 9, and so is what stands before the first one.
    let digits = (eight(text, at) ^ 0x3030_3030_3030_3030) & kept;
    let checked = digits.wrapping_add(0x7676_7676_7676_7676) | digits;
    // Pairs are made of them, then fours and all.
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let first = (pairs & EVERY_FOURTH).wrapping_mul(100 + (1_000_000 << 32));
    let last = (pairs >> 16 & EVERY_FOURTH).wrapping_mul(1 + (10_000 << 32));
    ((first.wrapping_add(last) >> 32) as i64, checked)
}

#[inline]
fn eight(text: &[u8; WINDOW], at: usize) -> u64 {
    // The mask changes nothing: it spares the check of the bounds.
    let at = at & INDEX_MAX;
    let mut eight = [0; 8];
    eight.copy_from_slice(&text[at..at + 8]);
    u64::from_le_bytes(eight)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the usual way reads of `text`, and how far.
    fn usually(text: &[u8]) -> Option<(f32, usize)> {
        let around = [b' '; WINDOW];
        let mut out = Vec::with_capacity(1);
        let end = usual(&[&around[..BEFORE], text, b"!", &around].concat(), BEFORE, &mut out);
        out.first().map(|x| (*x, end - BEFORE))
    }

    /// The number that `text` is, and nothing else; by both ways, where the usual one reads it.
    fn read(text: &str) -> f32 {
        let (number, n) = number(text.as_bytes()).unwrap();
        assert_eq!(n, text.len(), "{text}");
        if let Some((usual, _)) = usually(format!("{text},").as_bytes()) {
            assert_eq!(usual.to_bits(), number.to_bits(), "{text}");
        }
        number
    }

    #[test]
    fn what_servers_send_is_read_in_the_usual_way() {
        for text in [
            "0.1,",
            "-0.034383539110422134,",
            "9.5,",
            "0.000123456789012345678,",
            "-0.0,",
            "0.12345678, \n\t",
        ] {
            let (value, n) = usually(text.as_bytes()).unwrap();
            let want: f32 = text.trim_end().trim_end_matches(',').parse().unwrap();
            assert_eq!((value.to_bits(), n), (want.to_bits(), text.len()), "{text}");
        }
    }

    #[test]
    fn the_usual_way_reads_nothing_else() {
        let texts = [
            "-0.034383539110422134,",
            "0.03438353,",
            "-1.5,",
            "0.0343835391104,",
            "7.1234567890123456789012,",
        ];
        let mut read = 0;
        for text in texts {
            for (at, byte) in (0..text.len()).flat_map(|at| (0..=255).map(move |byte| (at, byte))) {
                let mut changed = text.as_bytes().to_vec();
                changed[at] = byte;
                let Some((value, n)) = usually(&changed) else { continue };
                // Behind the comma is "!", or more digits where the changed byte is the comma.
                let (want, length) = number(&changed).unwrap();
                assert_eq!((value.to_bits(), n), (want.to_bits(), length + 1), "{changed:?}");
                assert_eq!(changed[length], b',');
                read += 1;
            }
        }
        assert!(read > 500, "{read}");
    }

    #[test]
    fn every_notation_gives_the_nearest_f32() {
        for text in [
            "0",
            "-0",
            "0.1",
            "-0.034383539110422134",
            "1e-3",
            "1E+2",
            "16777217",
            "0.333333343",
            "123456789.125",
            "0.000000000000000000000000000001",
            "3.4028234e38",
            "1.17549435e-38",
            "1e-45",
            "1e-60",
            "0.30000001192092896",
            "12345678901234567890",
            "0.12345678901234567890123",
            "1.00000005960464477539",
            "0.50000002980232238769531250",
        ] {
            let want: f32 = text.parse().unwrap();
            assert_eq!(read(text).to_bits(), want.to_bits(), "{text}");
        }
    }

    #[test]
    fn shortest_and_widened_notations_come_back_bit_for_bit() {
        let mut state = 1u32;
        for _ in 0..200_000 {
            // A full-period generator: every sign, exponent and mantissa may come.
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let x = f32::from_bits(state);
            if !x.is_finite() {
                continue;
            }
            for text in [x.to_string(), f64::from(x).to_string(), format!("{x:e}")] {
                assert_eq!(read(&text).to_bits(), x.to_bits(), "{text}");
            }
        }
    }

    #[test]
    fn decimals_between_two_f32_round_as_std_does() {
        let mut state = 7u64;
        for _ in 0..200_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let x = f32::from_bits(0x3d00_0000 | (state >> 41) as u32);
            let middle = (f64::from(x) + f64::from(f32::from_bits(x.to_bits() + 1))) / 2.0;
            for text in [format!("{middle}"), format!("{middle:.17}"), format!("{middle:.18}")] {
                let want: f32 = text.parse().unwrap();
                assert_eq!(read(&text), want, "{text}");
            }
        }
    }
}
