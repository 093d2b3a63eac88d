//! The table `temp.rembed_clients`: statements, errors, and that no key is anywhere near it.

use std::fs;
use std::sync::Arc;

use serde_json::json;
use turso_core::Connection;
use turso_host::{CLIENTS_SQL, Way, error, in_file, run, text, world};

const SECRET: &str = "sk-0123456789secret";

fn names(db: &Arc<Connection>) -> String {
    text(db, "SELECT group_concat(name) FROM (SELECT name FROM temp.rembed_clients ORDER BY name)")
}

/// Whom rembed() knows.
fn known(db: &Arc<Connection>) -> String {
    text(db, "SELECT group_concat(key) FROM (SELECT key FROM json_each(rembed_stats()) ORDER BY key)")
}

#[test]
fn every_form_of_insert() {
    for way in Way::all() {
        let db = way.open();
        for insert in [
            "(name, format, model, key) VALUES ('a', 'openai', 'text-embedding-3-small', 'sk-x')",
            "(name, format, model, url) VALUES ('b', 'ollama', 'nomic-embed-text', 'http://localhost:11434')",
            "(name, options) VALUES ('text-embedding-3-small', 'openai')",
            "(name, options) VALUES ('c', rembed_client_options('format', 'openai', 'model', 'm', 'url', \
             'http://localhost:1', 'key', 'k'))",
            "(name, options) VALUES ('d', '{\"format\":\"cohere\",\"model\":\"m\",\"dimensions\":256}')",
            "(name, options) VALUES ('e', 'openai'), ('f', 'ollama')",
            "(options, name) SELECT 'openai', 'g' || value FROM json_each('[1, 2]')",
            " VALUES ('h', 'openai', 'm', NULL, 'env:KEY', '{\"timeout\":5}')",
        ] {
            run(&db, &format!("INSERT INTO temp.rembed_clients{insert}"));
        }
        assert_eq!(names(&db), "a,b,c,d,e,f,g1,g2,h,text-embedding-3-small");
        assert_eq!(known(&db), names(&db));
        let row = |name: &str| {
            text(
                &db,
                &format!(
                    "SELECT format, model, url, key, options FROM temp.rembed_clients WHERE name = '{name}'"
                ),
            )
        };
        assert_eq!(row("a"), "openai|text-embedding-3-small|https://api.openai.com/v1/embeddings|***|{}");
        assert_eq!(row("c"), "openai|m|http://localhost:1|***|{}");
        assert_eq!(row("e"), "openai|e|https://api.openai.com/v1/embeddings||{}");
        assert!(row("h").ends_with("|env:KEY|{\"timeout\":5}"), "{}", row("h"));
        let dimensions =
            "SELECT json_extract(options, '$.dimensions') FROM temp.rembed_clients WHERE name = 'd'";
        assert_eq!(text(&db, dimensions), "256");
    }
}

#[test]
fn a_name_is_taken_once() {
    for way in Way::all() {
        let db = way.open();
        run(&db, "INSERT INTO temp.rembed_clients(name, options) VALUES ('a', 'openai'), ('b', 'openai')");
        let unique = "UNIQUE constraint failed: rembed_clients.name";
        let insert = "INTO temp.rembed_clients(name, options) VALUES ('a', 'ollama')";
        assert!(error(&db, &format!("INSERT {insert}")).contains(unique));
        let format = || text(&db, "SELECT format FROM temp.rembed_clients WHERE name = 'a'");
        assert_eq!(format(), "openai");
        run(&db, &format!("INSERT OR IGNORE {insert}"));
        assert_eq!(
            (format().as_str(), text(&db, "SELECT rembed_clients_shown('a', 'format')").as_str()),
            ("openai", "openai")
        );
        run(&db, &format!("INSERT OR REPLACE {insert}"));
        assert_eq!(
            (format().as_str(), text(&db, "SELECT rembed_clients_shown('a', 'format')").as_str()),
            ("ollama", "ollama")
        );
        run(&db, "REPLACE INTO temp.rembed_clients(name, options) VALUES ('a', 'cohere'), ('c', 'openai')");
        assert_eq!((names(&db).as_str(), format().as_str()), ("a,b,c", "cohere"));
        assert!(error(&db, "UPDATE temp.rembed_clients SET name = 'b' WHERE name = 'a'").contains(unique));
        assert_eq!((names(&db), known(&db)), ("a,b,c".into(), "a,b,c".into()));
    }
}

#[test]
fn what_is_refused_leaves_nothing() {
    for way in Way::all() {
        let db = way.open();
        let refused = [
            (
                "(name, options) VALUES ('x', '{\"modle\":1}')",
                "unknown option 'modle'. Did you mean 'model'? The options are: format,",
            ),
            ("(name, format) VALUES ('x', 'nonsense')", "nonsense"),
            ("(name) VALUES ('x')", "format"),
            ("(options) VALUES ('openai')", "NOT NULL constraint failed: rembed_clients.name"),
            ("(name, options) VALUES (x'00', 'openai')", "BLOB"),
            ("(name, format, key) VALUES ('x', 'openai', x'00')", "BLOB"),
            ("(name, format, options) VALUES ('x', 'openai', '{\"format\":\"cohere\"}')", "twice"),
            ("(name, nonsense) VALUES ('x', 1)", "nonsense"),
        ];
        for (insert, why) in refused {
            let message = error(&db, &format!("INSERT INTO temp.rembed_clients{insert}"));
            assert!(message.contains(why), "{insert}: {message}");
            assert_eq!((names(&db), known(&db)), (String::new(), String::new()), "{insert}");
        }
        run(&db, "INSERT INTO temp.rembed_clients(name, options) VALUES ('a', 'openai')");
        assert!(error(&db, "UPDATE temp.rembed_clients SET format = 'nonsense'").contains("nonsense"));
        assert_eq!(text(&db, "SELECT format FROM temp.rembed_clients"), "openai");
    }
}

#[test]
fn update_and_delete() {
    for way in Way::all() {
        let world = world(json!({"width": 4, "key": SECRET}));
        let db = way.open();
        let row = format!("('a', 'openai', 'm', '{}', '{SECRET}')", world.url());
        run(&db, &format!("INSERT INTO temp.rembed_clients(name, format, model, url, key) VALUES {row}"));
        run(&db, "UPDATE temp.rembed_clients SET model = 'n' WHERE name = 'a'");
        // The key that is shown as stars is still the key.
        run(&db, "SELECT rembed('a', 'x')");
        assert_eq!(world.only()["body"]["model"], "n");
        run(&db, "UPDATE temp.rembed_clients SET name = 'b', options = '{\"timeout\":9}'");
        assert_eq!(text(&db, "SELECT name, key, options FROM temp.rembed_clients"), "b|***|{\"timeout\":9}");
        run(&db, "SELECT rembed('b', 'y')");
        assert!(
            error(&db, "SELECT rembed('a', 'x')")
                .contains("was not registered with rembed_clients. Registered are: b")
        );
        // A key does not follow a URL to another server.
        run(&db, "UPDATE temp.rembed_clients SET url = 'http://localhost:1'");
        assert_eq!(text(&db, "SELECT key FROM temp.rembed_clients"), "");
        run(&db, "DELETE FROM temp.rembed_clients WHERE name = 'b'");
        assert_eq!((names(&db), known(&db)), (String::new(), String::new()));
    }
}

#[test]
fn the_functions_and_the_table() {
    for way in Way::all() {
        let db = way.open();
        run(&db, "SELECT rembed_register('a', 'openai')");
        // The table does not see it, but its INSERT replaces it, and so it is known once.
        assert_eq!((names(&db).as_str(), known(&db).as_str()), ("", "a"));
        run(&db, "INSERT INTO temp.rembed_clients(name, options) VALUES ('a', 'ollama')");
        assert_eq!(text(&db, "SELECT rembed_clients_shown('a', 'format')"), "ollama");
        run(&db, "SELECT rembed_unregister('a')");
        assert!(
            error(&db, "UPDATE temp.rembed_clients SET model = 'm'")
                .contains("is gone, by rembed_unregister()")
        );
        run(&db, "SELECT rembed_register('b', 'openai')");
        // The statements that made the table bring it up to date.
        db.prepare_execute_batch(CLIENTS_SQL).unwrap();
        assert_eq!((names(&db).as_str(), known(&db).as_str()), ("b", "b"));
        run(&db, "DELETE FROM temp.rembed_clients");
        assert_eq!(known(&db), "");
    }
}

#[test]
fn the_helpers_are_safe_to_call() {
    for way in Way::all() {
        let db = way.open();
        assert_eq!(text(&db, "SELECT rembed_clients_shown('nobody', 'key')"), "");
        run(&db, "SELECT rembed_clients_set(NULL, 'a', 'openai', NULL, NULL, 'sk-x', NULL)");
        assert_eq!(text(&db, "SELECT rembed_clients_shown('a', 'key')"), "***");
        assert!(
            error(&db, "SELECT rembed_clients_shown('a', 'secret')")
                .contains("has the columns name, format,")
        );
        assert!(
            error(&db, "SELECT rembed_clients_set(NULL, NULL, 'openai', NULL, NULL, NULL, NULL)")
                .contains("NOT NULL")
        );
        assert!(
            error(&db, "SELECT rembed_clients_set('x', 'a', 'openai', NULL, NULL, NULL, NULL)")
                .contains("is gone")
        );
    }
}

/// Whatever files this process has that the engine made for temporary tables.
fn temporary_files() -> Vec<(String, Vec<u8>)> {
    let open =
        fs::read_dir("/proc/self/fd").unwrap().flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    let ours = open.filter(|path| path.to_string_lossy().contains("tursodb"));
    ours.map(|path| (path.display().to_string(), fs::read(&path).unwrap_or_default())).collect()
}

#[test]
fn no_key_is_in_the_table_its_schema_or_its_file() {
    let folder = std::env::temp_dir().join(format!("rembed-turso-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    for (n, way) in Way::all().iter().enumerate() {
        let file = folder.join(format!("{n}.db"));
        let db = way.connect(&in_file(file.to_str().unwrap(), false).unwrap()).unwrap();
        run(&db, "CREATE TABLE people(name)");
        run(&db, "INSERT INTO people VALUES ('x'), ('y'), ('z')");
        for sql in [
            "INSERT INTO temp.rembed_clients(name, format, key) VALUES ('a', 'openai', 'SECRET')",
            "INSERT INTO temp.rembed_clients(name, options) VALUES ('b', '{\"format\":\"openai\",\"key\":\"SECRET\"}'), \
             ('c', rembed_client_options('format', 'openai', 'key', 'SECRET'))",
            "INSERT OR REPLACE INTO temp.rembed_clients(name, options) VALUES ('a', '{\"format\":\"openai\", \
             \"key\":\"SECRET\",\"headers\":{\"Authorization\":\"SECRET\"}}')",
            "INSERT INTO temp.rembed_clients(name, format, key) \
             SELECT name, 'openai', 'SECRET' FROM people ORDER BY name DESC",
            "INSERT INTO temp.rembed_clients(name, format, key) \
             SELECT name || '2', format, 'SECRET' FROM temp.rembed_clients",
            "UPDATE temp.rembed_clients SET key = 'SECRET' || 'x'",
            "UPDATE temp.rembed_clients SET name = name || '!', key = 'SECRET'",
            "SELECT rembed_register('r', 'format', 'openai', 'key', 'SECRET')",
        ] {
            run(&db, &sql.replace("SECRET", SECRET));
            for table in ["temp.rembed_clients", "sqlite_temp_schema", "sqlite_schema"] {
                assert!(
                    !text(&db, &format!("SELECT * FROM {table}")).contains("0123456789"),
                    "{sql}: {table}"
                );
            }
            for (path, bytes) in temporary_files() {
                assert!(!bytes.windows(10).any(|part| part == b"0123456789"), "{sql}: {path}");
            }
        }
        let bad = format!("('bad', 'openai', '{SECRET}', 'nonsense://')");
        let message =
            error(&db, &format!("INSERT INTO temp.rembed_clients(name, format, key, url) VALUES {bad}"));
        assert!(!message.contains("0123456789"), "{message}");
        let written: usize = temporary_files().iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(written > 4096, "the temporary table is not where this test looks: {written} bytes");
    }
    fs::remove_dir_all(folder).unwrap();
}
