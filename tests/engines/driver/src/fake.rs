//! The fake provider, started for a test.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running fake; it ends with its standard input, which is ours.
pub struct Fake {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    _process: Child,
}

impl Fake {
    /// Starts what `REMBED_FAKE` names, or what run.sh builds.
    ///
    /// # Panics
    /// Where there is none.
    pub fn start() -> Fake {
        let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fake/target/release/rembed-fake");
        let program = std::env::var_os("REMBED_FAKE").map_or(built, Into::into);
        let mut process = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}. run.sh builds it", program.display()));
        let mut url = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Fake { url: url.trim_end().into(), _process: process }
    }

    /// The statement that registers the client `c` with it.
    pub fn register(&self) -> String {
        format!("SELECT rembed_register('c', 'format', 'ollama', 'model', 'm', 'url', '{}')", self.url)
    }
}
