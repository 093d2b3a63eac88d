//! Tests that need a process of their own: for its environment, or for its memory.

use std::any::type_name;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::fake::{FAKE_URL, World, shared};

/// A test that hangs must not hang all others.
const LONGEST: Duration = Duration::from_secs(180);
const NAME: &str = "REMBED_TEST_CHILD";
const WORLD: &str = "REMBED_TEST_WORLD";

/// A process to come.
#[derive(Default)]
pub struct Child {
    variables: Vec<(String, OsString)>,
}

/// A process that inherits no key and no setting of the extension.
pub fn child() -> Child {
    Child::default()
}

impl Child {
    /// Sets a variable of its environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables.push((name.into(), value.as_ref().into()));
        self
    }

    /// Runs `test` there. To be called by the test function itself, which the new process runs again, alone;
    /// what stands before this call therefore happens in both.
    pub fn run<F: FnOnce()>(self, test: F) {
        let name = test_name::<F>();
        match is_child(name) {
            true => test(),
            false => self.spawn(name),
        }
    }

    /// The same for a test whose environment names a scenario: it gets that one, not one of its own.
    pub fn run_in<F: FnOnce(&World)>(self, world: &World, test: F) {
        let name = test_name::<F>();
        match is_child(name) {
            true => test(&shared().existing(&env::var(WORLD).unwrap())),
            false => self.env(WORLD, world.name()).spawn(name),
        }
    }

    fn spawn(self, name: &str) {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args([name, "--exact", "--nocapture"]);
        for (inherited, _) in env::vars_os() {
            if inherited.to_str().is_some_and(is_ours) {
                command.env_remove(inherited);
            }
        }
        command.env(NAME, name).env(FAKE_URL, shared().url()).envs(self.variables);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let outputs = [read(process.stdout.take().unwrap()), read(process.stderr.take().unwrap())];
        let start = Instant::now();
        let status = loop {
            match process.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if start.elapsed() > LONGEST => break None,
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        let _ = process.kill();
        // Indented, so that nobody counts its verdict among ours.
        let text = outputs.map(|output| output.join().unwrap()).concat().replace('\n', "\n  | ");
        let status = status.unwrap_or_else(|| panic!("no end after {LONGEST:?}: {text}"));
        // A name that nobody has would succeed too, with no test run.
        assert!(status.success() && text.contains("1 passed"), "{status}: {text}");
    }
}

fn read(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The name by which libtest knows the function that `F` is a closure of.
fn test_name<F>() -> &'static str {
    // "crate::module::function::{{closure}}"
    let path = type_name::<F>().trim_end_matches("::{{closure}}");
    path.split_once("::").unwrap().1
}

fn is_child(name: &str) -> bool {
    env::var(NAME).is_ok_and(|running| running == name)
}

fn is_ours(variable: &str) -> bool {
    let settings =
        ["REMBED_CONFIG", "REMBED_LOCK", "REMBED_ALLOW_HOSTS", "REMBED_CACHE_BYTES", "REMBED_CACHE_DIR"];
    settings.contains(&variable)
        || variable.ends_with("_API_KEY")
        || variable.ends_with("_API_TOKEN")
        || variable.to_ascii_lowercase().ends_with("_proxy")
}
