//! A host with another allocator than the library's: the one that the `turso` crate makes global by default.

use serde_json::json;
use turso_host::{Way, error, library, run, text, world};

#[global_allocator]
static MIMALLOC: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[test]
fn results_go_back_to_the_allocator_they_came_from() {
    let world = world(json!({"width": 768, "log": false}));
    for _ in 0..50 {
        let db = Way::Loaded(library()).open_with_client(&world);
        let rows = "('k', 'openai', 'sk-x'), ('l', 'openai', NULL)";
        run(&db, &format!("INSERT INTO temp.rembed_clients(name, format, key) VALUES {rows}"));
        run(&db, "UPDATE temp.rembed_clients SET model = 'm'");
        run(
            &db,
            "SELECT rembed_debug(), rembed_stats(), rembed_last_error(), rembed_client_options('model', 'm')",
        );
        run(&db, "SELECT rembed_client_options(), rembed_clients_shown('k', 'key'), rembed_unregister('k')");
        let calls = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
                     SELECT sum(length(rembed('c', 't' || (i % 3)))) FROM n";
        assert_eq!(text(&db, calls), (2000 * 3072).to_string());
        for n in 0..200 {
            assert!(error(&db, &format!("SELECT rembed('nobody {n}', 'x')")).contains("was not registered"));
        }
    }
}
