//! A stranger's file, and what loading does to a schema that has been read.

use rusqlite::{Connection, OpenFlags};
use serde_json::json;
use sqlite_host::stranger::{Before, Way};
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

/// What a stranger may do with a client of the user's is what SECURITY.md says: `rembed()`, where the host trusts the schema.
#[test]
fn a_trigger_of_a_stranger_embeds_unless_the_schema_is_not_trusted() {
    let world = world(json!({"width": 4}));
    let directory = Directory::new("trusted");
    let path = directory.path("a.db");
    let trigger = "CREATE TABLE notes(body TEXT); CREATE TRIGGER t AFTER INSERT ON notes BEGIN SELECT upper('evil'); END";
    stranger::make(&path, trigger, "rembed('c', NEW.body)");
    let db = stranger::open(&path, &library(), Way::Api, Before::Read);
    register(&db, "c", &world, "{}");
    db.run("INSERT INTO notes VALUES ('b')", ());
    assert_eq!(world.texts(), ["b"]);
    db.run("CREATE VIEW v AS SELECT embedding FROM rembed_batch('c', '[\"e\"]')", ());
    assert_eq!(db.vector("SELECT * FROM v", ()).len(), 4);
    db.run("PRAGMA trusted_schema = OFF", ());
    assert!(error(db.fails("SELECT * FROM v", ())).contains("unsafe use of virtual table"));
    assert!(error(db.fails("INSERT INTO notes VALUES ('d')", ())).contains("unsafe use of rembed()"));
    assert_eq!(world.requests(), 2);
}

#[test]
fn a_refused_file_is_repaired_without_the_extension() {
    let directory = Directory::new("repair");
    let path = directory.path("a.db");
    let refused = |db: &Connection| {
        let text = db.fails("SELECT body FROM notes", ()).text;
        assert!(
            text.contains("malformed database schema") && text.contains("unsafe use of rembed_register()"),
            "{text}"
        );
    };
    for (name, schema, _) in stranger::schemas() {
        stranger::make(&path, schema, "rembed_register('evil', 'openai')");
        let with = stranger::open(&path, &library(), Way::Api, Before::New);
        if name.starts_with("view") || name.starts_with("trigger") || name == "DEFAULT" {
            // Refused where they are used.
            assert_eq!(with.all::<String>("SELECT body FROM notes", ()), ["a"], "{name}");
            continue;
        }
        refused(&with);
        refused(&with);
        drop(with);
        let without = Connection::open(&path).unwrap();
        if name.contains("index") {
            without.run("DROP INDEX i", ());
        } else {
            without.execute_batch("CREATE TABLE saved AS SELECT body FROM notes; DROP TABLE notes; ALTER TABLE saved RENAME TO notes").unwrap();
        }
        drop(without);
        let db = stranger::open(&path, &library(), Way::Api, Before::New);
        assert_eq!(db.all::<String>("SELECT body FROM notes", ()), ["a"], "{name}");
        db.run("INSERT INTO notes(body) VALUES ('b')", ());
        assert_eq!(db.get::<String>("PRAGMA integrity_check", ()), "ok", "{name}");
    }
}

/// One parsed schema serves all connections of a shared cache: whoever parses it without the extension does not check.
#[test]
fn a_shared_cache_is_checked_where_every_connection_has_the_extension() {
    let directory = Directory::new("shared");
    let path = directory.path("a.db");
    let schema = "CREATE TABLE notes(body TEXT CHECK(upper('evil') IS NOT NULL))";
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_SHARED_CACHE;
    let open = || Connection::open_with_flags(&path, flags).unwrap();
    let insert = "INSERT INTO notes VALUES ('b')";
    for without in [false, true] {
        stranger::make(&path, schema, "rembed_register('evil', 'openai')");
        let (a, b) = (open(), open());
        a.run("SELECT body FROM notes", ());
        load(&b, &library(), None).unwrap();
        if without {
            a.run("SELECT body FROM notes", ());
        } else {
            load(&a, &library(), None).unwrap();
            assert!(a.try_run("SELECT body FROM notes", ()).is_err());
        }
        assert_eq!(b.try_run(insert, ()).is_ok(), without);
    }
}

/// What is in the disk cache's own file: its SQL, and whether the cache works nevertheless.
const IN_THE_CACHE: [(&str, bool); 7] = [
    ("CREATE TRIGGER t AFTER INSERT ON vectors BEGIN SELECT rembed('d', 'needle'); END", true),
    ("CREATE TRIGGER t BEFORE INSERT ON vectors BEGIN SELECT rembed_register('evil', 'openai'); END", true),
    ("CREATE TRIGGER t BEFORE DELETE ON vectors BEGIN SELECT rembed('d', 'needle'); END", true),
    ("CREATE INDEX i ON vectors(rembed('d', 'needle' || id))", false),
    ("ALTER TABLE vectors ADD COLUMN x CHECK(rembed('d', 'needle') IS NOT NULL)", false),
    ("ALTER TABLE vectors ADD COLUMN x AS (rembed('d', 'needle')) NOT NULL", false),
    (
        "ALTER TABLE vectors RENAME TO v; CREATE VIEW vectors AS SELECT id, client, rembed('d', 'needle') AS vector FROM v",
        false,
    ),
];

/// The file may be anybody's, and what it calls would wait for the cache, which is in use.
#[test]
fn the_disk_caches_own_file_runs_nothing() {
    const CASE: &str = "REMBED_TEST_CASE";
    if let Ok(case) = std::env::var(CASE) {
        return open_a_hostile_cache(IN_THE_CACHE[case.parse::<usize>().unwrap()]);
    }
    for case in 0..IN_THE_CACHE.len() {
        let directory = Directory::new(&format!("hostile-cache-{case}"));
        let child = child().env("REMBED_CACHE_DIR", directory.path("")).env(CASE, case.to_string());
        child.run(|| unreachable!());
    }
}

/// In a host that has the extension in every connection.
fn open_a_hostile_cache((sql, works): (&str, bool)) {
    // SAFETY: it is an entry point.
    assert_eq!(unsafe { stranger::auto_extension(stranger::entry(&library())) }, 0);
    let path = std::path::Path::new(&std::env::var("REMBED_CACHE_DIR").unwrap()).join("vectors-2.sqlite");
    let file = Connection::open(path).unwrap();
    file.run(
        "CREATE TABLE vectors(id INTEGER PRIMARY KEY, client INTEGER NOT NULL, vector BLOB NOT NULL)",
        (),
    );
    file.execute_batch(sql).unwrap();
    let world = world(json!({"width": 4}));
    let db = Connection::open_in_memory().unwrap();
    register(&db, "c", &world, r#"{"cache": "disk"}"#);
    register(&db, "d", &world, r#"{"cache": "disk", "scope": "process"}"#);
    db.embed("a");
    let off = db.get::<String>("SELECT rembed_stats()", ()).contains("the disk cache is off");
    assert_eq!(off, !works, "{sql}");
    if works {
        assert_eq!(file.get::<i64>("SELECT count(*) FROM vectors", ()), 1, "{sql}");
        // From memory and from the disk.
        assert_eq!(db.get::<i64>("SELECT rembed_cache_clear('c')", ()), 2, "{sql}");
        assert_eq!(file.get::<i64>("SELECT count(*) FROM vectors", ()), 0, "{sql}");
    }
    assert_eq!(world.texts(), ["a"], "{sql}");
    assert_eq!(db.all::<String>("SELECT name FROM temp.rembed_clients", ()), ["c", "d"], "{sql}");
}

#[test]
fn an_attached_file_of_a_stranger_calls_nothing_either() {
    let world = world(json!({"width": 4}));
    let directory = Directory::new("attached");
    let path = directory.path("a.db");
    for (name, schema, statements) in stranger::schemas() {
        stranger::make(&path, schema, "rembed_prefetch('c', '[\"x\"]')");
        for before in [true, false] {
            let db = Connection::open_in_memory().unwrap();
            db.run("CREATE TABLE mine(x)", ());
            let attach = || db.try_run("ATTACH ? AS stranger", [path.to_str()]);
            if before {
                attach().unwrap();
                db.run("SELECT body FROM notes", ());
            }
            load(&db, &library(), None).unwrap();
            register(&db, "c", &world, "{}");
            if !before && let Err(failure) = attach() {
                assert!(failure.text.contains("malformed database schema"), "{name}: {}", failure.text);
                db.run("SELECT x FROM mine", ());
                continue;
            }
            for statement in &statements {
                let text = db.fails(statement, ()).text;
                let refused = text.contains("unsafe use of") || text.contains("malformed database schema");
                assert!(refused, "{name}: {statement}: {text}");
            }
            // A file that is refused is so for the whole connection.
            let used = ["view", "trigger", "DEFAULT"].contains(&name);
            for statement in ["SELECT x FROM mine", "DETACH stranger"] {
                assert_eq!(db.try_run(statement, ()).is_ok(), used, "{name}: {statement}");
            }
        }
    }
    assert_eq!(world.requests(), 0);
}

#[test]
fn an_fts4_table_of_a_stranger_calls_nothing() {
    assert_eq!(stranger::called_by_fts4(&Directory::new("fts4").path("a.db"), &library()), [""; 0]);
}
