//! Who sees which client, and what a lock leaves.

use super::*;
use crate::client::options::Options;

pub fn client(name: &str, scope: &str) -> Arc<Client> {
    let options = format!(r#"{{"format":"openai","scope":"{scope}"}}"#);
    Client::new(name, Options::parse(&options).unwrap()).unwrap()
}

pub fn names(registry: &Registry) -> Vec<String> {
    // Other tests may have registered clients of the process.
    let all = registry.list().unwrap().into_iter().map(|e| e.client.name().to_owned());
    all.filter(|n| n.starts_with("reg-")).collect()
}

#[test]
fn a_connection_shadows_the_process() {
    let (one, other) = (Registry::default(), Registry::default());
    one.insert(client("reg-shared", "process"), None, false).unwrap();
    assert!(other.get("reg-shared").is_ok());
    other.insert(client("reg-shared", "connection"), None, false).unwrap();
    assert_eq!(other.get("reg-shared").unwrap().scope(), Scope::Connection);
    assert_eq!(one.get("reg-shared").unwrap().scope(), Scope::Process);
    assert!(other.remove("reg-shared").unwrap());
    assert_eq!(other.get("reg-shared").unwrap().scope(), Scope::Process);
    assert!(one.remove("reg-shared").unwrap());
    assert!(!one.remove("reg-shared").unwrap());
    assert!(other.get("reg-shared").is_err());
}

#[test]
fn a_row_is_found_unless_a_client_of_its_name_hides_it() {
    let (r, other) = (Registry::default(), Registry::default());
    r.insert(client("reg-hidden", "process"), None, false).unwrap();
    let shared = r.named("reg-hidden").unwrap().unwrap().rowid;
    assert_eq!(r.row(shared).unwrap().unwrap().rowid, shared);
    let own = r.insert(client("reg-hidden", "connection"), None, false).unwrap();
    assert!(r.row(shared).unwrap().is_none() && r.row(own).unwrap().is_some());
    assert!(other.row(shared).unwrap().is_some() && other.row(own).unwrap().is_none());
    r.remove("reg-hidden").unwrap();
    assert!(r.row(own).unwrap().is_none() && r.row(shared).unwrap().is_some());
    r.remove("reg-hidden").unwrap();
    assert!(r.row(shared).unwrap().is_none());
}

#[test]
fn clients_that_are_configured_alike_count_each_for_itself() {
    let r = Registry::default();
    let texts = |name: &str| r.get(name).unwrap().stats().json()["texts"].clone();
    let count = |name: &str| {
        r.get(name).unwrap().stats().texts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    };
    let alike = |name: &str, model: &str| {
        let options = format!(r#"{{"format":"openai","model":"{model}","requests_per_minute":9}}"#);
        Client::new(name, Options::parse(&options).unwrap()).unwrap()
    };
    r.insert(alike("reg-one", "m"), None, false).unwrap();
    r.insert(alike("reg-two", "m"), None, false).unwrap();
    count("reg-one");
    assert_eq!((texts("reg-one"), texts("reg-two")), (1.into(), 0.into()));
    let (one, two) = (r.get("reg-one").unwrap(), r.get("reg-two").unwrap());
    assert!(std::ptr::eq(one.pace(), two.pace()), "the provider counts them as one");
    // Changed, it counts on, and waits for whom the provider counts it with now.
    let old = r.named("reg-one").unwrap().unwrap();
    r.update(&old, alike("reg-new", "n"), None, false).unwrap();
    count("reg-new");
    assert_eq!(texts("reg-new"), 2);
    assert!(!std::ptr::eq(r.get("reg-new").unwrap().pace(), two.pace()));
    // Registered again as it was, as by each connection of a server; and as another.
    r.insert(alike("reg-new", "n"), None, true).unwrap();
    assert_eq!(texts("reg-new"), 2);
    r.insert(alike("reg-new", "m"), None, true).unwrap();
    assert_eq!(texts("reg-new"), 0);
}

#[test]
fn an_update_of_a_process_client_keeps_its_row() {
    let r = Registry::default();
    r.insert(client("reg-stays", "process"), None, false).unwrap();
    let old = r.named("reg-stays").unwrap().unwrap();
    r.update(&old, client("reg-renamed", "process"), None, false).unwrap();
    assert_eq!(r.named("reg-renamed").unwrap().unwrap().rowid, old.rowid);
    r.remove("reg-renamed").unwrap();
}

#[test]
fn a_locked_registry_keeps_what_it_has_seen() {
    let (one, other) = (Registry::default(), Registry::default());
    one.insert(client("reg-lock-own", "connection"), None, false).unwrap();
    other.insert(client("reg-lock-shared", "process"), None, false).unwrap();
    assert_eq!(one.locked(), None);
    one.lock();
    one.lock();
    assert_eq!(one.locked(), Some(Lock::Session));
    let before = one.get("reg-lock-shared").unwrap();
    // Another session that is not locked may do as it likes, for others.
    other.insert(client("reg-lock-late", "process"), None, false).unwrap();
    other.insert(client("reg-lock-shared", "process"), None, true).unwrap();
    assert!(one.get("reg-lock-late").is_err());
    assert!(Arc::ptr_eq(&before, &one.get("reg-lock-shared").unwrap()));
    assert!(other.remove("reg-lock-shared").unwrap());
    assert!(Arc::ptr_eq(&before, &one.get("reg-lock-shared").unwrap()));
    let mut seen = names(&one);
    seen.retain(|name| name.starts_with("reg-lock"));
    assert_eq!(seen, ["reg-lock-own", "reg-lock-shared"]);
    other.remove("reg-lock-late").unwrap();
}

#[test]
fn nothing_changes_a_locked_registry() {
    let r = Registry::default();
    r.insert(client("reg-shut", "connection"), None, false).unwrap();
    r.lock();
    let old = r.named("reg-shut").unwrap().unwrap();
    for refused in [
        r.insert(client("reg-new", "connection"), None, true).map(drop),
        r.insert(client("reg-new", "process"), None, true).map(drop),
        r.update(&old, client("reg-shut", "connection"), None, true),
        r.remove("reg-shut").map(drop),
        r.remove("nobody").map(drop),
        r.check_unlocked(),
    ] {
        let e = refused.unwrap_err().to_string();
        assert!(e.starts_with("locked by rembed_lock(): "), "{e}");
    }
    assert!(r.get("reg-shut").is_ok() && Registry::default().get("reg-new").is_err());
}

#[test]
fn a_locked_process_has_the_clients_of_the_config_alone() {
    let r = Registry::default();
    r.insert(client("reg-earlier", "process"), None, false).unwrap();
    let locked = Registry::new(true);
    assert!(locked.get("reg-earlier").is_err());
    locked.lock();
    assert_eq!(locked.locked(), Some(Lock::Process));
    assert!(locked.get("reg-earlier").is_err());
    let e = locked.remove("reg-earlier").unwrap_err().to_string();
    assert!(e.starts_with("locked by REMBED_LOCK: "), "{e}");
    assert!(r.remove("reg-earlier").unwrap());
}
