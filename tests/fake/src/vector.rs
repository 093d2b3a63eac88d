//! The vectors: hashed n-grams, so that similar texts are near without any model.
//!
//! # Algorithm
//!
//! 1. The text is lowercased and cut into words at every character that is not alphanumeric. The
//!    *features* are the words (weight 64) and the character trigrams of each word between two
//!    spaces (weight 32), each hashed to 64 bits (FNV-1a, then the finaliser of splitmix64).
//! 2. The vector is a row of blocks of 16 components. In every block a feature adds its weight, with
//!    a sign, to one component: signed feature hashing, done once per block, so that any prefix of
//!    a vector is a fair vector by itself.
//! 3. The hash of the whole lowercased text adds +4 or -4 to every component.
//! 4. An input type ("query", "document", …) adds an odd number, plus or minus, to every component:
//!    about 6 % of the energy of the text, so that the cosine of two types of one text stays above
//!    0.9 at usual widths. As everything else is even, and steps 2 and 3 alone cannot cancel out, no
//!    component is ever zero, not even for `""`.
//! 5. The first `width` components are scaled to unit length.
//!
//! All but the last step is integer arithmetic: a text, a type and a width always give the same
//! bits, and a narrower vector is the wider one, cut and scaled again.

const BLOCK: usize = 16;
/// One 64-bit hash feeds this many blocks: four bits of place and one of sign for each.
const BLOCKS_PER_HASH: usize = 12;
const WORD: i32 = 64;
const TRIGRAM: i32 = 32;
const JITTER: i32 = 4;
const TYPE_ENERGY: f64 = 0.06;

/// The vector of `text`, of unit length; `kind` is the input type, if any was asked for.
pub fn embed(text: &str, kind: Option<&str>, width: usize) -> Vec<f32> {
    let text = text.to_lowercase();
    let mut sums = vec![[0_i32; BLOCK]; width.div_ceil(BLOCK)];
    let mut energy = f64::from(BLOCK as i32 * JITTER * JITTER);
    let mut add = |feature: u64, weight: i32| {
        energy += f64::from(weight * weight);
        scatter(&mut sums, feature, weight);
    };
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()) {
        add(hash(1, word.as_bytes()), WORD);
        trigrams(word, |trigram| add(hash(2, trigram.as_bytes()), TRIGRAM));
    }
    if let Some(kind) = kind {
        let share = (TYPE_ENERGY * energy / BLOCK as f64).sqrt().round() as i32;
        spread(&mut sums, hash(3, kind.as_bytes()), (share - 1).max(0) | 1);
    }
    spread(&mut sums, hash(4, text.as_bytes()), JITTER);
    unit(&sums.as_flattened()[..width])
}

/// Calls `each` with every three characters of ` word `.
fn trigrams(word: &str, mut each: impl FnMut(&str)) {
    let mut padded = String::with_capacity(word.len() + 2);
    padded.push(' ');
    padded.push_str(word);
    padded.push(' ');
    let starts = padded.char_indices().map(|(at, _)| at);
    let ends = padded.char_indices().map(|(at, c)| at + c.len_utf8()).skip(2);
    for (start, end) in starts.zip(ends) {
        each(&padded[start..end]);
    }
}

/// Adds the weight, with a sign, to one component of every block.
fn scatter(sums: &mut [[i32; BLOCK]], feature: u64, weight: i32) {
    let mut state = feature;
    for blocks in sums.chunks_mut(BLOCKS_PER_HASH) {
        state = mix(state);
        let mut bits = state;
        for block in blocks {
            let sign = 1 - ((bits >> 4 & 1) << 1) as i32;
            block[bits as usize % BLOCK] += sign * weight;
            bits >>= 5;
        }
    }
}

/// Adds the weight, with a sign, to every component.
fn spread(sums: &mut [[i32; BLOCK]], feature: u64, weight: i32) {
    let mut state = feature;
    for block in sums {
        state = mix(state);
        for (place, sum) in block.iter_mut().enumerate() {
            *sum += weight * (1 - ((state >> place & 1) << 1) as i32);
        }
    }
}

fn unit(sums: &[i32]) -> Vec<f32> {
    let squares: f64 = sums.iter().map(|&sum| f64::from(sum).powi(2)).sum();
    let length = squares.sqrt();
    sums.iter().map(|&sum| (f64::from(sum) / length) as f32).collect()
}

/// FNV-1a; `family` keeps a word apart from a trigram of the same letters.
fn hash(family: u64, bytes: &[u8]) -> u64 {
    let seed = 0xcbf2_9ce4_8422_2325 ^ mix(family);
    mix(bytes.iter().fold(seed, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)))
}

/// One step of splitmix64.
fn mix(state: u64) -> u64 {
    let z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    }

    #[test]
    fn has_unit_length_and_no_zero() {
        for text in ["", "hello", "☕", "the cat sat on the mat"] {
            for width in [1, 8, 100, 768, 3072] {
                let vector = embed(text, None, width);
                assert_eq!(vector.len(), width);
                assert!((cosine(&vector, &vector) - 1.0).abs() < 1e-5, "{text:?} at {width}");
                assert!(vector.iter().all(|&x| x != 0.0), "{text:?} at {width}");
            }
        }
    }

    #[test]
    fn is_the_same_in_every_build() {
        let start = |text, kind| embed(text, kind, 768)[..3].to_vec();
        assert_eq!(start("hello world", None), start("Hello World", None));
        assert_eq!(format!("{:?}", start("hello world", None)), PINNED);
    }

    const PINNED: &str = "[-0.004193545, -0.06290317, -0.004193545]";

    #[test]
    fn similar_texts_are_near() {
        let base = embed("the cat sat on the mat", None, 768);
        let near = embed("a cat sat on a mat", None, 768);
        let far = embed("quarterly revenue grew strongly", None, 768);
        assert!(cosine(&base, &near) > 0.5, "{}", cosine(&base, &near));
        assert!(cosine(&base, &far) < 0.2, "{}", cosine(&base, &far));
    }

    #[test]
    fn types_differ_a_little() {
        for text in ["", "hello", "the cat sat on the mat", "word word word word word word"] {
            let plain = embed(text, None, 768);
            let query = embed(text, Some("query"), 768);
            let document = embed(text, Some("document"), 768);
            assert_ne!(query, document);
            assert_ne!(query, plain);
            assert!(cosine(&query, &document) > 0.9, "{text:?}: {}", cosine(&query, &document));
        }
    }

    #[test]
    fn a_narrower_vector_is_a_prefix() {
        let wide = embed("hello world", Some("query"), 1000);
        let narrow = embed("hello world", Some("query"), 20);
        let length = cosine(&wide[..20], &wide[..20]).sqrt();
        for (w, n) in wide.iter().zip(&narrow) {
            assert!((f64::from(*w) / length - f64::from(*n)).abs() < 1e-6);
        }
    }
}
