use std::sync::atomic::AtomicBool;

use super::testing::{Dir, expected, near, nest, onnx, tokenizer};
use super::*;
use crate::base::interrupt::Uninterrupted;

struct Flag(AtomicBool);

impl Interrupt for Flag {
    fn is_interrupted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const WHOLE: Shape = Shape { dimensions: None, truncate: false };
const CUT: Shape = Shape { dimensions: None, truncate: true };

fn never() -> Arc<dyn Interrupt> {
    Arc::new(Uninterrupted)
}

fn load(dir: &Dir) -> Result<Loaded, Trouble> {
    Model::open(dir.path().to_str())?.load(MINUTE, &never())
}

fn embed(dir: &Dir, shape: Shape, texts: &[&str]) -> Result<Vec<Vec<f32>>, Trouble> {
    let texts = texts.iter().map(|text| (*text).to_owned()).collect();
    let reply = load(dir)?.embed(texts, shape, MINUTE, &never())?;
    Ok(reply.data.chunks_exact(reply.width).map(<[f32]>::to_vec).collect())
}

#[test]
fn texts_of_any_length_come_back_in_their_order() {
    let dir = Dir::model();
    let texts = ["w2 w3 w4", "w5", "", "w6 w7", "w2"];
    let tokens: [&[usize]; 5] = [&[0, 2, 3, 4, 1], &[0, 5, 1], &[0, 1], &[0, 6, 7, 1], &[0, 2, 1]];
    let vectors = embed(&dir, WHOLE, &texts).unwrap();
    for ((vector, tokens), text) in vectors.iter().zip(tokens).zip(texts) {
        assert!(near(vector, &expected(tokens, 4)), "{text}: {vector:?}");
    }
    let many: Vec<_> = (0..700).map(|i| texts[i % 5]).collect();
    for (i, vector) in embed(&dir, WHOLE, &many).unwrap().iter().enumerate() {
        assert!(near(vector, &expected(tokens[i % 5], 4)), "{i}");
    }
}

#[test]
fn cls_is_the_first_token_alone() {
    let dir = Dir::model();
    dir.write("1_Pooling/config.json", r#"{"pooling_mode_cls_token": true}"#);
    assert!(near(&embed(&dir, WHOLE, &["w5 w6"]).unwrap()[0], &expected(&[0], 4)));
}

#[test]
fn dimensions_cut_and_scale_again() {
    let dir = Dir::model();
    assert!(near(
        &embed(&dir, Shape { dimensions: Some(2), ..WHOLE }, &["w5"]).unwrap()[0],
        &expected(&[0, 5, 1], 2)
    ));
    let e = embed(&dir, Shape { dimensions: Some(5), ..WHOLE }, &["w5"]).unwrap_err();
    assert_eq!(e, Trouble::Failed("the option dimensions asks for 5, and the model has 4".into()));
}

#[test]
fn a_text_that_is_too_long_is_counted_or_cut() {
    let dir = Dir::model();
    let text = "w2 w3 w4 w5 w6 w7 w2";
    let Trouble::TooLong(e) = embed(&dir, WHOLE, &["w2", text]).unwrap_err() else { panic!() };
    assert!(e.contains("9 tokens") && e.contains("takes 6 tokens") && e.contains("truncate"), "{e}");
    // What the model adds stays.
    let cut = embed(&dir, CUT, &[text]).unwrap();
    assert!(near(&cut[0], &expected(&[0, 2, 3, 4, 5, 1], 4)), "{cut:?}");
    let huge = "w2 ".repeat(1 << 20);
    assert!(matches!(embed(&dir, WHOLE, &[&huge]), Err(Trouble::TooLong(_))));
    assert!(embed(&dir, CUT, &[&huge]).is_ok());
}

#[test]
fn what_is_no_model_is_an_error_that_names_the_file_and_repeats_nothing() {
    let whole = onnx(&["input_ids", "attention_mask"]);
    // A graph in an attribute of a node of a graph, and so on.
    let nested = nest(&[7], &[1, 5, 6], 300_000);
    let nested_type = nest(&[7, 11, 2], &[4, 1], 300_000);
    for (name, file, content) in [
        ("nested types", "model.onnx", nested_type),
        ("empty", "model.onnx", vec![]),
        ("text", "model.onnx", b"SECRET root:x:0:0".to_vec()),
        ("cut short", "model.onnx", whole[..whole.len() / 2].to_vec()),
        ("cut at the end", "model.onnx", whole[..whole.len() - 3].to_vec()),
        ("nested", "model.onnx", nested),
        ("an image model", "model.onnx", onnx(&["input_ids", "pixels"])),
        ("empty", "tokenizer.json", vec![]),
        ("text", "tokenizer.json", b"SECRET".to_vec()),
        ("other JSON", "tokenizer.json", br#"{"SECRET": ["SECRET"]}"#.to_vec()),
        ("other kind", "tokenizer.json", tokenizer(8).replace("WordLevel", "SECRET").into_bytes()),
        ("cut short", "tokenizer.json", tokenizer(8).into_bytes()[..300].to_vec()),
        ("of a larger model", "tokenizer.json", tokenizer(9).into_bytes()),
    ] {
        let dir = Dir::model();
        dir.write(file, content);
        let Err(Trouble::Failed(e)) = embed(&dir, WHOLE, &["w2"]) else { panic!("{name}") };
        assert!(
            e.contains(&*dir.path().join(file).to_string_lossy()) && !e.contains("SECRET"),
            "{name}: {e}"
        );
    }
}

#[test]
fn the_process_has_one_copy_until_the_files_change() {
    let dir = Dir::model();
    let (one, two) = (load(&dir).unwrap(), load(&dir).unwrap());
    assert!(Arc::ptr_eq(&one.engine, &two.engine));
    dir.write("tokenizer.json", format!("{} ", tokenizer(8)));
    let three = load(&dir).unwrap();
    assert!(!Arc::ptr_eq(&one.engine, &three.engine));
    assert_ne!(one.hash(), three.hash());
}

/// Every core computes for another statement: the wait must end all the same.
#[test]
fn an_interrupt_does_not_wait_for_what_is_computed() {
    let dir = Dir::model();
    let loaded = load(&dir).unwrap();
    let (release, held) = channel::<()>();
    let held = Arc::new(std::sync::Mutex::new(held));
    for _ in 0..std::thread::available_parallelism().unwrap().get() {
        let held = held.clone();
        workers::submit(Box::new(move |_| drop(held.lock().map(|held| held.recv_timeout(MINUTE))))).unwrap();
    }
    let interrupt: Arc<dyn Interrupt> = Arc::new(Flag(AtomicBool::new(true)));
    let start = Instant::now();
    let outcome = loaded.embed(vec!["w2".into()], WHOLE, MINUTE, &interrupt);
    let took = start.elapsed();
    drop(release);
    assert_eq!(outcome, Err(Trouble::Interrupted));
    assert!(took < Duration::from_millis(200), "{took:?}");
}

#[test]
fn similar_lengths_are_computed_together() {
    let rows: Vec<Vec<u32>> = [300, 2, 100, 3, 100, 100].iter().map(|&n| vec![0; n]).collect();
    assert_eq!(batches(&rows), [vec![1, 3], vec![2, 4], vec![5], vec![0]]);
    assert!(batches(&[]).is_empty());
}
