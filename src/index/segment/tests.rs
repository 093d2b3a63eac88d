use super::*;

fn filled(count: usize) -> Vec<u8> {
    let mut blob = empty(3).unwrap();
    for i in 0..count {
        let vector = Quantised::new(&[1.0, i as f32, -1.0]).unwrap();
        let at = put(&mut blob, &Place { id: i as i64 + 1, row: i as i64 * 10, vector: &vector }).unwrap();
        assert_eq!(at, i);
    }
    blob
}

fn scored(blob: &[u8], wants: impl Fn(i64) -> bool) -> Vec<Scored> {
    let mut all = Vec::new();
    let question = Question::new(&[0.0, 1.0, 0.0]).unwrap();
    Segment::read(blob, 3).unwrap().score(&question, wants, |scored| all.push(scored));
    all
}

#[test]
fn the_layout_is_as_documented() {
    let mut blob = empty(3).unwrap();
    let vector = Quantised { factor: 0.5, bytes: vec![1, -1, 127] };
    put(&mut blob, &Place { id: 0x0102, row: -1, vector: &vector }).unwrap();
    let mut bytes = b"rsg1\x03\0\0\0\x01\0\0\0\0\0\0\0\x02\x01\0\0\0\0\0\0".to_vec();
    bytes.extend([0xff; 8]);
    bytes.extend(b"\0\0\0\x3f\0\0\0\0\x01\xff\x7f");
    assert_eq!(blob, bytes);
    assert_eq!(Segment::range(3, 0), 16..43);
}

#[test]
fn a_free_place_is_used_again() {
    let mut blob = filled(3);
    let length = blob.len();
    free(&mut blob, 1).unwrap();
    assert_eq!(scored(&blob, |_| true).iter().map(|s| s.id).collect::<Vec<_>>(), [1, 3]);
    let vector = Quantised::new(&[0.0, -1.0, 0.0]).unwrap();
    assert_eq!(put(&mut blob, &Place { id: 9, row: 90, vector: &vector }).unwrap(), 1);
    assert_eq!(blob.len(), length);
    let nine = scored(&blob, |_| true)[1];
    assert_eq!((nine.id, nine.row), (9, 90));
    assert!((nine.score + 1.0).abs() < 1e-5, "{nine:?}");
    let segment = Segment::read(&blob, 3).unwrap();
    assert_eq!((segment.len(), segment.live()), (3, 3));
}

#[test]
fn a_place_is_freed_of_its_own_chunk_alone() {
    let mut blob = filled(3);
    for (at, id) in [(1, 3), (3, 4), (usize::MAX, 1), (0, 0)] {
        assert!(!free_at(&mut blob, at, id) && !free_at(&mut [], at, id));
    }
    assert_eq!(blob, filled(3));
    assert!(free_at(&mut blob, 1, 2) && !free_at(&mut blob, 1, 2) && !free_at(&mut blob, 1, 0));
    assert_eq!(Segment::read(&blob, 3).unwrap().free_places(), [1]);
}

#[test]
fn only_wanted_rows_are_scored() {
    let ids: Vec<_> = scored(&filled(9), |row| row >= 70).iter().map(|s| s.id).collect();
    assert_eq!(ids, [8, 9]);
}

#[test]
fn a_full_segment_grows_by_free_places() {
    let mut blob = empty(3).unwrap();
    let mut sizes = Vec::new();
    for id in 1..=40 {
        grow(&mut blob).unwrap();
        let vector = Quantised::new(&[1.0, 2.0, 3.0]).unwrap();
        let at = Segment::read(&blob, 3).unwrap().free_places()[0];
        assert_eq!(at as i64, id - 1);
        put_at(&mut blob, at, &Place { id, row: id, vector: &vector }).unwrap();
        sizes.push(Segment::read(&blob, 3).unwrap().len());
    }
    sizes.dedup();
    assert_eq!(sizes, [16, 32, 64]);
    let mut full = filled(PLACES_MAX);
    let before = full.len();
    grow(&mut full).unwrap();
    assert_eq!(full.len(), before);
    assert!(grow(&mut b"junk".to_vec()).is_err());
}

#[test]
fn a_segment_is_full_at_its_bound() {
    let mut blob = filled(PLACES_MAX);
    let vector = Quantised::new(&[1.0; 3]).unwrap();
    let more = Place { id: 5000, row: 1, vector: &vector };
    assert!(put(&mut blob, &more).unwrap_err().to_string().contains("full"));
    free(&mut blob, 700).unwrap();
    assert_eq!(put(&mut blob, &more).unwrap(), 700);
}

#[test]
fn what_cannot_be_is_refused() {
    let vector = Quantised::new(&[1.0; 3]).unwrap();
    for id in [0, -1, i64::MIN] {
        let place = Place { id, row: 1, vector: &vector };
        assert!(put(&mut filled(1), &place).is_err());
        assert!(put_at(&mut filled(1), 0, &place).is_err());
    }
    assert!(free(&mut filled(2), 2).is_err() && free(&mut [], 0).is_err());
    assert!(empty(0).is_err() && empty(DIMENSIONS_MAX + 1).is_err());
    let narrow = Quantised::new(&[1.0; 2]).unwrap();
    let narrow = Place { id: 1, row: 1, vector: &narrow };
    assert!(put(&mut filled(1), &narrow).is_err() && put_at(&mut filled(1), 0, &narrow).is_err());
    let place = Place { id: 1, row: 1, vector: &vector };
    assert!(put_at(&mut filled(1), 1, &place).is_err() && put_at(&mut [], 0, &place).is_err());
}

#[test]
fn damaged_bytes_are_an_error_and_never_a_panic() {
    let good = filled(2);
    assert!(Segment::read(&good, 3).is_ok());
    let with = |at: usize, bytes: &[u8]| {
        let mut bad = good.clone();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        bad
    };
    for bad in [
        Vec::new(),
        good[..15].to_vec(),
        good[..good.len() - 1].to_vec(),
        [&good[..], b"x"].concat(),
        with(3, b"2"),
        with(4, &[0; 4]),
        with(4, &[0xff; 4]),
        with(8, &[0xff; 4]),
        with(16, &i64::MIN.to_le_bytes()),
        with(32, &f32::NAN.to_le_bytes()),
        with(32, &f32::INFINITY.to_le_bytes()),
        with(32, &(-0.1f32).to_le_bytes()),
    ] {
        let e = Segment::read(&bad, 3).unwrap_err().to_string();
        assert!(e.contains("damaged") && e.contains("rebuild"), "{e}");
    }
    assert!(Segment::read(&good, 4).is_err() && Segment::read(&good, 0).is_err());
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..20_000 {
        let mut bytes = good[..random.usize(0..=good.len())].to_vec();
        for _ in 0..random.usize(0..4) {
            if let Some(byte) = random.choice(&mut bytes[..]) {
                *byte = random.u8(..);
            }
        }
        if Segment::read(&bytes, 3).is_ok() {
            assert!(scored(&bytes, |_| true).iter().all(|s| s.id > 0 && s.score.is_finite()));
            free(&mut bytes, 0).unwrap_or_default();
        }
    }
}
