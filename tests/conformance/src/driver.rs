//! A driver: a process that runs statements on its engine, one JSON line each (README.md has the protocol).

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::value::Rows;

/// A statement that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(60);

/// What a statement came to when it did not come to rows.
#[derive(Debug, Clone)]
pub enum Failure {
    /// The engine's message.
    Sql(String),
    /// The driver is no more, or speaks nonsense.
    Broken(String),
}

/// Who a driver says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// The engine and its version.
    pub engine: String,
    /// The host.
    pub host: String,
}

/// A running driver.
pub struct Driver {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    stderr: PathBuf,
    greeting: Greeting,
    broken: Option<String>,
    patience: Duration,
}

impl Driver {
    /// Starts `command` with nothing of our environment that the library reads but `variables`.
    ///
    /// # Errors
    /// A driver that does not start, or does not say who it is.
    pub fn start(
        mut command: Command,
        variables: &[(String, String)],
        folder: &Path,
    ) -> Result<Driver, String> {
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(is_read_by_the_library) {
                command.env_remove(name);
            }
        }
        let stderr = folder.join("stderr.txt");
        let log = File::create(&stderr).map_err(|e| e.to_string())?;
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().map_err(|e| format!("{command:?}: {e}"))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        let greeting = Greeting { engine: String::new(), host: String::new() };
        let mut driver = Driver { child, stdin, lines, stderr, greeting, broken: None, patience: LONGEST };
        let first = driver.read()?;
        let text =
            |name: &str| first[name].as_str().map(str::to_owned).ok_or(format!("not a greeting: {first}"));
        driver.greeting = Greeting { engine: text("engine")?, host: text("host")? };
        Ok(driver)
    }

    /// Who it says it is.
    pub fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    /// Why it can do no more, if it cannot.
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// Runs one statement on the connection of that name.
    ///
    /// # Errors
    /// The engine's error; a driver that is broken.
    pub fn ask(&mut self, connection: &str, sql: &str) -> Result<Rows, Failure> {
        if let Some(why) = &self.broken {
            return Err(Failure::Broken(why.clone()));
        }
        let answer = self.exchange(connection, sql);
        let rows = match answer {
            Ok(answer) => match (answer.get("rows"), answer.get("error")) {
                (Some(rows), None) => Rows::read(rows),
                (None, Some(Value::String(text))) => return Err(Failure::Sql(text.clone())),
                _ => Err(format!("not an answer: {answer}")),
            },
            Err(why) => Err(why),
        };
        rows.map_err(|why| {
            self.broken = Some(why.clone());
            Failure::Broken(why)
        })
    }

    fn exchange(&mut self, connection: &str, sql: &str) -> Result<Value, String> {
        let line = format!("{}\n", json!({"connection": connection, "sql": sql}));
        let stdin = self.stdin.as_mut().ok_or("its input is closed")?;
        let sent = stdin.write_all(line.as_bytes()).and_then(|()| stdin.flush());
        match sent {
            Ok(()) => self.read(),
            // How it ended says more than the broken pipe.
            Err(_) => Err(self.ended()),
        }
    }

    fn read(&mut self) -> Result<Value, String> {
        match self.lines.recv_timeout(self.patience) {
            Ok(line) => {
                serde_json::from_str(&line).map_err(|e| format!("the driver's line is no JSON ({e}): {line}"))
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                self.kill();
                Err(format!("no answer in {} s", self.patience.as_secs_f32()))
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(self.ended()),
        }
    }

    fn ended(&mut self) -> String {
        let status = self.wait(Duration::from_secs(5));
        format!("the driver ended ({status}); it said:\n{}", self.said())
    }

    /// Ends it as its users do, by the end of its input. Connections that crash when they close show here.
    ///
    /// # Errors
    /// An end that was not in order.
    pub fn finish(mut self) -> Result<(), String> {
        self.stdin = None;
        match self.wait(Duration::from_secs(10)) {
            status if status == "exit status: 0" || self.broken.is_some() => Ok(()),
            status => Err(format!("the driver's end: {status}; it said:\n{}", self.said())),
        }
    }

    fn wait(&mut self, patience: Duration) -> String {
        let start = Instant::now();
        while start.elapsed() < patience {
            match self.child.try_wait() {
                Ok(Some(status)) => return status.to_string(),
                Ok(None) => std::thread::sleep(Duration::from_millis(2)),
                Err(e) => return e.to_string(),
            }
        }
        self.kill();
        "killed, since it did not end".into()
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn said(&self) -> String {
        let text = std::fs::read_to_string(&self.stderr).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.stdin = None;
        self.kill();
    }
}

fn is_read_by_the_library(variable: &str) -> bool {
    variable.starts_with("REMBED_")
        || variable.ends_with("_API_KEY")
        || variable.ends_with("_API_TOKEN")
        || variable.to_ascii_lowercase().ends_with("_proxy")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A driver in a line of shell: a greeting, and then what `script` does.
    fn driver(script: &str) -> (Driver, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("echo '{{\"engine\":\"E 1\",\"host\":\"sh\"}}'; {script}")]);
        let mut driver = Driver::start(command, &[], folder.path()).unwrap();
        driver.patience = Duration::from_millis(300);
        (driver, folder)
    }

    fn broken(script: &str) -> String {
        let (mut driver, _folder) = driver(script);
        let Err(Failure::Broken(why)) = driver.ask("default", "SELECT 1") else { panic!("{script}") };
        assert!(driver.broken().is_some());
        why
    }

    #[test]
    fn rows_and_errors_are_told_apart() {
        let script = r#"read a; echo '{"rows":[[1]]}'; read b; echo '{"error":"no"}'; read c; exit 0"#;
        let (mut driver, _folder) = driver(script);
        assert_eq!(driver.greeting().engine, "E 1");
        assert_eq!(driver.ask("default", "SELECT 1").unwrap().rows, [["1"]]);
        assert!(matches!(driver.ask("default", "SELECT 1"), Err(Failure::Sql(text)) if text == "no"));
        driver.finish().unwrap();
    }

    #[test]
    fn a_driver_that_hangs_dies_or_babbles_is_broken() {
        assert!(broken("exec sleep 60").contains("no answer in 0.3 s"));
        let died = broken("read a; echo last words >&2; exit 3");
        assert!(died.contains("exit status: 3") && died.contains("last words"), "{died}");
        assert!(broken("read a; echo hello").contains("no JSON"));
        assert!(broken("read a; echo '{}'").contains("not an answer"));
        assert!(broken("read a; echo '{\"rows\":[[true]]}'").contains("not a value"));
    }

    #[test]
    fn a_crash_at_the_end_is_seen() {
        let (driver, _folder) = driver("read a; kill -SEGV $$");
        assert!(driver.finish().unwrap_err().contains("signal: 11"));
    }

    #[test]
    fn what_the_library_reads_is_not_inherited() {
        for name in ["REMBED_CONFIG", "OPENAI_API_KEY", "DEEPINFRA_API_TOKEN", "https_proxy", "HTTP_PROXY"] {
            assert!(is_read_by_the_library(name), "{name}");
        }
        assert!(!is_read_by_the_library("PATH"));
    }
}
