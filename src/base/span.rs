//! Spans of time as servers write them.

use std::time::Duration;

/// A span of time as Go writes it, and Google in `retryDelay`: `1h2m3.5s`, `20ms`, `34s`.
pub fn span(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let unit = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * unit;
        rest = tail;
    }
    Duration::try_from_secs_f64(seconds).ok().filter(|wait| !wait.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_sums_of_their_parts() {
        for (text, seconds) in [
            ("34s", Some(34.0)),
            ("1h2m3.5s", Some(3723.5)),
            ("20ms", Some(0.02)),
            ("6m0s", Some(360.0)),
            ("0s", None),
            ("", None),
            ("s", None),
            ("5", None),
            ("5 s", None),
            ("1d", None),
            ("1e9s", None),
            ("99999999999999999999999h", None),
        ] {
            assert_eq!(span(text).map(|wait| wait.as_secs_f64()), seconds, "{text}");
        }
    }
}
