//! The tables of an index, which a stranger's file may have: a segment beside a plain reading of its layout, options and triggers
//! beside what we write ourselves. The first byte says which.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sqlite_rembed::index::config::Config;
use sqlite_rembed::index::ddl::{Trigger, Watched};
use sqlite_rembed::index::fingerprint::Fingerprint;
use sqlite_rembed::index::fuse::{Chunk, Fusion};
use sqlite_rembed::index::quant::Quantised;
use sqlite_rembed::index::rescore::vector_of;
use sqlite_rembed::index::scan::{Filter, Ranking};
use sqlite_rembed::index::segment::{self, PLACES_MAX, Segment};

fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else { return };
    match kind {
        b's' => segment_of(data),
        b'o' => options(data),
        b't' => triggers(data),
        b'v' => vector(data),
        _ => {}
    }
});

/// A place: id, row, factor, numbers.
type Place = (i64, i64, f32, Vec<i8>);

/// The layout as its description has it.
fn places(bytes: &[u8], width: usize) -> Option<Vec<Place>> {
    let number = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize);
    let count = number(8)?;
    if !bytes.starts_with(b"rsg1") || number(4)? != width || count > PLACES_MAX {
        return None;
    }
    let rest = bytes.get(16..)?;
    if rest.len() != count * (24 + width) {
        return None;
    }
    let place = |place: &[u8]| {
        let int = |at: usize| i64::from_le_bytes(place[at..at + 8].try_into().unwrap_or_default());
        let factor = f32::from_le_bytes(place[16..20].try_into().unwrap_or_default());
        let numbers = place[24..].iter().map(|byte| *byte as i8).collect();
        // No vector is shorter than its largest number over 127.
        (int(0) >= 0 && (0.0..=1.0).contains(&factor)).then(|| (int(0), int(8), factor, numbers))
    };
    rest.chunks_exact(24 + width).map(place).collect()
}

/// `width`, a bound, and then a segment.
fn segment_of(data: &[u8]) {
    let [width, bound, bytes @ ..] = data else { return };
    let width = usize::from(*width % 9);
    let ours = Segment::read(bytes, width);
    let Some(theirs) = places(bytes, width).filter(|_| width > 0) else {
        assert!(ours.is_err());
        return;
    };
    let ours = ours.expect("it is as described");
    assert_eq!(ours.len(), theirs.len());
    assert_eq!(ours.live(), theirs.iter().filter(|place| place.0 != 0).count());
    // Every chunk comes once, by its best place, and the best first, however many a pass finds.
    let question: Vec<f32> = (0..width).map(|i| i as f32 - 2.5).collect();
    let mut ranking = Ranking::new(&question, Filter::default().within(-99..=i64::MAX), usize::from(*bound))
        .expect("the question is one");
    let mut found = Vec::new();
    while !ranking.is_done() {
        ranking.scan(&ours);
        found.extend(ranking.take());
    }
    assert!(found.is_sorted_by(|a, b| a.score >= b.score));
    let mut ids: Vec<i64> = found.iter().map(|hit| hit.id).collect();
    ids.sort_unstable();
    let mut expected: Vec<i64> =
        theirs.iter().filter(|place| place.0 != 0 && place.1 >= -99).map(|place| place.0).collect();
    expected.sort_unstable();
    expected.dedup();
    assert_eq!(ids, expected);
    let quantised = Quantised::new(&question).expect("the question is one");
    for hit in &found {
        let score = |(_, _, factor, numbers): &Place| {
            let product: i64 =
                numbers.iter().zip(&quantised.bytes).map(|(a, b)| i64::from(*a) * i64::from(*b)).sum();
            product as f32 * quantised.factor * factor
        };
        assert!(
            theirs.iter().any(|place| place.0 == hit.id && place.1 == hit.row && score(place) == hit.score)
        );
    }
    // Fused, each content row comes once.
    let chunks: Vec<Chunk> = found.iter().map(Chunk::from).collect();
    let mut rows: Vec<i64> = Fusion::new(false).more(&chunks, &chunks).iter().map(|hit| hit.row).collect();
    let count = rows.len();
    rows.sort_unstable();
    rows.dedup();
    assert_eq!(rows.len(), count);
    // What is freed or grown is a segment still.
    let mut copy = bytes.to_vec();
    if segment::free(&mut copy, usize::from(*bound)).is_ok() {
        assert_eq!(Segment::read(&copy, width).expect("it was one").id(usize::from(*bound)), 0);
    }
    segment::grow(&mut copy).expect("it is one");
    Segment::read(&copy, width).expect("it is one");
}

/// The texts between NULs.
fn texts(data: &[u8]) -> Option<Vec<&str>> {
    std::str::from_utf8(data).ok().map(|text| text.split('\0').collect())
}

/// Names and values of the table of options, one after the other.
fn options(data: &[u8]) {
    let Some(texts) = texts(data) else { return };
    let rows = texts.chunks_exact(2).map(|row| (row[0], row[1]));
    if let Ok(config) = Config::from_rows(rows) {
        let rows = config.rows();
        let again = Config::from_rows(rows.iter().map(|(name, value)| (*name, &**value)));
        assert_eq!(again.expect("we wrote it"), config);
        for (name, value) in texts.windows(2).map(|pair| (pair[0], pair[1])) {
            let mut changed = config.clone();
            if changed.change(name, value).is_err() {
                assert_eq!(changed, config);
            }
        }
    }
    for text in texts {
        if let Ok(fingerprint) = Fingerprint::from_json(text) {
            assert_eq!(Fingerprint::from_json(&fingerprint.to_json()).expect("we wrote it"), fingerprint);
        }
    }
}

/// The texts of the triggers.
fn triggers(data: &[u8]) {
    let Some(texts) = texts(data) else { return };
    let read = |texts: &[String]| {
        let names = Trigger::ALL.map(|trigger| trigger.name("i"));
        Watched::read("i", names.iter().map(|name| &**name).zip(texts))
    };
    let texts: Vec<String> = texts.into_iter().map(str::to_owned).collect();
    if let Some(watched) = read(&texts) {
        let written = Trigger::ALL
            .map(|trigger| format!("CREATE TRIGGER {} {}", trigger.name("i"), watched.body(trigger)));
        assert_eq!(read(&written), Some(watched));
    }
}

/// A width and the BLOB of a vector.
fn vector(data: &[u8]) {
    let [width, bytes @ ..] = data else { return };
    let ours = vector_of(bytes, usize::from(*width), 1);
    assert_eq!(ours.is_ok(), bytes.len() == usize::from(*width) * 4);
    if let Ok(numbers) = ours {
        let is_vector = !numbers.is_empty() && numbers.iter().all(|x| x.is_finite());
        assert_eq!(Quantised::new(&numbers).is_ok(), is_vector);
    }
}
