//! The nearest f32 of a number as JSON spells it, several times as fast as by way of serde_json's `Value`: a reply to
//! 2,048 texts has three million of them (`bench/` has the figures). fast_float2 alone is too slow for the bar there.

/// Powers of ten that f64 holds exactly.
const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// The number at the beginning of `text`, as the nearest f32, and its length.
///
/// Up to 19 digits without an exponent, which is what servers send, are read as an integer m and m / 10ᵏ is taken
/// in f64: two roundings, so at most one unit of f64 from the true value. Where no boundary between two f32 is
/// that near, rounding it once more gives the nearest f32. The rest is left to fast_float2.
pub(super) fn number(text: &[u8]) -> Option<(f32, usize)> {
    let negative = text[0] == b'-';
    let start = usize::from(negative);
    // Mostly one digit: not worth looking at eight.
    let (whole, mut at) = single_digits(text, start, 0);
    let integer = at - start;
    // JSON: at least one digit, and no zero before others.
    if integer == 0 || (integer > 1 && text[start] == b'0') {
        return None;
    }
    let (mut mantissa, mut fraction) = (whole, 0);
    if text.get(at) == Some(&b'.') {
        let (m, end) = digits(text, at + 1, whole);
        fraction = end - at - 1;
        if fraction == 0 {
            return None;
        }
        (mantissa, at) = (m, end);
    }
    let exponent = matches!(text.get(at), Some(b'e' | b'E'));
    let many =
        integer + fraction > 19 && integer + fraction - leading_zeros(text, start, integer, fraction) > 19;
    if exponent || fraction > 22 || many {
        return slow(text);
    }
    let value = mantissa as f64 / TENS[fraction];
    // The bits of f64 that f32 has not; their middle is the boundary between two f32.
    let below = value.to_bits() & ((1 << 29) - 1);
    let near_boundary = below.wrapping_sub((1 << 28) - 2) <= 4;
    if near_boundary || (value < f64::from(f32::MIN_POSITIVE) && mantissa != 0) || value > f64::from(f32::MAX)
    {
        return slow(text);
    }
    let value = value as f32;
    Some((if negative { -value } else { value }, at))
}

/// How many zeros stand before the first digit that counts, where the integer part is 0.
fn leading_zeros(text: &[u8], start: usize, integer: usize, fraction: usize) -> usize {
    if integer != 1 || text[start] != b'0' {
        return 0;
    }
    1 + text[start + 2..start + 2 + fraction].iter().take_while(|b| **b == b'0').count()
}

#[cold]
fn slow(text: &[u8]) -> Option<(f32, usize)> {
    let (value, n) = fast_float2::parse_partial::<f32, _>(text).ok()?;
    // JSON has no infinity, and a number that f32 cannot hold is none that a model computed.
    value.is_finite().then_some((value, n))
}

/// Reads digits from `at` on: eight at once as long as there are eight. Beyond 19 the value wraps, which the caller
/// rules out.
fn digits(text: &[u8], mut at: usize, mut value: u64) -> (u64, usize) {
    while let Some(eight) = text.get(at..at + 8) {
        let Ok(bytes) = <[u8; 8]>::try_from(eight) else { break };
        let v = u64::from_le_bytes(bytes);
        let high = v & 0xf0f0_f0f0_f0f0_f0f0;
        let over = (v.wrapping_add(0x0606_0606_0606_0606) & 0xf0f0_f0f0_f0f0_f0f0) >> 4;
        if high | over != 0x3333_3333_3333_3333 {
            break;
        }
        // Pairs, then fours, then all eight digits.
        let v = v & 0x0f0f_0f0f_0f0f_0f0f;
        let v = (v.wrapping_mul(10)).wrapping_add(v >> 8) & 0x00ff_00ff_00ff_00ff;
        let v = (v.wrapping_mul(100)).wrapping_add(v >> 16) & 0x0000_ffff_0000_ffff;
        let v = (v.wrapping_mul(10_000)).wrapping_add(v >> 32) & 0xffff_ffff;
        value = value.wrapping_mul(100_000_000).wrapping_add(v);
        at += 8;
    }
    single_digits(text, at, value)
}

fn single_digits(text: &[u8], mut at: usize, mut value: u64) -> (u64, usize) {
    while let Some(digit @ b'0'..=b'9') = text.get(at) {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        at += 1;
    }
    (value, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number that `text` is, and nothing else.
    fn read(text: &str) -> f32 {
        let (number, n) = number(text.as_bytes()).unwrap();
        assert_eq!(n, text.len(), "{text}");
        number
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
