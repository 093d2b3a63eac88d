//! The fake provider, started from Rust.

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running fake. It ends with this value, or with the process.
pub struct Fake {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    process: Child,
}

impl Fake {
    /// Starts what `REMBED_FAKE` names, or what run.sh builds.
    ///
    /// # Panics
    /// Where there is none.
    pub fn start() -> Fake {
        let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fake/target/release/rembed-fake");
        let program = std::env::var_os("REMBED_FAKE").map_or(built, Into::into);
        Fake::of(&program).unwrap_or_else(|e| panic!("{}: {e}. run.sh builds it", program.display()))
    }

    /// Starts this program.
    ///
    /// # Errors
    /// It does not start, or does not say where it is.
    pub fn of(program: &Path) -> io::Result<Fake> {
        let mut process = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut url = String::new();
        BufReader::new(process.stdout.take().expect("it is piped")).read_line(&mut url)?;
        Ok(Fake { url: url.trim_end().into(), process })
    }

    /// The statement that registers the client `c` with it.
    pub fn register(&self) -> String {
        format!("SELECT rembed_register('c', 'format', 'ollama', 'model', 'm', 'url', '{}')", self.url)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        // One that has ended already needs neither.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
