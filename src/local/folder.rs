//! The folder of a model: which files it has, and what they say besides the weights.
//!
//! The layout is that of sentence-transformers, which model hubs and exporters write. Whoever may register a client
//! can name any folder: files are bounded, must be regular, and an error repeats nothing of what they hold.

use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;

use super::pool::Pooling;

/// The limit of tokens where no file names one: BERT's.
pub const MAX_TOKENS: usize = 512;

/// The largest files that are read. An ONNX file is a protobuf message, which ends at 2 GiB.
const MODEL_MAX: u64 = 2 << 30;
const TOKENIZER_MAX: u64 = 64 << 20;
const CONFIG_MAX: u64 = 4 << 20;

/// Where a model lies beside the library, from the library's own folder: on its own, and as a Python package.
const BESIDE: &[&str] = &["rembed-model", "../sqlite_rembed_minilm"];

/// Kinds of models that count positions from the number after the padding token's.
const SHIFTED: &[&str] = &["roberta", "xlm-roberta", "camembert", "mpnet"];

/// A folder that holds a model.
#[derive(Debug)]
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
    /// How the vectors of tokens become one.
    pub pooling: Pooling,
    /// The most tokens of a text, if a file says so.
    pub max_tokens: Option<usize>,
    model: PathBuf,
    prompts: Vec<(String, String)>,
    default_prompt: Option<String>,
}

/// Tells whether the files are still those that were read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Stamp(Vec<(PathBuf, u64, Option<SystemTime>)>);

impl Folder {
    /// The folder at `path`.
    ///
    /// # Errors
    /// One that holds no model, or says of it what cannot be carried out.
    pub fn open(path: &Path) -> Result<Folder, String> {
        let shown = path.display();
        let path = path.canonicalize().map_err(|e| format!("model '{shown}': {e}"))?;
        let model =
            ["model.onnx", "onnx/model.onnx"].map(|name| path.join(name)).into_iter().find(|f| f.is_file());
        let Some(model) = model else {
            return Err(format!(
                "model '{shown}': the option model names a folder with model.onnx (or onnx/model.onnx) and \
                 tokenizer.json, and this has no model.onnx"
            ));
        };
        if !path.join("tokenizer.json").is_file() {
            return Err(format!("model '{shown}': there is no tokenizer.json beside the model"));
        }
        let pooling = pooling(&path)?;
        let max_tokens = max_tokens(&path)?;
        let prompts = config(&path, "config_sentence_transformers.json")?;
        let default_prompt = prompts["default_prompt_name"].as_str().map(str::to_owned);
        let prompts = prompts["prompts"].as_object().into_iter().flatten();
        let prompts =
            prompts.filter_map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned()))).collect();
        Ok(Folder { path, pooling, max_tokens, model, prompts, default_prompt })
    }

    /// The model that was installed with the library.
    ///
    /// # Errors
    /// There is none, or as [`Folder::open`].
    pub fn beside_the_library() -> Result<Folder, String> {
        let Some(library) = crate::library::folder() else {
            return Err(
                "this library does not know where it lies: name the model's folder by the option model"
                    .into(),
            );
        };
        let places: Vec<_> = BESIDE.iter().map(|place| library.join(place)).collect();
        match places.iter().find(|place| place.is_dir()) {
            Some(place) => Folder::open(place),
            None => Err(format!(
                "no model lies beside the library: name a folder with model.onnx and tokenizer.json by the option model, \
                 or put one at '{}'",
                places[0].display()
            )),
        }
    }

    /// The text that the model wants before texts of this type.
    ///
    /// # Errors
    /// A type that the model does not name.
    pub fn prefix(&self, input_type: Option<&str>) -> Result<&str, String> {
        let named = |name: &str| self.prompts.iter().find(|(n, _)| n == name).map(|(_, text)| text.as_str());
        let found = match input_type {
            Some("query") => Some(named("query").unwrap_or_default()),
            Some("document") => Some(named("document").or_else(|| named("passage")).unwrap_or_default()),
            Some(own) => named(own),
            None => match &self.default_prompt {
                Some(name) => named(name),
                None => return self.prefix(Some("document")),
            },
        };
        found.ok_or_else(|| {
            let own = self.prompts.iter().map(|(name, _)| name.as_str());
            let own = own.filter(|name| !["query", "document"].contains(name));
            let names: Vec<_> = ["query", "document"].into_iter().chain(own).collect();
            format!("the model has no such input type: it has {}", names.join(", "))
        })
    }

    /// What the model's files are now.
    ///
    /// # Errors
    /// A file that cannot be read any more.
    pub fn stamp(&self) -> Result<Stamp, String> {
        let stamp = |path: PathBuf| match path.metadata() {
            Ok(file) => Ok((path, file.len(), file.modified().ok())),
            Err(e) => Err(format!("{}: {e}", path.display())),
        };
        Ok(Stamp(vec![stamp(self.model.clone())?, stamp(self.path.join("tokenizer.json"))?]))
    }

    /// The bytes of the model.
    ///
    /// # Errors
    /// A file that cannot be read, or is too large.
    pub fn model(&self) -> Result<Vec<u8>, String> {
        read(&self.model, MODEL_MAX)
    }

    /// The bytes of the tokenizer.
    ///
    /// # Errors
    /// As [`Folder::model`].
    pub fn tokenizer(&self) -> Result<Vec<u8>, String> {
        read(&self.path.join("tokenizer.json"), TOKENIZER_MAX)
    }

    /// The error of a model that is none.
    pub fn broken(&self, why: &str) -> String {
        format!("{}: no ONNX model that can be run here: {why}", self.model.display())
    }

    /// The error of a tokenizer that is none.
    pub fn bad_tokenizer(&self, why: &str) -> String {
        format!("{}: {why}", self.path.join("tokenizer.json").display())
    }
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let failed = |e: std::io::Error| format!("{}: {e}", path.display());
    // Asked before it is opened: a pipe would wait for a writer.
    let size = match path.metadata().map_err(failed)? {
        file if file.is_file() => file.len(),
        _ => return Err(format!("{}: this is no file", path.display())),
    };
    let mut bytes = Vec::with_capacity(size.min(most) as usize + 1);
    File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes)).map_err(failed)?;
    match bytes.len() as u64 > most {
        true => Err(format!("{}: it is larger than {most} bytes", path.display())),
        false => Ok(bytes),
    }
}

/// The JSON of a file that may be missing.
fn config(folder: &Path, name: &str) -> Result<Value, String> {
    let path = folder.join(name);
    if !path.exists() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&read(&path, CONFIG_MAX)?)
        .map_err(|e| format!("{}: not JSON (line {} column {})", path.display(), e.line(), e.column()))
}

fn pooling(folder: &Path) -> Result<Pooling, String> {
    let modules = config(folder, "modules.json")?;
    let mut place = "1_Pooling";
    for module in modules.as_array().into_iter().flatten() {
        let kind = module["type"].as_str().unwrap_or_default();
        match kind.rsplit('.').next().unwrap_or_default() {
            "Transformer" | "Normalize" => {}
            "Pooling" => place = module["path"].as_str().unwrap_or(place),
            _ => {
                return Err(format!(
                    "{}: it names a step other than Transformer, Pooling and Normalize, which cannot be run here",
                    folder.join("modules.json").display()
                ));
            }
        }
    }
    if !Path::new(place).components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(format!("{}: a path leaves the folder", folder.join("modules.json").display()));
    }
    let name = format!("{place}/config.json");
    let config = config(folder, &name)?;
    let wrong = |why: &str| Err(format!("{}: {why}", folder.join(&name).display()));
    if config["include_prompt"] == false {
        return wrong("include_prompt false cannot be carried out");
    }
    let on = |mode: &str| {
        config[format!("pooling_mode_{mode}")] == true
            || config["pooling_mode"] == mode.replace("_token", "").replace("_tokens", "")
    };
    let other = ["max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken"];
    match (on("mean_tokens"), on("cls_token")) {
        _ if other.into_iter().any(on) => {
            wrong("the pooling is neither mean nor cls, and cannot be carried out")
        }
        (true, true) => wrong("mean and cls together cannot be carried out"),
        (false, true) => Ok(Pooling::Cls),
        _ => Ok(Pooling::Mean),
    }
}

/// The least of what the files say.
fn max_tokens(folder: &Path) -> Result<Option<usize>, String> {
    let sentence = config(folder, "sentence_bert_config.json")?;
    let tokenizer = config(folder, "tokenizer_config.json")?;
    let model = config(folder, "config.json")?;
    let shift = match model["model_type"].as_str() {
        Some(kind) if SHIFTED.contains(&kind) => model["pad_token_id"].as_u64().unwrap_or(1) + 1,
        _ => 0,
    };
    let positions =
        model["max_position_embeddings"].as_u64().map(|positions| positions.saturating_sub(shift));
    let limits = [sentence["max_seq_length"].as_u64(), tokenizer["model_max_length"].as_u64(), positions];
    // Some files write "no limit" as a number that a u64 cannot hold.
    let least = limits.into_iter().flatten().filter(|&limit| limit > 0).min();
    Ok(least.and_then(|limit| usize::try_from(limit).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::testing::Dir;

    #[test]
    fn the_least_limit_counts() {
        let dir = Dir::new();
        assert_eq!(max_tokens(dir.path()), Ok(None));
        dir.write(
            "config.json",
            r#"{"model_type": "xlm-roberta", "max_position_embeddings": 514, "pad_token_id": 1}"#,
        );
        dir.write("tokenizer_config.json", r#"{"model_max_length": 1000000000000000019884624838656}"#);
        assert_eq!(max_tokens(dir.path()), Ok(Some(512)));
        dir.write("sentence_bert_config.json", r#"{"max_seq_length": 256}"#);
        assert_eq!(max_tokens(dir.path()), Ok(Some(256)));
    }

    #[test]
    fn pooling_is_what_the_folder_says_or_an_error_that_names_the_file() {
        let dir = Dir::new();
        assert_eq!(pooling(dir.path()), Ok(Pooling::Mean));
        let written = |config: &str| {
            dir.write("1_Pooling/config.json", config);
            pooling(dir.path())
        };
        assert_eq!(
            written(r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}"#),
            Ok(Pooling::Cls)
        );
        assert_eq!(written(r#"{"pooling_mode_mean_tokens": true}"#), Ok(Pooling::Mean));
        assert_eq!(written(r#"{"pooling_mode": "cls"}"#), Ok(Pooling::Cls));
        for bad in [
            r#"{"pooling_mode_max_tokens": true}"#,
            r#"{"pooling_mode": "lasttoken"}"#,
            r#"{"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true}"#,
            r#"{"pooling_mode_mean_tokens": true, "include_prompt": false}"#,
            "SECRET",
        ] {
            let e = written(bad).unwrap_err();
            assert!(e.contains("1_Pooling/config.json") && !e.contains("SECRET"), "{e}");
        }
        for bad in [
            r#"[{"type": "sentence_transformers.models.Dense", "path": "2_Dense"}]"#,
            r#"[{"type": "sentence_transformers.models.Pooling", "path": "../elsewhere"}]"#,
        ] {
            dir.write("modules.json", bad);
            let e = pooling(dir.path()).unwrap_err();
            assert!(e.contains("modules.json"), "{e}");
        }
        dir.write("modules.json", r#"[{"type": "sentence_transformers.models.Pooling", "path": "3_Pool"}]"#);
        dir.write("3_Pool/config.json", r#"{"pooling_mode_cls_token": true}"#);
        assert_eq!(pooling(dir.path()), Ok(Pooling::Cls));
    }

    #[test]
    fn prompts_are_the_models_prefixes() {
        let dir = Dir::new();
        dir.write("model.onnx", "");
        dir.write("tokenizer.json", "");
        let config = r#"{"prompts": {"query": "query: ", "passage": "passage: ", "sts": "similar: "}}"#;
        dir.write("config_sentence_transformers.json", config);
        let folder = Folder::open(dir.path()).unwrap();
        for (asked, prefix) in [
            (Some("query"), "query: "),
            (Some("document"), "passage: "),
            (None, "passage: "),
            (Some("sts"), "similar: "),
        ] {
            assert_eq!(folder.prefix(asked), Ok(prefix), "{asked:?}");
        }
        let e = folder.prefix(Some("x")).unwrap_err();
        assert!(e.contains("query, document, passage, sts"), "{e}");
    }

    #[test]
    fn a_folder_without_a_model_is_refused_by_its_name() {
        let dir = Dir::new();
        let shown = dir.path().to_string_lossy().into_owned();
        assert!(Folder::open(&dir.path().join("none")).unwrap_err().contains("none"));
        let e = Folder::open(dir.path()).unwrap_err();
        assert!(e.contains(&shown) && e.contains("no model.onnx"), "{e}");
        dir.write("onnx/model.onnx", "");
        assert!(Folder::open(dir.path()).unwrap_err().contains("tokenizer.json"));
        dir.write("tokenizer.json", "");
        assert!(Folder::open(dir.path()).is_ok());
    }
}
