//! A stranger's file, and what loading does to a schema that has been read.

use serde_json::json;
use sqlite_host::*;

#[test]
fn no_schema_of_a_stranger_calls_what_is_the_users() {
    // Auto-extensions are those of the process.
    child().run(|| {
        let world = world(json!({"width": 4}));
        let directory = Directory::new("stranger");
        let tried = stranger::attack_all(&directory.path(""), &library(), &world.url(), || world.requests());
        assert!(tried >= 790, "{tried}");
    });
}

#[test]
fn loading_takes_the_schema_away_and_keeps_the_hosts_settings() {
    reload::the_schema_goes_and_the_hosts_settings_stay(&library());
}

#[test]
fn loading_does_not_end_open_statements() {
    reload::open_statements_go_on(&library());
    reload::the_statement_that_loads_goes_on(&library());
}

#[test]
fn a_statement_that_writes_cannot_load() {
    reload::a_statement_that_writes_cannot_load(&library());
}

#[test]
fn loading_within_a_transaction_loses_nothing() {
    reload::a_transaction_goes_on(&library());
}

#[test]
fn an_authorizer_that_denies_makes_loading_fail_with_the_reason() {
    reload::an_authorizer_that_denies_is_told(&library());
}

#[test]
fn loading_reads_no_file() {
    let directory = Directory::new("unreadable");
    reload::a_file_that_cannot_be_read_does_not_matter(&library(), &directory.path(""));
}

#[test]
fn read_only_and_attached_files_are_parsed_anew() {
    let directory = Directory::new("read-only");
    reload::read_only_and_attached_files_are_parsed_anew(&library(), &directory.path(""));
}
