//! Names the source commit for `rembed_debug()`, and keeps the loadable library mapped.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
    };
    // Only when this is the repository itself, not a copy inside someone else's.
    let top = git(&["rev-parse", "--show-toplevel"]);
    let here = std::env::var("CARGO_MANIFEST_DIR").ok();
    let commit = if top.is_some() && top == here { git(&["rev-parse", "HEAD"]) } else { None };
    if let Some(head) = commit.as_ref().and_then(|_| git(&["rev-parse", "--git-path", "logs/HEAD"])) {
        println!("cargo::rerun-if-changed={head}");
    }
    println!("cargo::rustc-env=REMBED_COMMIT={}", commit.as_deref().unwrap_or("unknown"));

    // SQLite unmaps an extension when its connection closes; threads and thread-locals of ours may outlive that.
    // (On macOS an image with thread-locals is never unmapped.)
    let os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if ["linux", "android", "freebsd", "netbsd", "openbsd", "dragonfly"].contains(&os.as_str()) {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
