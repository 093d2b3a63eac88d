//! Texts a second over batch size and requests in flight.

use std::time::Instant;

use plotters::prelude::*;
use serde_json::json;

use crate::batch::{LATENCY_MS, docs, register, slow_server};
use crate::single::{load, old_client, text};
use crate::{Result, Setup};

const BATCHES: [usize; 6] = [1, 4, 16, 64, 256, 1024];
const IN_FLIGHT: [usize; 5] = [1, 2, 4, 8, 16];

/// Draws the plot into `file`. Returns the same as a Markdown table.
pub fn run(setup: &Setup, file: &str) -> Result<String> {
    let url = slow_server(&setup.url, "plot", json!({"latency_ms": LATENCY_MS}))?;
    let db = load(&setup.library)?;
    let mut lines = Vec::new();
    for in_flight in IN_FLIGHT {
        let mut line = Vec::new();
        for batch in BATCHES {
            // Enough for a few rounds of requests each.
            let n = (batch * in_flight * setup.scale(60).min(4)).min(setup.scale(40_000));
            docs(db, n)?;
            let options = json!({"format": "openai", "url": format!("{url}/v1"), "cache": "off", "batch_size": batch,
                                 "concurrency": in_flight});
            register(db, "c", &options)?;
            let start = Instant::now();
            let sql = "SELECT count(embedding) FROM rembed_rows('c', 'SELECT id, body FROM docs')";
            let seen: usize = db.query_row(sql, [], |row| row.get(0))?;
            assert_eq!(seen, n);
            line.push((batch as f64, n as f64 / start.elapsed().as_secs_f64()));
        }
        lines.push((format!("{in_flight} in flight"), line));
    }
    let old = old_client(&setup.old, &url)?;
    let calls = setup.scale(60);
    let start = Instant::now();
    for i in 0..calls {
        old.query_row("SELECT length(rembed('c', ?))", [text(i)], |_| Ok(()))?;
    }
    let rate = calls as f64 / start.elapsed().as_secs_f64();
    lines.push(("sqlite-rembed 0.0.1a9".into(), BATCHES.map(|b| (b as f64, rate)).to_vec()));
    draw(file, &lines)?;

    let mut table = String::from("| |");
    table += &BATCHES.map(|b| format!(" {b} a request |")).concat();
    table += &format!("\n| --- |{}\n", " ---: |".repeat(BATCHES.len()));
    for (name, line) in &lines {
        let cells: String = line.iter().map(|(_, rate)| format!(" {rate:.0} |")).collect();
        table += &format!("| {name} |{cells}\n");
    }
    Ok(table)
}

fn draw(file: &str, lines: &[(String, Vec<(f64, f64)>)]) -> Result<()> {
    let root = SVGBackend::new(file, (900, 560)).into_drawing_area();
    root.fill(&WHITE)?;
    let most = lines.iter().flat_map(|(_, line)| line).map(|(_, rate)| *rate).fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(&root)
        .caption("Texts a second, 50 ms a reply", ("sans-serif", 22))
        .margin(16)
        .x_label_area_size(42)
        .y_label_area_size(72)
        .build_cartesian_2d((1f64..1024f64).log_scale(), (10f64..most * 1.5).log_scale())?;
    chart.configure_mesh().x_desc("texts a request").y_desc("texts a second").draw()?;
    for (i, (name, line)) in lines.iter().enumerate() {
        let color = Palette99::pick(i).to_rgba();
        chart
            .draw_series(LineSeries::new(line.iter().copied(), color.stroke_width(2)).point_size(3))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .draw()?;
    root.present()?;
    Ok(())
}
