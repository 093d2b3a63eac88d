//! `REMBED_CONFIG`: a file of clients that every session of the process has.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::rows::shared_rowid;
use super::{Clients, Entry, renewed};
use crate::base::error::{Error, Result};
use crate::base::process::PerProcess;
use crate::client::Client;
use crate::client::options::Options;

/// The largest `REMBED_CONFIG` that is read.
const CONFIG_MAX: usize = 4 << 20;

static CONFIG: PerProcess<Result<Clients, String>> = PerProcess::new(|parent| {
    match (parent, std::env::var_os("REMBED_CONFIG").filter(|path| !path.is_empty())) {
        (Some(parent), _) => parent.as_ref().map(renewed).map_err(String::clone),
        (None, Some(path)) => {
            read_config(&path).map_err(|e| format!("REMBED_CONFIG ({}): {e}", path.to_string_lossy()))
        }
        (None, None) => Ok(Clients::default()),
    }
});

/// The clients of `REMBED_CONFIG`.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn config() -> Result<&'static Clients> {
    CONFIG.as_ref().map_err(|e| Error::invalid(e.clone()))
}

/// The error of a change to a client of `REMBED_CONFIG`.
pub fn read_only(name: &str) -> Error {
    Error::invalid(format!(
        "client '{name}' comes from REMBED_CONFIG, which is read-only here: INSERT one of that name to shadow it"
    ))
}

fn read_config(path: &std::ffi::OsStr) -> Result<Clients, String> {
    let text = crate::base::file::read_once(std::path::Path::new(path), CONFIG_MAX)?;
    parse_config(&text)
}

/// The clients of the text of a `REMBED_CONFIG`.
pub(crate) fn parse_config(text: &[u8]) -> Result<Clients, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        clients: Map<String, Value>,
    }
    // serde reads the fields of a struct from an array too.
    if text.trim_ascii_start().starts_with(b"[") {
        return Err("it must be a JSON object, as {\"clients\": {…}}".into());
    }
    let config: Config = serde_json::from_slice(text).map_err(|e| match e.is_data() {
        // The parser's message about a wrong shape quotes the file, and the quote may be a key.
        true => format!("it is not {{\"clients\": {{\"name\": {{options}}}}}} (line {})", e.line()),
        false => e.to_string(),
    })?;
    let mut clients = Clients::default();
    for (name, options) in config.clients {
        let options = match options {
            Value::Object(map) => Options::from_map(map),
            Value::String(format) => Options::parse(&format),
            _ => Err(Error::invalid("options must be a JSON object")),
        };
        let client = options.and_then(|o| Client::new(&name, o)).map_err(|e| {
            let (e, names_it) = (e.to_string(), format!("client '{name}'"));
            if e.starts_with(&names_it) { e } else { format!("{names_it}: {e}") }
        })?;
        let rowid = shared_rowid();
        clients.insert(Entry { rowid, client, read_only: true });
    }
    Ok(clients)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_is_checked_whole() {
        let path = std::env::temp_dir().join(format!("rembed-config-{}", std::process::id()));
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read_config(path.as_os_str())
        };
        let clients = read(r#"{"clients":{"a":{"format":"ollama","model":"m"},"b":"openai"}}"#).unwrap();
        assert_eq!(clients.entries().map(|e| e.client.name()).collect::<Vec<_>>(), ["a", "b"]);
        assert!(clients.get("a").unwrap().read_only);
        assert_eq!(read("\u{feff}{\"clients\":{\"a\":\"openai\"}}").unwrap().entries().count(), 1);
        for (bad, why) in [
            (r#"{"client":{}}"#, r#"it is not {"clients": "#),
            (r#"{"sk-1":{},"clients":{}}"#, "it is not"),
            (r#"{"clients":"sk-1"}"#, "it is not"),
            (r#"{"clients":{"a":{"modle":"m"}}}"#, "client 'a': unknown option 'modle'"),
            (r#"{"clients":{"a":5}}"#, "object"),
            (r#"[{"a":{"format":"ollama"}}]"#, "must be a JSON object"),
            ("{", "EOF"),
        ] {
            let e = read(bad).unwrap_err();
            assert!(e.contains(why) && !e.contains("sk-1"), "{e}");
        }
        std::fs::remove_file(path).unwrap();
    }
}
