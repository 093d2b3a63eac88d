//! What rows of the table of clients become.

use std::sync::Arc;

use super::*;
use crate::base::interrupt::Uninterrupted;
use crate::client::key::Credential;

fn session() -> Session {
    Session::new("test", Arc::new(Uninterrupted), None)
}

fn add(session: &Session, options: &str) -> Result<i64> {
    let columns = Columns { name: Some(Some("c")), options: Some(Some(options)), ..Columns::default() };
    session.insert(&columns, None, false)
}

fn row(session: &Session) -> (String, Option<String>, String) {
    let client = session.row_named("c").unwrap().unwrap().client;
    (client.model().into(), client.shown_key(), client.shown_options())
}

#[test]
fn a_new_server_of_tokens_drops_a_literal_key_too() {
    for (change, is_kept) in [
        (r#"{"timeout":5}"#, true),
        (r#"{"token_url":"https://iam.evil.example"}"#, false),
        (r#"{"token_url":"https://iam.evil.example","key":"sk-2"}"#, true),
        (r#"{"format":"openai"}"#, false),
    ] {
        let s = session();
        let id =
            add(&s, r#"{"format":"watsonx","url":"https://eu-de.ml.cloud.ibm.com","key":"sk-1"}"#).unwrap();
        s.update(id, id, &Columns { options: Some(Some(change)), ..Columns::default() }, false).unwrap();
        let after = s.row(id).unwrap().unwrap().client;
        assert_eq!(after.shown_key().is_some(), is_kept, "{change}");
    }
}

#[test]
fn a_new_url_drops_a_literal_key_unless_one_is_given() {
    let s = session();
    let id =
        add(&s, r#"{"format":"openai","key":"sk-1","headers":{"api-key":"k","user-agent":"o"}}"#).unwrap();
    let url = Columns { url: Some(Some("http://localhost:1")), ..Columns::default() };
    s.update(id, id, &url, false).unwrap();
    assert_eq!(row(&s), ("c".into(), None, r#"{"headers":{"user-agent":"o"}}"#.into()));
    let both = Columns { url: Some(Some("http://localhost:2")), key: Some(Some("sk-2")), ..url };
    s.update(id, id, &both, false).unwrap();
    assert_eq!(row(&s).1.as_deref(), Some("***"));
    let reference = Columns { key: Some(Some("env:K")), ..Columns::default() };
    s.update(id, id, &reference, false).unwrap();
    s.update(id, id, &url, false).unwrap();
    assert_eq!(row(&s).1.as_deref(), Some("env:K"));
}

#[test]
fn an_update_changes_what_it_names_and_a_failed_one_nothing() {
    let s = session();
    let id = add(&s, r#"{"format":"openai","dimensions":4,"key":"sk-1"}"#).unwrap();
    let model = Columns { model: Some(Some("big")), ..Columns::default() };
    s.update(id, id, &model, false).unwrap();
    assert_eq!(row(&s), ("big".into(), Some("***".into()), r#"{"dimensions":4}"#.into()));
    let cohere = Columns { format: Some(Some("cohere")), ..Columns::default() };
    s.update(id, id, &cohere, false).unwrap();
    assert_eq!(row(&s).1, None);
    let back = Columns { format: Some(Some("openai")), key: Some(Some("sk-1")), ..Columns::default() };
    s.update(id, id, &back, false).unwrap();
    let bad = Columns { format: Some(Some("nope")), ..Columns::default() };
    assert!(s.update(id, id, &bad, false).is_err());
    let options = Columns { options: Some(Some(r#"{"retries":1}"#)), ..Columns::default() };
    s.update(id, id, &options, false).unwrap();
    assert_eq!(row(&s), ("big".into(), Some("***".into()), r#"{"retries":1}"#.into()));
    let name = Columns { name: Some(Some("d")), ..Columns::default() };
    s.update(id, 9, &name, false).unwrap();
    assert!(s.row_named("c").unwrap().is_none());
    assert_eq!(s.row(9).unwrap().unwrap().client.name(), "d");
}

#[test]
fn what_is_written_back_as_it_is_shown_changes_nothing() {
    let s = session();
    let id = add(&s, r#"{"format":"openai","dimensions":4,"key":"sk-1","scope":"connection"}"#).unwrap();
    let before = s.row(id).unwrap().unwrap().client;
    let (url, options) = (before.url().unwrap(), before.shown_options());
    let all = Columns {
        name: Some(Some("c")),
        format: Some(Some("openai")),
        model: Some(Some("new")),
        url: Some(Some(&url)),
        key: Some(Some("***")),
        options: Some(Some(&options)),
    };
    s.update(id, id, &all, false).unwrap();
    let after = s.row(id).unwrap().unwrap().client;
    assert_eq!(after.model(), "new");
    assert!(matches!(after.key(), Ok(Some(Credential::Token(key))) if *key == "sk-1"));
    assert_eq!(after.shown_options(), options);
}

#[test]
fn the_prefixes_of_a_model_go_with_it() {
    let s = session();
    let id = add(&s, r#"{"format":"ollama","model":"embeddinggemma"}"#).unwrap();
    let shown = s.row(id).unwrap().unwrap().client.shown_options();
    assert!(shown.contains("task: search result"), "{shown}");
    assert!(s.debug().contains("c (embeddinggemma): query_prefix \"task: search result | query: \"\n"));
    // Written back with one option more, they are still the model's.
    let more = shown.replace('{', "{\"timeout\":9,");
    let timeout = Columns { options: Some(Some(&more)), ..Columns::default() };
    s.update(id, id, &timeout, false).unwrap();
    assert_eq!(row(&s).2, more);
    let shown = more;
    let other = Columns { model: Some(Some("e5-small")), options: Some(Some(&shown)), ..Columns::default() };
    s.update(id, id, &other, false).unwrap();
    assert_eq!(row(&s).2, r#"{"timeout":9,"query_prefix":"query: ","document_prefix":"passage: "}"#);
}

#[test]
fn new_options_keep_the_scope_unless_they_name_one() {
    let s = session();
    let id = add(&s, r#"{"format":"openai","scope":"process"}"#).unwrap();
    let options = Columns { options: Some(Some(r#"{"retries":1}"#)), ..Columns::default() };
    s.update(id, id, &options, false).unwrap();
    let client = s.row(id).unwrap().unwrap().client;
    assert_eq!(client.scope(), Scope::Process);
    assert_eq!(client.shown_options(), r#"{"retries":1,"scope":"process"}"#);
    s.unregister("c").unwrap();
}

#[test]
fn a_column_and_the_options_may_not_disagree() {
    let s = session();
    let columns = Columns {
        name: Some(Some("c")),
        model: Some(Some("a")),
        options: Some(Some(r#"{"format":"openai","model":"b"}"#)),
        ..Columns::default()
    };
    assert!(s.insert(&columns, None, false).unwrap_err().to_string().contains("given twice"));
    let agree = Columns { model: Some(Some("b")), ..columns };
    s.insert(&agree, None, false).unwrap();
}

#[test]
fn the_model_survives_a_new_name() {
    let s = session();
    let id = add(&s, "openai").unwrap();
    let name = Columns { name: Some(Some("d")), ..Columns::default() };
    s.update(id, id, &name, false).unwrap();
    assert_eq!(s.row(id).unwrap().unwrap().client.model(), "c");
}
