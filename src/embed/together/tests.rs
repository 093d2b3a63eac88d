use std::time::Duration;

use super::*;
use crate::base::interrupt::Uninterrupted;
use crate::embed::cache::{Claim, Memory};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

const EFFORT: Effort = Effort { identity: [0; 32], times: [Duration::from_secs(60); 2], retries: 4 };

fn company(n: u8) -> Company {
    Company { vectors: [n; 32], effort: EFFORT, batch: [None; 2] }
}

const ROOMY: Ceilings = Ceilings { texts: 256, tokens: None };

/// A queue in which callers are their numbers.
#[derive(Default)]
struct Played {
    queue: Queue<u64>,
}

impl Played {
    /// A single call comes. Returns its number if it waits.
    fn single(&mut self, most: usize, of: u8, text: &str, ceilings: Ceilings) -> Option<u64> {
        let want = Want::Single { company: company(of), text: text.into(), ceilings };
        self.comes(most, want)
    }

    fn batch(&mut self, most: usize) -> Option<u64> {
        self.comes(most, Want::Batch)
    }

    fn comes(&mut self, most: usize, want: Want) -> Option<u64> {
        if self.queue.take(matches!(want, Want::Batch), most) {
            return None;
        }
        let arrival = self.queue.arrive();
        self.queue.wait(Waiting { arrival, most, want, caller: arrival });
        Some(arrival)
    }

    /// A place becomes free. Returns who goes then.
    fn frees(&mut self, is_batch: bool) -> Vec<Departure<u64>> {
        self.queue.release(is_batch);
        std::iter::from_fn(|| self.queue.next()).collect()
    }
}

#[test]
fn below_the_bound_everybody_goes_at_once_and_alone() {
    let mut played = Played::default();
    assert!((0..8).all(|_| played.single(8, 1, "a", ROOMY).is_none()));
    assert_eq!(played.single(8, 1, "a", ROOMY), Some(1));
}

#[test]
fn a_free_place_takes_all_that_wait_in_order_up_to_the_ceilings() {
    for (ceilings, texts, groups) in [
        (ROOMY, ["a", "b", "c", "d", "e"], vec![vec![1, 2, 3, 4, 5]]),
        (
            Ceilings { texts: 2, tokens: None },
            ["a", "b", "c", "d", "e"],
            vec![vec![1, 2], vec![3, 4], vec![5]],
        ),
        (
            Ceilings { texts: 1, tokens: None },
            ["a", "b", "c", "d", "e"],
            vec![vec![1], vec![2], vec![3], vec![4], vec![5]],
        ),
        // Who does not fit is not overtaken.
        (
            Ceilings { texts: 9, tokens: Some(3) },
            ["a", "b", "long text", "d", "e"],
            vec![vec![1, 2], vec![3], vec![4, 5]],
        ),
        // An empty text travels alone.
        (ROOMY, ["a", "", "c", "d", "e"], vec![vec![1], vec![2], vec![3, 4, 5]]),
    ] {
        let mut played = Played::default();
        played.single(1, 1, "first", ceilings);
        for text in texts {
            played.single(1, 1, text, ceilings);
        }
        for group in groups {
            assert_eq!(played.frees(false), [Departure::Single(group)], "{texts:?}");
        }
        assert_eq!(played.frees(false), []);
    }
}

#[test]
fn calls_whose_requests_differ_never_travel_together() {
    let mut played = Played::default();
    played.single(1, 1, "first", ROOMY);
    for of in [1, 2, 1, 2, 3] {
        played.single(1, of, "a", ROOMY);
    }
    assert_eq!(played.frees(false), [Departure::Single(vec![1, 3])]);
    assert_eq!(played.frees(false), [Departure::Single(vec![2, 4])]);
    assert_eq!(played.frees(false), [Departure::Single(vec![5])]);
    let plain = company(1);
    for other in [
        Company { vectors: [2; 32], ..plain.clone() },
        Company {
            effort: Effort { times: [Duration::from_secs(60), Duration::from_secs(1)], ..EFFORT },
            ..plain.clone()
        },
        Company { effort: Effort { retries: 0, ..EFFORT }, ..plain.clone() },
        Company { effort: Effort { identity: [1; 32], ..EFFORT }, ..plain.clone() },
        Company { batch: [Some(1), None], ..plain.clone() },
    ] {
        assert_ne!(other, plain);
    }
}

#[test]
fn statements_of_many_texts_leave_a_place_to_single_calls_and_wait_their_turn() {
    let mut played = Played::default();
    assert!((0..3).all(|_| played.batch(4).is_none()));
    assert_eq!(played.batch(4), Some(1), "the last place is kept");
    assert_eq!(played.single(4, 1, "a", ROOMY), None);
    assert_eq!(played.single(4, 1, "b", ROOMY), Some(2));
    // The kept place is for whoever is single, though a batch came before.
    assert_eq!(played.frees(false), [Departure::Single(vec![2])]);
    assert_eq!(played.frees(true), [Departure::Batch(1)]);
    // Where there is one place, they take turns.
    let mut played = Played::default();
    assert_eq!(played.batch(1), None);
    assert_eq!((played.single(1, 1, "a", ROOMY), played.batch(1)), (Some(1), Some(2)));
    assert_eq!(played.single(1, 1, "b", ROOMY), Some(3));
    assert_eq!(played.frees(true), [Departure::Single(vec![1, 3])]);
    assert_eq!(played.frees(false), [Departure::Batch(2)]);
}

/// A statement waits with each of its threads. At one place, that must not be a line before every single call.
#[test]
fn where_there_is_one_place_a_statement_of_many_threads_takes_turns_with_single_calls() {
    let mut played = Played::default();
    assert_eq!(played.batch(1), None);
    let batches: Vec<_> = (0..8).map(|_| played.batch(1).unwrap()).collect();
    for batch in batches {
        let singles = [(); 3].map(|()| played.single(1, 1, "a", ROOMY).unwrap());
        assert_eq!(played.frees(true), [Departure::Single(singles.into())]);
        assert_eq!(played.frees(false), [Departure::Batch(batch)]);
    }
    // Without one of the other kind, the next goes.
    let (first, second) = (played.batch(1).unwrap(), played.batch(1).unwrap());
    assert_eq!(played.frees(true), [Departure::Batch(first)]);
    assert_eq!(played.frees(true), [Departure::Batch(second)]);
}

#[test]
fn who_leaves_is_not_taken_along_and_who_comes_back_has_its_old_place() {
    let mut played = Played::default();
    played.single(1, 1, "first", ROOMY);
    for _ in 0..3 {
        played.single(1, 1, "a", ROOMY);
    }
    assert_eq!((played.queue.leave(2), played.queue.leave(2)), (Some(2), None));
    assert_eq!(played.frees(false), [Departure::Single(vec![1, 3])]);
    played.single(1, 2, "later", ROOMY);
    let want = Want::Single { company: company(1), text: "a".into(), ceilings: ROOMY };
    played.queue.wait(Waiting { arrival: 3, most: 1, want, caller: 3 });
    assert_eq!(played.frees(false), [Departure::Single(vec![3])]);
    assert_eq!(played.frees(false), [Departure::Single(vec![4])]);
}

/// Whatever comes, goes and leaves: the bound holds, nobody waits who could go, and none of a company is overtaken.
#[test]
fn the_bound_holds_and_nobody_is_forgotten_in_any_order() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..200 {
        let (most, mut played) = (random.usize(1..6), Played::default());
        let (mut waiting, mut flying) = (Vec::new(), Vec::new());
        for _ in 0..200 {
            match random.u8(0..8) {
                0..4 => {
                    match played.single(most, random.u8(0..3), "text", Ceilings { texts: 3, tokens: None }) {
                        Some(arrival) => waiting.push(arrival),
                        None => flying.push(false),
                    }
                }
                4 => match played.batch(most) {
                    Some(arrival) => waiting.push(arrival),
                    None => flying.push(true),
                },
                5 if !waiting.is_empty() => {
                    let arrival = waiting.remove(random.usize(..waiting.len()));
                    assert_eq!(played.queue.leave(arrival), Some(arrival));
                }
                _ if !flying.is_empty() => {
                    let is_batch = flying.swap_remove(random.usize(..flying.len()));
                    for departure in played.frees(is_batch) {
                        let (gone, is_batch) = match departure {
                            Departure::Batch(arrival) => (vec![arrival], true),
                            Departure::Single(arrivals) => (arrivals, false),
                        };
                        assert!(gone.is_sorted() && gone.len() <= 3);
                        waiting.retain(|arrival| !gone.contains(arrival));
                        flying.push(is_batch);
                    }
                }
                _ => {}
            }
            assert_eq!(flying.len(), played.queue.batches + played.queue.singles);
            assert!(flying.len() <= most);
            assert_eq!(played.queue.waiting.iter().map(|w| w.arrival).collect::<Vec<_>>(), waiting);
            assert!(waiting.is_empty() || flying.len() + 1 >= most);
        }
        while let Some(is_batch) = flying.pop() {
            flying.extend(played.frees(is_batch).iter().map(|gone| matches!(gone, Departure::Batch(_))));
        }
        assert!(played.queue.waiting.is_empty());
    }
}

struct Flag(AtomicBool);

impl Interrupt for Flag {
    fn is_interrupted(&self) -> bool {
        self.0.load(Relaxed)
    }
}

fn never() -> Arc<dyn Interrupt> {
    Arc::new(Uninterrupted)
}

fn task(memory: &Arc<Memory>, n: usize) -> Task {
    let Claim::Mine(ticket) = memory.claim(blake3::hash(&n.to_le_bytes()).as_bytes(), 1, 0) else {
        panic!("{n} is asked for twice")
    };
    ticket.flight().mark_queued();
    (ticket, n.to_string().into())
}

fn ask(arrival: &mut Option<u64>, most: usize, time: Duration) -> Single<'_> {
    Single { company: company(1), ceilings: ROOMY, most, deadline: Instant::now() + time, arrival }
}

const LONG: Duration = Duration::from_secs(60);

fn until(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < Duration::from_secs(10));
        std::thread::yield_now();
    }
}

#[test]
fn many_threads_are_all_answered_and_the_bound_holds() {
    let (places, memory) = (Arc::new(Places::default()), Memory::new(1 << 20));
    let (flying, requests, n) = (AtomicUsize::new(0), AtomicUsize::new(0), if cfg!(miri) { 6 } else { 64 });
    std::thread::scope(|scope| {
        for thread in 0..n {
            let (places, memory, flying, requests) = (&places, &memory, &flying, &requests);
            scope.spawn(move || {
                for round in 0..20 {
                    if thread % 8 == 0 {
                        let place = places.batch(3, &never()).unwrap();
                        assert!(flying.fetch_add(1, Relaxed) < 3);
                        std::thread::yield_now();
                        flying.fetch_sub(1, Relaxed);
                        drop(place);
                        continue;
                    }
                    let task = task(memory, thread * 100 + round);
                    let flight = task.0.flight().clone();
                    match places.single(task, ask(&mut None, 3, LONG), &never()).unwrap() {
                        Turn::Leads(_place, tasks) => {
                            assert!(flying.fetch_add(1, Relaxed) < 3);
                            requests.fetch_add(1, Relaxed);
                            std::thread::yield_now();
                            for (ticket, text) in tasks {
                                let value = text.parse::<usize>().unwrap() as f32;
                                ticket.land(Ok(vec![value].into()));
                            }
                            flying.fetch_sub(1, Relaxed);
                        }
                        Turn::Landed => {}
                        Turn::TooLong(_) => panic!("a minute has passed"),
                    }
                    let expected = (thread * 100 + round) as f32;
                    assert_eq!(&*flight.outcome().unwrap().unwrap(), &[expected]);
                }
            });
        }
    });
    let queue = places.lock();
    assert_eq!((queue.singles, queue.batches, queue.waiting.len()), (0, 0, 0));
    assert!(requests.load(Relaxed) <= n * 20);
}

/// Two wait for the only place; the one with more time is called for both, and leaves at that moment.
#[test]
fn a_leader_that_leaves_before_it_sends_lets_the_others_ask_again() {
    let (places, memory) = (Arc::new(Places::default()), Memory::new(1 << 20));
    let place = places.batch(1, &never()).unwrap();
    std::thread::scope(|scope| {
        let stays = scope.spawn(|| {
            let (mut arrival, mut again) = (None, 0);
            loop {
                let task = task(&memory, 1);
                let flight = task.0.flight().clone();
                match places.single(task, ask(&mut arrival, 1, LONG), &never()).unwrap() {
                    Turn::Leads(_place, tasks) => return (tasks.len(), again),
                    Turn::Landed => assert_eq!(flight.outcome(), Some(Err(Error::Interrupted))),
                    Turn::TooLong(_) => panic!("a minute has passed"),
                }
                again += 1;
            }
        });
        until(|| places.lock().waiting.len() == 1);
        let task = task(&memory, 2);
        let (flight, seat) = (task.0.flight().clone(), Seat::new(Some(task.0.flight().clone())));
        let caller = Caller { seat: seat.clone(), single: Some((task, Instant::now() + 2 * LONG)) };
        let want = Want::Single { company: company(1), text: "2".into(), ceilings: ROOMY };
        let mut queue = places.lock();
        let arrival = queue.arrive();
        queue.wait(Waiting { arrival, most: 1, want, caller });
        drop(queue);
        drop(place);
        assert_eq!(seat.lock().as_ref().map(|(_, tasks)| tasks.len()), Some(2));
        assert!(places.leave(arrival, &seat));
        assert_eq!(flight.outcome(), Some(Err(Error::Interrupted)));
        assert_eq!(stays.join().unwrap(), (1, 1));
    });
    assert_eq!(places.lock().singles, 0);
}

#[test]
fn who_waits_for_a_place_leaves_at_its_own_time_and_by_its_own_interrupt() {
    let (places, memory) = (Arc::new(Places::default()), Memory::new(1 << 20));
    let _place = places.batch(1, &never()).unwrap();
    let (mut arrival, one) = (None, task(&memory, 1));
    let asks = ask(&mut arrival, 1, Duration::from_millis(20));
    let flight = one.0.flight().clone();
    assert!(matches!(places.single(one, asks, &never()), Ok(Turn::TooLong(true))));
    assert!(flight.outcome().unwrap().is_err(), "its text is let go");
    let set: Arc<dyn Interrupt> = Arc::new(Flag(AtomicBool::new(true)));
    assert!(matches!(
        places.single(task(&memory, 1), ask(&mut None, 1, LONG), &set),
        Err(Error::Interrupted)
    ));
    assert!(matches!(places.batch(1, &set), Err(Error::Interrupted)));
    assert!(places.lock().waiting.is_empty());
}

/// Those of a higher bound may always go, where those of a lower one would wait for all of them to be gone.
#[test]
fn clients_of_another_bound_have_places_of_their_own() {
    let [high, low] = [8, 2].map(|most| Places::of(&[7; 32], most));
    let others: Vec<_> = (0..7).map(|_| high.batch(8, &never()).unwrap()).collect();
    let soon: Arc<dyn Interrupt> = Arc::new(Flag(AtomicBool::new(true)));
    assert!(low.batch(2, &soon).is_ok());
    assert_eq!(high.batch(8, &soon).err(), Some(Error::Interrupted));
    drop(others);
}
