//! Single calls of many connections at the bound of a client: they travel together, and each ends in its own way.

use std::sync::Barrier;
use std::time::Duration;

use serde_json::json;
use sqlite_host::*;

const CONNECTIONS: usize = 24;

#[test]
fn calls_of_many_connections_share_requests_and_each_has_its_own_end() {
    let fault = json!({"text": "bad", "status": 400});
    let world = world(json!({"width": 4, "latency_ms": 300, "faults": [fault]}));
    let start = Barrier::new(CONNECTIONS);
    std::thread::scope(|scope| {
        for i in 0..CONNECTIONS {
            let (world, start) = (&world, &start);
            scope.spawn(move || {
                let db = open();
                register(&db, &format!("client {i}"), world, r#"{"connections": 2}"#);
                let call = |text: &str| format!("SELECT rembed('client {i}', '{text} {i}')");
                let handle = db.get_interrupt_handle();
                start.wait();
                match i % 8 {
                    3 => {
                        let text = format!("{:?}", db.fails(&call("bad"), ()));
                        assert!(text.contains(&format!("client 'client {i}' (openai): HTTP 400")), "{text}");
                    }
                    5 => {
                        let interrupts = std::thread::spawn(move || {
                            std::thread::sleep(Duration::from_millis(100));
                            handle.interrupt();
                        });
                        let failure = db.fails(&call("left"), ());
                        assert!(interrupted(&failure), "{failure:?}");
                        interrupts.join().unwrap();
                    }
                    _ => assert_eq!(db.vector(&call("good"), ()).len(), 4),
                }
            });
        }
    });
    // A request that was left is in flight at the server until its reply is due.
    let left = (0..CONNECTIONS).filter(|i| i % 8 == 5).count() as u64;
    assert!(world.count("peak") <= 2 + left, "{} requests at once", world.count("peak"));
    let log = world.log();
    let fullest = log.iter().map(|request| request["texts"].as_array().unwrap().len()).max();
    assert!(fullest >= Some(CONNECTIONS / 3), "{log:?}");
}
