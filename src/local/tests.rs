use std::sync::atomic::AtomicBool;

use super::testing::{Dir, nest, onnx, tokenizer};
use super::*;
use crate::transport::Never;

struct Flag(AtomicBool);

impl Interrupt for Flag {
    fn is_interrupted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

const MINUTE: Duration = Duration::from_secs(60);

fn never() -> Arc<dyn Interrupt> {
    Arc::new(Never)
}

fn embed(options: &Options, texts: &[&str]) -> Result<Vec<Vec<f32>>, Trouble> {
    let loaded = Model::open(options)?.load(MINUTE, &never())?;
    let texts = texts.iter().map(|text| (*text).to_owned()).collect();
    let reply = loaded.embed(texts, options, MINUTE, &never())?;
    Ok(reply.data.chunks_exact(reply.width).map(<[f32]>::to_vec).collect())
}

/// What the model of [`testing`] gives for tokens.
fn expected(tokens: &[usize], dimensions: usize) -> Vec<f32> {
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

fn near(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(x, y)| (x - y).abs() < 1e-6)
}

#[test]
fn texts_of_any_length_come_back_in_their_order() {
    let dir = Dir::model();
    let texts = ["w2 w3 w4", "w5", "", "w6 w7", "w2"];
    let tokens: [&[usize]; 5] = [&[0, 2, 3, 4, 1], &[0, 5, 1], &[0, 1], &[0, 6, 7, 1], &[0, 2, 1]];
    let vectors = embed(&dir.options(""), &texts).unwrap();
    for ((vector, tokens), text) in vectors.iter().zip(tokens).zip(texts) {
        assert!(near(vector, &expected(tokens, 4)), "{text}: {vector:?}");
    }
    let many: Vec<_> = (0..700).map(|i| texts[i % 5]).collect();
    for (i, vector) in embed(&dir.options(""), &many).unwrap().iter().enumerate() {
        assert!(near(vector, &expected(tokens[i % 5], 4)), "{i}");
    }
}

#[test]
fn cls_is_the_first_token_alone() {
    let dir = Dir::model();
    dir.write("1_Pooling/config.json", r#"{"pooling_mode_cls_token": true}"#);
    assert!(near(&embed(&dir.options(""), &["w5 w6"]).unwrap()[0], &expected(&[0], 4)));
}

#[test]
fn dimensions_cut_and_scale_again() {
    let dir = Dir::model();
    assert!(near(
        &embed(&dir.options(r#", "dimensions": 2"#), &["w5"]).unwrap()[0],
        &expected(&[0, 5, 1], 2)
    ));
    let e = embed(&dir.options(r#", "dimensions": 5"#), &["w5"]).unwrap_err();
    assert_eq!(e, Trouble::Failed("the option dimensions asks for 5, and the model has 4".into()));
}

#[test]
fn a_text_that_is_too_long_is_counted_or_cut() {
    let dir = Dir::model();
    let text = "w2 w3 w4 w5 w6 w7 w2";
    let Trouble::TooLong(e) = embed(&dir.options(""), &["w2", text]).unwrap_err() else { panic!() };
    assert!(e.contains("9 tokens") && e.contains("takes 6 tokens") && e.contains("truncate"), "{e}");
    // What the model adds stays.
    let cut = embed(&dir.options(r#", "truncate": true"#), &[text]).unwrap();
    assert!(near(&cut[0], &expected(&[0, 2, 3, 4, 5, 1], 4)), "{cut:?}");
    let huge = "w2 ".repeat(1 << 20);
    assert!(matches!(embed(&dir.options(""), &[&huge]), Err(Trouble::TooLong(_))));
    assert!(embed(&dir.options(r#", "truncate": true"#), &[&huge]).is_ok());
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
        let Err(Trouble::Failed(e)) = embed(&dir.options(""), &["w2"]) else { panic!("{name}") };
        assert!(
            e.contains(&*dir.path().join(file).to_string_lossy()) && !e.contains("SECRET"),
            "{name}: {e}"
        );
    }
}

#[test]
fn options_of_a_server_are_refused() {
    let dir = Dir::model();
    for more in [
        "\"url\": \"http://h\"",
        "\"key\": \"k\"",
        "\"retries\": 1",
        "\"headers\": {\"a\": \"b\"}",
        "\"body\": {}",
    ] {
        let e = Model::open(&dir.options(&format!(", {more}"))).unwrap_err();
        assert!(e.contains("means nothing") && e.contains("truncate"), "{e}");
    }
    assert!(
        Model::open(&dir.options(r#", "input_type": "clustering""#))
            .unwrap_err()
            .contains("no such input type")
    );
}

#[test]
fn the_process_has_one_copy_until_the_files_change() {
    let dir = Dir::model();
    let load = || Model::open(&dir.options("")).unwrap().load(MINUTE, &never()).unwrap();
    let (one, two) = (load(), load());
    assert!(Arc::ptr_eq(&one.engine, &two.engine));
    dir.write("tokenizer.json", format!("{} ", tokenizer(8)));
    let three = load();
    assert!(!Arc::ptr_eq(&one.engine, &three.engine));
    assert_ne!(one.hash(), three.hash());
}

/// Every core computes for another statement: the wait must end all the same.
#[test]
fn an_interrupt_does_not_wait_for_what_is_computed() {
    let dir = Dir::model();
    let options = dir.options("");
    let loaded = Model::open(&options).unwrap().load(MINUTE, &never()).unwrap();
    let (release, held) = channel::<()>();
    let held = Arc::new(std::sync::Mutex::new(held));
    for _ in 0..std::thread::available_parallelism().unwrap().get() {
        let held = held.clone();
        workers::submit(Box::new(move |_| drop(held.lock().map(|held| held.recv_timeout(MINUTE))))).unwrap();
    }
    let interrupt: Arc<dyn Interrupt> = Arc::new(Flag(AtomicBool::new(true)));
    let start = Instant::now();
    let outcome = loaded.embed(vec!["w2".into()], &options, MINUTE, &interrupt);
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

#[test]
fn a_type_of_the_models_own_is_its_prefix_and_changes_the_cache_key() {
    let dir = Dir::model();
    dir.write("config_sentence_transformers.json", r#"{"prompts": {"query": "w3 ", "sts": "w4 "}}"#);
    let client = crate::client::Client::new("c", dir.options("")).unwrap();
    let key = |input_type| client.cache_key_with(input_type, &[0; 32]);
    let keys = [key(None).unwrap(), key(Some("query")).unwrap(), key(Some("sts")).unwrap()];
    assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2]);
    assert!(key(Some("other")).unwrap_err().contains("query, document, sts"), "{:?}", key(Some("other")));
    let session = crate::session::Session::new("test", never(), None);
    let options =
        serde_json::json!({"format": "local", "model": dir.path().to_string_lossy(), "query_prefix": "w5 "});
    session.register("c", options.as_object().unwrap().clone()).unwrap();
    for (input_type, tokens) in [(Some("sts"), [0, 4, 2, 1]), (Some("query"), [0, 5, 2, 1])] {
        assert!(
            near(&session.embed_one("c", "w2", input_type).unwrap(), &expected(&tokens, 4)),
            "{input_type:?}"
        );
    }
}
