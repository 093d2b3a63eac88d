//! Proxies: which one the environment names, what each is told, and that nobody waits for one longer than asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use sqlite_rembed::embed::stream::Text;

#[path = "support/certified.rs"]
mod certified;
#[path = "support/wire.rs"]
mod wire;

use wire::{Ways, Wire, ask};

#[test]
fn child() {
    wire::child();
}

#[test]
fn a_proxy_is_told_what_curl_tells_it() {
    let authority = certified::Authority::new();
    let server = authority.sign(certified::server("api.test"));
    let ways = Ways { tls: Some(server.config(None)), ..Ways::default() };
    let wire = Wire::start(ways);
    let roots = certified::Temporary::file("proxies.pem", &(authority.pem() + &server.pem()));
    let at = |scheme: &str, login: &str| format!("{scheme}://{login}127.0.0.1:{}", wire.port);
    let basic = "Basic dXM6ZXI6cEBzcw==";
    for (variables, url, expected) in [
        (
            &[("http_proxy", at("http", ""))][..],
            "http://api.test/v1",
            "POST http://api.test/v1/embeddings HTTP/1.1".to_owned(),
        ),
        (
            &[("http_proxy", at("http", ""))],
            "http://api.test:81/v1?a=b",
            "POST http://api.test:81/v1/embeddings?a=b HTTP/1.1".into(),
        ),
        (
            &[("http_proxy", at("http", "us%3aer:p%40ss@"))],
            "http://api.test/v1",
            format!("POST http://api.test/v1/embeddings HTTP/1.1 {basic}"),
        ),
        (&[("https_proxy", at("http", ""))], "https://api.test/v1", "CONNECT api.test:443 HTTP/1.1".into()),
        (
            &[("HTTPS_PROXY", at("http", "us%3aer:p%40ss@"))],
            "https://api.test/v1",
            format!("CONNECT api.test:443 HTTP/1.1 {basic}"),
        ),
        (&[("all_proxy", at("socks5h", ""))], "https://api.test/v1", "socks5 api.test:443".into()),
        (&[("ALL_PROXY", at("socks5", ""))], "http://192.0.2.1/v1", "socks5 192.0.2.1:80".into()),
        (&[("ALL_PROXY", at("socks4", "joe@"))], "http://192.0.2.1:8/v1", "socks4 192.0.2.1:8 joe".into()),
        (&[("ALL_PROXY", at("socks4a", ""))], "https://api.test/v1", "socks4 api.test:443 ".into()),
    ] {
        let mut all = vec![("SSL_CERT_FILE", &*roots)];
        all.extend(variables.iter().map(|(name, value)| (*name, value.as_str())));
        // The connection is kept, so that the second request goes by it, too.
        let options = json!({"url": url});
        let got = ask(&all, &[options.clone(), options]);
        assert_eq!(got, ["ok", "ok"], "{variables:?} {url}");
        let asked = wire.asked();
        let number = asked[0].split(' ').next().unwrap();
        assert_eq!(asked[0], format!("{number} {expected}"), "{variables:?} {url}");
        assert!(asked.iter().all(|line| line.split(' ').next() == Some(number)), "{asked:?}");
        // Only the proxy hears of its password.
        let posts: Vec<_> = asked.iter().filter(|line| line.contains(" POST /")).collect();
        assert!(posts.iter().all(|line| !line.contains("Basic")), "{asked:?}");
    }
}

#[test]
fn a_proxy_within_tls_is_told_the_same() {
    let authority = certified::Authority::new();
    let server = authority.sign(certified::server("localhost"));
    let ways = Ways { tls: Some(server.config(None)), ..Ways::default() };
    let wire = Wire::start(ways);
    let roots = certified::Temporary::file("within.pem", &authority.pem());
    let proxy = format!("https://u:p@localhost:{}", wire.port);
    let variables = [("SSL_CERT_FILE", &*roots), ("ALL_PROXY", &proxy)];
    let plain = json!({"url": "http://api.test/v1"});
    assert_eq!(ask(&variables, &[plain.clone(), plain]), ["ok", "ok"]);
    let line = "0 POST http://api.test/v1/embeddings HTTP/1.1 Basic dTpw";
    assert_eq!(wire.asked(), [line, line]);
    // The certificate of the target counts as without a proxy.
    let got = ask(&variables, &[json!({"url": "https://api.test/v1"})]);
    assert!(got[0].contains("NotValidForName") || got[0].contains("not valid for name"), "{got:?}");
    assert_eq!(wire.asked(), ["1 CONNECT api.test:443 HTTP/1.1 Basic dTpw"]);
}

#[test]
fn this_machine_and_what_no_proxy_names_are_asked_directly() {
    let (wire, server) = (Wire::start(Ways::default()), Wire::start(Ways::default()));
    let proxy = format!("http://127.0.0.1:{}", wire.port);
    let direct = json!({"url": format!("http://127.0.0.1:{}/v1", server.port)});
    assert_eq!(ask(&[("http_proxy", &proxy), ("ALL_PROXY", &proxy)], &[direct]), ["ok"]);
    assert_eq!(server.asked(), ["0 POST /v1/embeddings HTTP/1.1"]);
    let quick = json!({"url": "http://192.0.2.1:9/v1", "connect_timeout": 0.3});
    for variables in [
        [("http_proxy", &*proxy), ("no_proxy", "a.org, 192.0.2.0/24")],
        [("HTTP_PROXY", &*proxy), ("no_proxy", "")],
    ] {
        let got = ask(&variables, std::slice::from_ref(&quick));
        assert!(got[0].contains("192.0.2.1:9") && !got[0].contains("proxy"), "{got:?}");
    }
    assert!(wire.asked().is_empty());
}

#[test]
fn a_proxy_that_refuses_is_named() {
    let refuse = |refusal| Wire::start(Ways { refusal: Some(refusal), ..Ways::default() });
    let login = Wire::start(Ways { login: true, ..Ways::default() });
    let plain = Wire::start(Ways::default());
    for (wire, scheme, why) in [
        (&refuse("407 Proxy Authentication Required"), "http://", "asks for a user and a password"),
        (&refuse("407 Proxy Authentication Required"), "http://u:s3cr3t@", "or takes others"),
        (&refuse("503 Service Unavailable"), "", "status 503"),
        (&login, "socks5h://", "it asks for a user and a password"),
        (&login, "socks5h://u:s3cr3t@", "it does not take this user and password"),
        (&plain, "https://u:s3cr3t@", "through the proxy"),
    ] {
        let proxy = format!("{scheme}127.0.0.1:{}", wire.port);
        let got = ask(&[("ALL_PROXY", &proxy)], &[json!({"url": "https://api.test/v1"})]);
        assert!(got[0].contains(why) && !got[0].contains("s3cr3t"), "{proxy}: {got:?}");
        assert!(got[0].contains(&format!("through the proxy 127.0.0.1:{}", wire.port)), "{got:?}");
    }
    let got = ask(&[("ALL_PROXY", "127.0.0.1:9")], &[json!({"url": "https://api.test/v1"})]);
    assert!(
        got[0].contains("through the proxy 127.0.0.1:9") && got[0].contains("is the proxy running?"),
        "{got:?}"
    );
    let got = ask(&[("https_proxy", "ftp://u:s3cr3t@h")], &[json!({"url": "https://api.test/v1"})]);
    assert!(got[0].contains("variable https_proxy") && !got[0].contains("s3cr3t"), "{got:?}");
    let login = format!("socks5://us%3aer:p%40ss@127.0.0.1:{}", login.port);
    assert_eq!(ask(&[("all_proxy", &login)], &[json!({"url": "http://192.0.2.1/v1"})]), ["ok"]);
}

#[test]
fn a_proxy_that_repeats_its_password_shows_it_to_nobody() {
    let body = b"who are you, Basic dXM6ZXI6czNjcjN0LXA=, with s3cr3t-p or s3cr3t%2Dp?".to_vec();
    let wire = Wire::start(Ways { status: "407 Who", body, ..Ways::default() });
    let proxy = format!("http://us%3aer:s3cr3t%2dp@127.0.0.1:{}", wire.port);
    let got = ask(&[("http_proxy", &proxy)], &[json!({"url": "http://api.test/v1"})]);
    let shows = ["s3cr3t", "czNjcjN0", "dXM6"].iter().any(|part| got[0].contains(part));
    assert!(
        got[0].contains("407") && got[0].contains("who are you, Basic ***, with *** or ***?") && !shows,
        "{got:?}"
    );
    assert!(wire.asked()[0].contains("dXM6ZXI6czNjcjN0LXA="));
}

#[test]
fn a_batch_that_fails_does_not_wait_for_its_workers() {
    let name = "a_batch_that_fails_does_not_wait_for_its_workers";
    if std::env::var_os("REMBED_TEST_BATCH").is_none() {
        let wire = Wire::start(Ways { silent_from: Some(1), status: "401 No", ..Ways::default() });
        let run = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env("REMBED_TEST_BATCH", "1")
            .env("ALL_PROXY", format!("socks5h://127.0.0.1:{}", wire.port))
            .output()
            .unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
        return;
    }
    let options = json!({"url": "http://192.0.2.1/v1", "batch_size": 1, "concurrency": 4, "timeout": 30});
    let session = wire::session(&[options]);
    // The first request has the first connection: the others begin later.
    let source = ["a", "b", "c", "d"].into_iter().enumerate().map(|(i, text)| {
        if i == 2 {
            std::thread::sleep(Duration::from_millis(500));
        }
        Ok((i, Text::Text(text.into())))
    });
    let mut stream = session.stream("0", None, source, false, None).unwrap().whole();
    let e = stream.next_row().unwrap().unwrap().value.unwrap_err().to_string();
    assert!(e.contains("401"), "{e}");
    let start = Instant::now();
    drop(stream);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn nobody_waits_for_a_proxy_that_says_nothing() {
    for scheme in ["socks5", "socks5h", "socks4", "socks4a"] {
        let wire = Wire::start(Ways { silent_from: Some(0), ..Ways::default() });
        let proxy = format!("{scheme}://127.0.0.1:{}", wire.port);
        let clients = [
            json!({"url": "http://192.0.2.1/v1", "timeout": 0.5}),
            json!({"url": "http://192.0.2.1/v1", "connect_timeout": 0.5}),
        ];
        let got = ask(&[("ALL_PROXY", &proxy)], &clients);
        assert!(got[0].contains("option timeout") && !got[0].contains("late"), "{scheme} {got:?}");
        assert!(got[1].contains("option connect_timeout") && !got[1].contains("late"), "{scheme} {got:?}");
    }
}

/// Interrupts after a moment.
struct Soon(Arc<AtomicBool>);

impl sqlite_rembed::base::interrupt::Interrupt for Soon {
    fn is_interrupted(&self) -> bool {
        self.0.load(SeqCst)
    }
}

#[test]
fn an_interrupt_ends_the_wait_for_a_proxy() {
    let name = "an_interrupt_ends_the_wait_for_a_proxy";
    if std::env::var_os("REMBED_TEST_INTERRUPT").is_none() {
        let wire = Wire::start(Ways { silent_from: Some(0), ..Ways::default() });
        let run = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env("REMBED_TEST_INTERRUPT", "1")
            .env("ALL_PROXY", format!("socks5h://127.0.0.1:{}", wire.port))
            .output()
            .unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
        assert_eq!(wire.asked(), ["0 socks, unanswered"]);
        return;
    }
    let flag = Arc::new(AtomicBool::new(false));
    let session = sqlite_rembed::Session::new("test", Arc::new(Soon(flag.clone())), None);
    let options = json!({"format": "openai", "url": "http://192.0.2.1/v1", "key": "", "timeout": 60});
    session.register("c", options.as_object().unwrap().clone()).unwrap();
    let interrupter = thread::spawn(move || {
        thread::sleep(Duration::from_millis(500));
        flag.store(true, SeqCst);
    });
    let start = Instant::now();
    assert!(session.embed_one("c", "text", None).is_err());
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    interrupter.join().unwrap();
}
