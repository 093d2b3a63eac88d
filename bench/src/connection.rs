//! A new connection that loads the library and registers a client, beside one that loads an extension that does nothing:
//! web workers open thousands.

use std::time::Instant;

use serde_json::json;

use crate::allocations;
use crate::batch::register;
use crate::single::open;
use crate::{Bar, Result, Setup, median};

pub fn run(setup: &Setup, bars: &mut Vec<Bar>) -> Result<()> {
    let options = json!({"format": "openai", "model": "m", "url": setup.url});
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut allocated = 0;
    // The first maps the libraries.
    for round in 0..=setup.scale(2000) {
        let (before, start) = (allocations::so_far(), Instant::now());
        let db = open(&setup.library, Some("sqlite3_rembed_init"))?;
        register(&db, "c", &options)?;
        drop(db);
        let mine = start.elapsed();
        let (middle, start) = (allocations::so_far(), Instant::now());
        drop(open(&setup.nothing, Some("sqlite3_nothing_init"))?);
        let (nothing, after) = (start.elapsed(), allocations::so_far());
        if round > 0 {
            ours.push(mine);
            theirs.push(nothing);
        }
        // The same each time, but for the first.
        allocated = (middle - before).saturating_sub(after - middle);
    }
    let micros = (median(ours) - median(theirs)) * 1e6;
    let work = format!("a new connection: load, register, close, {allocated} allocations more: µs more");
    bars.push(Bar::at_most(&work, "an extension that does nothing", micros, 150.0));
    Ok(())
}
