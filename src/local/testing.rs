//! A model for tests: a table of embeddings, and a tokenizer that knows eight words.

use crate::base::vector::normalize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder that is gone with its holder.
pub struct Dir(PathBuf);

impl Dir {
    pub fn new() -> Dir {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("rembed-local-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Dir(path)
    }

    /// One that holds the model.
    pub fn model() -> Dir {
        let dir = Dir::new();
        dir.write("model.onnx", onnx(&["input_ids", "attention_mask"]));
        dir.write("tokenizer.json", tokenizer(8));
        dir.write("config.json", r#"{"max_position_embeddings": 6}"#);
        dir
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// `[BOS] word … [EOS]`, where a word is w2, w3 and so on.
pub fn tokenizer(words: usize) -> String {
    let vocab: Vec<_> = (0..words)
        .map(|i| match i {
            0 => r#""[BOS]": 0"#.to_owned(),
            1 => r#""[EOS]": 1"#.to_owned(),
            _ => format!(r#""w{i}": {i}"#),
        })
        .collect();
    let special =
        |name: &str, id: u32| format!(r#""{name}": {{"id": "{name}", "ids": [{id}], "tokens": ["{name}"]}}"#);
    let piece = |kind: &str, id: &str| format!(r#"{{"{kind}": {{"id": "{id}", "type_id": 0}}}}"#);
    let single =
        [piece("SpecialToken", "[BOS]"), piece("Sequence", "A"), piece("SpecialToken", "[EOS]")].join(",");
    format!(
        r#"{{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null, "decoder": null,
            "pre_tokenizer": {{"type": "WhitespaceSplit"}},
            "post_processor": {{"type": "TemplateProcessing", "single": [{single}], "pair": [{single}, {}],
                "special_tokens": {{{}, {}}}}},
            "model": {{"type": "WordLevel", "unk_token": "[EOS]", "vocab": {{{}}}}}}}"#,
        piece("Sequence", "B").replace("0}", "1}"),
        special("[BOS]", 0),
        special("[EOS]", 1),
        vocab.join(", ")
    )
}

/// Embedding of token `n`: n + 1 in place n % 4, 0.5 elsewhere.
pub fn onnx(inputs: &[&str]) -> Vec<u8> {
    let table: Vec<u8> = (0..8 * 4)
        .map(|i| if i % 4 == (i / 4) % 4 { (i / 4 + 1) as f32 } else { 0.5 })
        .flat_map(f32::to_le_bytes)
        .collect();
    let table = [number(1, 8), number(1, 4), number(2, 1), bytes(8, b"table"), bytes(9, &table)].concat();
    let node =
        [bytes(1, b"table"), bytes(1, b"input_ids"), bytes(2, b"last_hidden_state"), bytes(4, b"Gather")]
            .concat();
    let mut graph =
        [bytes(1, &node), bytes(5, &table), bytes(12, &value("last_hidden_state", 1, 3))].concat();
    for name in inputs {
        graph.extend(bytes(11, &value(name, 7, 2)));
    }
    [number(1, 8), bytes(8, &number(2, 17)), bytes(7, &graph)].concat()
}

fn value(name: &str, kind: u64, dimensions: usize) -> Vec<u8> {
    let shape = bytes(1, &bytes(2, b"n")).repeat(dimensions);
    let tensor = [number(1, kind), bytes(2, &shape)].concat();
    [bytes(1, name.as_bytes()), bytes(2, &bytes(1, &tensor))].concat()
}

/// A field of a protobuf message.
fn number(field: u64, n: u64) -> Vec<u8> {
    [varint(field << 3), varint(n)].concat()
}

pub fn bytes(field: u64, content: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(content.len() as u64), content.to_vec()].concat()
}

fn varint(mut n: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while n > 127 {
        out.push(n as u8 | 128);
        n >>= 7;
    }
    out.push(n as u8);
    out
}

/// Messages in messages: fields from the outside in, `again` as often as `depth` says.
pub fn nest(first: &[u64], again: &[u64], depth: usize) -> Vec<u8> {
    let mut reversed: Vec<u8> = Vec::new();
    let mut wrap = |field: &u64| {
        let mut head = [varint(field << 3 | 2), varint(reversed.len() as u64)].concat();
        head.reverse();
        reversed.extend(head);
    };
    (0..depth).for_each(|_| again.iter().rev().for_each(&mut wrap));
    first.iter().rev().for_each(&mut wrap);
    reversed.reverse();
    [number(1, 8), reversed].concat()
}

/// What the model of [`Dir::model`] gives for tokens.
pub fn expected(tokens: &[usize], dimensions: usize) -> Vec<f32> {
    let mut sum = vec![0.0; 4];
    for &token in tokens {
        for (place, x) in sum.iter_mut().enumerate() {
            *x += if place == token % 4 { (token + 1) as f32 } else { 0.5 };
        }
    }
    sum.truncate(dimensions);
    normalize(&mut sum);
    sum
}

pub fn near(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(x, y)| (x - y).abs() < 1e-6)
}
