//! The order of calls, on a clock that the tests turn.

use super::*;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

/// Lanes with these weights and a job each.
fn turns(slots: u32, weights: &[u32]) -> Turns<u32> {
    let mut turns = Turns::new(slots);
    for weight in weights {
        let index = turns.add(*weight);
        turns.job_started(index);
    }
    turns
}

/// A call of `lane`: whether it starts, or waits as `call`.
fn arrive(turns: &mut Turns<u32>, lane: usize, call: u32) -> bool {
    let started = turns.start(lane);
    if !started {
        turns.wait(lane, call);
    }
    started
}

/// Who starts when a call of `lane` ends at `now`.
fn finish(turns: &mut Turns<u32>, lane: usize, now: u64) -> Vec<u32> {
    turns.advance(now);
    turns.finish(lane);
    std::iter::from_fn(|| turns.next()).collect()
}

#[test]
fn a_tenant_without_others_has_all_slots() {
    let mut turns = turns(4, &[1]);
    assert_eq!([(); 5].map(|()| arrive(&mut turns, 0, 7)), [true, true, true, true, false]);
    assert_eq!(finish(&mut turns, 0, MS), [7]);
    assert_eq!(turns.load(0), (4, 0));
}

#[test]
fn a_slot_stays_free_for_others_that_have_jobs() {
    let mut turns = turns(4, &[1, 1]);
    let spinning = [(); 100].map(|()| arrive(&mut turns, 0, 7));
    assert_eq!(spinning.iter().filter(|started| **started).count(), 3);
    assert!(arrive(&mut turns, 1, 1), "the bystander has its slot");
    // It comes and goes, and nobody takes its slot meanwhile.
    for round in 1..1_000 {
        assert!(finish(&mut turns, 1, round * MS).is_empty());
        assert!(arrive(&mut turns, 1, 1));
    }
    assert_eq!(turns.load(0), (3, 97));
    // Its last job ends: the others have all slots.
    finish(&mut turns, 1, SECOND);
    turns.job_ended(1);
    assert_eq!(turns.next(), Some(7));
    assert_eq!(turns.next(), None);
}

#[test]
fn the_first_call_of_a_tenant_does_not_wait_for_calls_that_spin() {
    // One slot; and more tenants than slots.
    let mut turns = turns(1, &[1, 1, 1]);
    assert!(arrive(&mut turns, 0, 0));
    turns.advance(10 * SECOND);
    assert!(arrive(&mut turns, 1, 1) && arrive(&mut turns, 2, 2));
    assert!(!arrive(&mut turns, 1, 3), "its second call does");
}

#[test]
fn a_tenant_that_has_had_more_than_the_others_waits_for_them() {
    let mut turns = turns(1, &[1, 1]);
    assert!(arrive(&mut turns, 0, 0) && arrive(&mut turns, 1, 1));
    // Both run for a second of the one slot; then the first asks again and again, and the second goes on.
    assert!(finish(&mut turns, 0, SECOND).is_empty());
    assert!(arrive(&mut turns, 0, 0), "it is not ahead");
    assert!(finish(&mut turns, 1, SECOND + 2 * MS).is_empty());
    assert!(finish(&mut turns, 0, 2 * SECOND).is_empty());
    // The second is back at where the first is, and the first has no credit and no debt.
    assert!(arrive(&mut turns, 1, 1) && arrive(&mut turns, 0, 0));
}

/// What each lane gets of the slots, in milliseconds, when it always has `depth` calls of `length` milliseconds to run
/// and the system shares the cores evenly between those that run.
fn shares(turns: &mut Turns<u32>, lanes: &[(usize, f64)], milliseconds: u64) -> Vec<f64> {
    let mut served = vec![0.0; lanes.len()];
    let mut running: Vec<(usize, f64)> = Vec::new();
    for (lane, (depth, _)) in lanes.iter().enumerate() {
        for _ in 0..*depth {
            if arrive(turns, lane, lane as u32) {
                running.push((lane, 0.0));
            }
        }
    }
    for now in 1..=milliseconds {
        turns.advance(now * MS);
        let each = (f64::from(turns.slots) / running.len() as f64).min(1.0);
        for (lane, had) in &mut running {
            *had += each;
            served[*lane] += each;
        }
        let (ended, going): (Vec<_>, Vec<_>) = running.iter().partition(|(lane, had)| *had >= lanes[*lane].1);
        running = going;
        for (lane, _) in &ended {
            turns.finish(*lane);
            running.extend(std::iter::from_fn(|| turns.next()).map(|call| (call as usize, 0.0)));
        }
        for (lane, _) in &ended {
            if arrive(turns, *lane, *lane as u32) {
                running.push((*lane, 0.0));
            }
        }
        running.extend(std::iter::from_fn(|| turns.next()).map(|call| (call as usize, 0.0)));
        assert_eq!(running.len(), turns.running as usize);
    }
    served
}

#[test]
fn slots_are_shared_by_weight_however_long_the_calls_are() {
    // One slot, three quarters for the second, which always has a call waiting; calls of equal and different lengths.
    for lanes in
        [[(2, 100.0), (2, 100.0)], [(9, 1000.0), (9, 2.0)], [(100, 1000.0), (2, 100.0)], [(9, 50.0), (9, 50.0)]]
    {
        let served = shares(&mut turns(1, &[1, 3]), &lanes, 100_000);
        let share = served[1] / (served[0] + served[1]);
        assert!((0.65..0.85).contains(&share), "{lanes:?}: {served:?}");
    }
    // Two slots, equal weights, a hundred long calls against one short one at a time.
    let served = shares(&mut turns(2, &[1, 1]), &[(100, 500.0), (1, 1.0)], 100_000);
    assert!((0.9..1.1).contains(&(served[1] / served[0])), "{served:?}");
    // Ten tenants that spin, and one that does not get less than they.
    let mut lanes = vec![(10, 1000.0); 11];
    lanes[0] = (1, 5.0);
    let served = shares(&mut turns(2, &[1; 11]), &lanes, 200_000);
    let mean = served.iter().sum::<f64>() / served.len() as f64;
    assert!(served.iter().all(|share| (0.7..1.3).contains(&(share / mean))), "{served:?}");
}

#[test]
fn time_that_was_not_asked_for_is_not_owed() {
    let mut turns = turns(2, &[1, 1]);
    assert!(arrive(&mut turns, 0, 0));
    // The second was idle for an hour, and now wants everything: one slot stays the first's.
    turns.advance(3_600 * SECOND);
    assert_eq!([(); 3].map(|()| arrive(&mut turns, 1, 1)), [true, false, false]);
    assert!(finish(&mut turns, 0, 3_601 * SECOND).is_empty());
    assert!(arrive(&mut turns, 0, 0));
}

#[test]
fn calls_of_one_tenant_start_in_order_and_a_call_that_gives_up_is_passed_over() {
    let mut turns = turns(1, &[1]);
    assert!(arrive(&mut turns, 0, 0));
    for call in 1..=3 {
        assert!(!arrive(&mut turns, 0, call));
    }
    assert!(turns.withdraw(0, |call| *call == 2));
    assert!(!turns.withdraw(0, |call| *call == 2));
    assert_eq!(finish(&mut turns, 0, MS), [1]);
    assert_eq!(finish(&mut turns, 0, 2 * MS), [3]);
    assert!(finish(&mut turns, 0, 3 * MS).is_empty());
    assert_eq!((turns.load(0), turns.running, turns.waiting, turns.active.len()), ((0, 0), 0, 0, 0));
}

#[test]
fn weights_can_change_while_calls_run() {
    let mut turns = turns(2, &[1, 1]);
    assert!(arrive(&mut turns, 0, 0));
    assert!(!arrive(&mut turns, 0, 1), "half of it is the other's");
    turns.set_weight(0, 100);
    assert_eq!(turns.next(), Some(1), "the other's share is less than half a slot");
    finish(&mut turns, 0, SECOND);
    finish(&mut turns, 0, SECOND);
    assert_eq!(turns.load(0), (0, 0));
    assert_eq!(turns.weight, 101);
}
