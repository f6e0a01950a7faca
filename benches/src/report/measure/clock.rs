//! What work costs: wall time, and the CPU time of this process and of its workers, to the nanosecond where the kernel
//! tells it so.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// What some rows took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// How many rows (or calls, jobs, sandboxes: what is counted).
    pub count: u64,
    /// Seconds on the clock.
    pub wall: f64,
    /// Seconds of CPU, user and system, of all processes that took part.
    pub cpu: f64,
}

impl Cost {
    /// Seconds on the clock for one.
    pub fn wall_each(&self) -> f64 {
        self.wall / self.count as f64
    }

    /// Seconds of CPU for one.
    pub fn cpu_each(&self) -> f64 {
        self.cpu / self.count as f64
    }
}

/// Measures `run`, in which this process and its workers do the work of `count` rows.
///
/// # Errors
/// Those of `run`.
pub fn cost<E>(count: u64, run: impl FnOnce() -> Result<(), E>) -> Result<Cost, E> {
    let cpu = cpu_here();
    let start = Instant::now();
    run()?;
    let wall = start.elapsed().as_secs_f64();
    Ok(Cost { count, wall, cpu: cpu_here().saturating_sub(cpu).as_secs_f64() })
}

/// Short pieces of work in this process, between others that do not count.
#[derive(Debug, Default)]
pub struct Pieces {
    count: u64,
    wall: Duration,
    cpu: Duration,
}

impl Pieces {
    /// Measures one piece.
    pub fn measure<R>(&mut self, piece: impl FnOnce() -> R) -> R {
        let cpu = cpu_of_this_process();
        let start = Instant::now();
        let result = piece();
        self.wall += start.elapsed();
        self.cpu += cpu_of_this_process().saturating_sub(cpu);
        self.count += 1;
        result
    }

    /// What all pieces took.
    pub fn cost(&self) -> Cost {
        Cost { count: self.count, wall: self.wall.as_secs_f64(), cpu: self.cpu.as_secs_f64() }
    }
}

/// Peers that run beside us: their processes are below ours, their CPU time is not ours.
static APART: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// From now on the process and all below it do not count for [`cost`].
pub fn set_apart(process: u32) {
    APART.lock().unwrap_or_else(PoisonError::into_inner).push(process);
}

/// CPU time so far of this process, of its living workers and of those that it has reaped.
fn cpu_here() -> Duration {
    let apart = APART.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let own = system::process_time(0).unwrap_or_default() + system::reaped_time();
    children(std::process::id())
        .into_iter()
        .filter(|child| !apart.contains(child))
        .fold(own, |sum, child| sum + cpu_of_tree(child))
}

/// CPU time so far of this process and of all that it has started, peers too.
pub fn cpu_of_all() -> Duration {
    let own = system::process_time(0).unwrap_or_default() + system::reaped_time();
    children(std::process::id()).into_iter().fold(own, |sum, child| sum + cpu_of_tree(child))
}

/// CPU time of this process alone so far: cheap enough to be asked for around something short.
fn cpu_of_this_process() -> Duration {
    system::process_time(0).unwrap_or_default()
}

/// CPU time so far of a process and of all below it, dead ones included if their parent has reaped them.
pub fn cpu_of_tree(process: u32) -> Duration {
    let own = system::process_time(process).unwrap_or_default() + reaped_by(process);
    children(process).into_iter().fold(own, |sum, child| sum + cpu_of_tree(child))
}

/// The children of a process; none where the kernel does not list them.
pub fn children(process: u32) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else { return Vec::new() };
    let lists = threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}

/// What the children of another process had used when they ended, in ticks of the kernel (10 ms).
fn reaped_by(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name in parentheses may hold spaces; cutime and cstime are the 14th and 15th field after it.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_secs_f64(ticks as f64 / system::ticks_per_second())
}

pub use system::ticks_per_second;

/// The calls of libc.
mod system {
    use std::time::Duration;

    /// CPU time of a process, of all its threads; 0 is this one.
    pub fn process_time(process: u32) -> Option<Duration> {
        let mut clock = 0;
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: both pointers are to live values of the types that the calls fill in.
        let failed = unsafe {
            libc::clock_getcpuclockid(process as libc::pid_t, &mut clock) != 0
                || libc::clock_gettime(clock, &mut time) != 0
        };
        (!failed).then(|| Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
    }

    /// CPU time of the children of this process that have ended.
    pub fn reaped_time() -> Duration {
        // SAFETY: `rusage` is plain data, for which zeros are valid; the pointer is to a live one.
        let usage = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            libc::getrusage(libc::RUSAGE_CHILDREN, &mut usage);
            usage
        };
        let time = |value: libc::timeval| Duration::new(value.tv_sec as u64, value.tv_usec as u32 * 1_000);
        time(usage.ru_utime) + time(usage.ru_stime)
    }

    /// The kernel's unit in `/proc/PID/stat`.
    pub fn ticks_per_second() -> f64 {
        // SAFETY: sysconf has no preconditions.
        let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
        if ticks > 0 { ticks as f64 } else { 100.0 }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn spin(time: Duration) {
        let start = Instant::now();
        while start.elapsed() < time {
            std::hint::black_box(0);
        }
    }

    #[test]
    fn cpu_time_is_that_of_work_not_of_sleep() {
        // Other tests of this process may work at the same time: only lower bounds hold.
        let work = || {
            spin(Duration::from_millis(50));
            Ok::<_, ()>(())
        };
        let busy = cost(1, work).expect("a cost");
        assert!(busy.wall >= 0.05 && busy.cpu > 0.0, "{busy:?}");
        let each = Cost { count: 4, wall: 2.0, cpu: 1.0 };
        assert_eq!((each.wall_each(), each.cpu_each()), (0.5, 0.25));
    }

    #[test]
    fn only_the_pieces_count() {
        let mut pieces = Pieces::default();
        let begin = Instant::now();
        for _ in 0..3 {
            assert_eq!(pieces.measure(|| 7), 7);
            spin(Duration::from_millis(20));
        }
        let (cost, all) = (pieces.cost(), begin.elapsed().as_secs_f64());
        assert_eq!(cost.count, 3);
        assert!(cost.wall <= all - 0.06, "{cost:?} of {all} s");
    }

    #[test]
    fn a_worker_counts_while_it_lives_and_after() {
        let mut child = Command::new("sh")
            .args(["-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; read line"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("a shell");
        let start = Instant::now();
        while cpu_of_tree(child.id()) < Duration::from_millis(5) {
            assert!(start.elapsed() < Duration::from_secs(30), "the kernel does not tell a child's CPU time");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(children(std::process::id()).contains(&child.id()));
        let before = cpu_here();
        drop(child.stdin.take());
        child.wait().expect("an end");
        assert!(cpu_here() >= before, "the time of a reaped child is lost");
    }
}
