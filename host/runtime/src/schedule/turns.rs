//! Whose turn it is: start-time fair queueing (Goyal, Vin, Cheng 1996) over the service that tenants have had, by weight.
//! Pure: knows no thread and no clock but the time that it is told.
//!
//! A call cannot be paused, so the order alone does not keep a tenant with calls that run long from the cores. Two rules
//! do:
//! 1. While other tenants have jobs, a tenant leaves one slot free for them, unless their share by weight is less than
//!    half a slot.
//! 2. The first call of a tenant that has had no more service than the others does not wait, even when all slots are
//!    taken: the operating system then shares the cores.

use std::collections::VecDeque;

/// Virtual time of one nanosecond of service at weight 1: divisions by weights keep their precision.
const SCALE: u128 = 1 << 10;

/// By how much service (nanoseconds at weight 1) a tenant may be ahead of the others and still have rule 2.
const SLACK: u128 = 5_000_000 * SCALE;

/// A tenant that asks again within this time (nanoseconds) was not idle: it keeps what it is behind the others.
const GRACE: u64 = 10_000_000;

/// The lanes and who runs.
#[derive(Debug)]
pub struct Turns<T> {
    slots: u32,
    lanes: Vec<Lane<T>>,
    /// The lanes with calls that run or wait.
    active: Vec<usize>,
    running: u32,
    waiting: usize,
    /// Weights of the lanes with jobs.
    weight: u64,
    /// The time that was told last, in nanoseconds.
    now: u64,
    /// Service that one running call has had since the beginning, in nanoseconds: time, slowed down by as much as there
    /// are more calls than slots.
    service: u64,
    /// Virtual time when nobody was active last.
    floor: u128,
}

/// One tenant.
#[derive(Debug)]
struct Lane<T> {
    weight: u32,
    jobs: u64,
    running: u32,
    /// The sum of `service` at the starts of the running calls.
    starts: u128,
    /// Service of all ended calls by weight: virtual time.
    served: u128,
    /// When its last call ended or gave up.
    idle_since: u64,
    waiting: VecDeque<T>,
}

impl<T> Lane<T> {
    fn is_active(&self) -> bool {
        self.running > 0 || !self.waiting.is_empty()
    }

    /// Virtual time with what the running calls have had.
    fn virtual_time(&self, service: u64) -> u128 {
        let running = u128::from(self.running) * u128::from(service) - self.starts;
        self.served + running * SCALE / u128::from(self.weight)
    }
}

impl<T> Turns<T> {
    pub fn new(slots: u32) -> Turns<T> {
        Turns {
            slots,
            lanes: Vec::new(),
            active: Vec::new(),
            running: 0,
            waiting: 0,
            weight: 0,
            now: 0,
            service: 0,
            floor: 0,
        }
    }

    /// One more lane; its index.
    pub fn add(&mut self, weight: u32) -> usize {
        self.lanes.push(Lane {
            weight: weight.max(1),
            jobs: 0,
            running: 0,
            starts: 0,
            served: 0,
            idle_since: 0,
            waiting: VecDeque::new(),
        });
        self.lanes.len() - 1
    }

    pub fn set_weight(&mut self, index: usize, weight: u32) {
        let service = self.service;
        let lane = &mut self.lanes[index];
        // What was had at the old weight stays had.
        lane.served = lane.virtual_time(service);
        lane.starts = u128::from(lane.running) * u128::from(service);
        if lane.jobs > 0 {
            self.weight = self.weight - u64::from(lane.weight) + u64::from(weight.max(1));
        }
        lane.weight = weight.max(1);
    }

    pub fn job_started(&mut self, index: usize) {
        let lane = &mut self.lanes[index];
        lane.jobs += 1;
        if lane.jobs == 1 {
            self.weight += u64::from(lane.weight);
        }
    }

    pub fn job_ended(&mut self, index: usize) {
        let lane = &mut self.lanes[index];
        lane.jobs -= 1;
        if lane.jobs == 0 {
            self.weight -= u64::from(lane.weight);
        }
    }

    /// Calls of a lane that run, and that wait.
    pub fn load(&self, index: usize) -> (u64, u64) {
        let lane = &self.lanes[index];
        (u64::from(lane.running), lane.waiting.len() as u64)
    }

    /// It is `now`, in nanoseconds.
    pub fn advance(&mut self, now: u64) {
        // Threads read the clock before they have the lock.
        let passed = now.saturating_sub(self.now);
        self.now = self.now.max(now);
        let over = u64::from(self.running.max(self.slots));
        self.service += (u128::from(passed) * u128::from(self.slots) / u128::from(over)) as u64;
    }

    /// Starts a call of a lane, if it need not wait.
    pub fn start(&mut self, index: usize) -> bool {
        self.activate(index);
        if self.lanes[index].waiting.is_empty() && self.may_start(index) {
            self.run(index);
            return true;
        }
        false
    }

    /// Puts a call at the end of its lane, after [`Self::start`] has said that it must wait.
    pub fn wait(&mut self, index: usize, call: T) {
        self.lanes[index].waiting.push_back(call);
        self.waiting += 1;
    }

    /// Takes a waiting call out; `false` if it does not wait (any more).
    pub fn withdraw(&mut self, index: usize, is_it: impl Fn(&T) -> bool) -> bool {
        let waiting = &mut self.lanes[index].waiting;
        let Some(place) = waiting.iter().position(is_it) else { return false };
        waiting.remove(place);
        self.waiting -= 1;
        self.deactivate(index);
        true
    }

    /// A running call of a lane has ended.
    pub fn finish(&mut self, index: usize) {
        let service = u128::from(self.service);
        let lane = &mut self.lanes[index];
        // Which of the lane's calls ended does not matter for the sum of what they have had: this one's share is the
        // mean, the others keep the rest.
        let share = (u128::from(lane.running) * service - lane.starts) / u128::from(lane.running);
        lane.served += share * SCALE / u128::from(lane.weight);
        lane.starts -= service - share;
        lane.running -= 1;
        self.running -= 1;
        self.deactivate(index);
    }

    /// Starts the waiting call whose turn it is, if it is anybody's.
    pub fn next(&mut self) -> Option<T> {
        if self.waiting == 0 {
            return None;
        }
        let ready = |index: &usize| !self.lanes[*index].waiting.is_empty() && self.may_start(*index);
        let next = self.active.iter().copied().filter(ready);
        let index = next.min_by_key(|index| self.lanes[*index].virtual_time(self.service))?;
        let call = self.lanes[index].waiting.pop_front()?;
        self.waiting -= 1;
        self.run(index);
        Some(call)
    }

    fn run(&mut self, index: usize) {
        let lane = &mut self.lanes[index];
        lane.running += 1;
        lane.starts += u128::from(self.service);
        self.running += 1;
    }

    fn may_start(&self, index: usize) -> bool {
        let lane = &self.lanes[index];
        if self.running < self.slots && lane.running < self.most(lane) {
            return true;
        }
        // Rule 2.
        lane.running == 0 && lane.virtual_time(self.service) <= self.virtual_time() + SLACK
    }

    /// Slots that a lane may hold: rule 1.
    fn most(&self, lane: &Lane<T>) -> u32 {
        let others = self.weight.saturating_sub(u64::from(lane.weight));
        let reserved = 2 * u64::from(self.slots) * others >= self.weight && others > 0;
        (self.slots - u32::from(reserved)).max(1)
    }

    /// The least that an active lane has had.
    fn virtual_time(&self) -> u128 {
        let least = self.active.iter().map(|index| self.lanes[*index].virtual_time(self.service)).min();
        least.map_or(self.floor, |least| least.max(self.floor))
    }

    /// A lane that was idle starts where the others are: time that was not asked for is not owed.
    fn activate(&mut self, index: usize) {
        if !self.active.contains(&index) {
            let now = self.virtual_time();
            let lane = &mut self.lanes[index];
            if self.now >= lane.idle_since + GRACE {
                lane.served = lane.served.max(now);
            }
            self.active.push(index);
        }
    }

    fn deactivate(&mut self, index: usize) {
        if self.lanes[index].is_active() {
            return;
        }
        if let Some(place) = self.active.iter().position(|other| *other == index) {
            self.active.swap_remove(place);
        }
        self.lanes[index].idle_since = self.now;
        if self.active.is_empty() {
            self.floor = self.floor.max(self.lanes[index].served);
        }
    }
}

#[cfg(test)]
mod tests;
