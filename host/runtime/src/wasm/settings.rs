//! Every setting of wasmtime that safety, speed or memory depends on, with its reason. Nothing else in the crate
//! configures wasmtime.

use std::sync::Arc;

use wasmtime::{Config, Engine, Inlining, InstanceAllocationStrategy, OptLevel, ProfilingStrategy, Strategy};

use super::memory::Memories;
use crate::error::{Error, Limit, Scope};

/// The most memory that one sandbox can be given, in bytes: what 32-bit pages can hold less one.
pub const MAX_MEMORY: u64 = (4 << 30) - (64 << 10);

/// How many sandboxes can live at once in one process. Each reserves twice [`ROOM`] and guards of address space (not
/// memory), of which x86-64 has 128 TiB.
pub const SANDBOXES: u32 = 10_000;

/// Address space of one memory. All that a 32-bit address can reach: together with the guard it makes every access
/// either in bounds or a fault, with no checks in the code and no way around them.
pub const ROOM: usize = 4 << 30;

/// Inaccessible address space before and behind each memory.
pub const GUARD: usize = 32 << 20;

/// The error when as many live.
pub fn too_many() -> Error {
    Error::Limit(Limit::Executors { limit: u64::from(SANDBOXES), scope: Scope::Host })
}

/// Stack of the guest's compiled code. CPython counts only the stack that it keeps in its own memory (1 MiB); with this
/// much for the rest, its own recursion checks fire first, so that deep recursion through C code (JSON, `repr`,
/// pickles, comparisons) is a `RecursionError` and not the end of the sandbox.
pub const WASM_STACK: usize = 32 << 20;

/// Native stack of a call: the guest's and room for wasmtime and our host functions beside it. wasmtime checks only its
/// own limit: without the room, the host's frames beyond it would overflow and kill the process.
pub const NATIVE_STACK: usize = WASM_STACK + (2 << 20);

/// The environment variable that makes the engine write a map for `perf` (`/tmp/perf-PID.map`).
pub const PERF_MAP_VARIABLE: &str = "CLOISTER_PERF_MAP";

/// An engine with these settings, whose sandboxes get their memory from `memories`.
pub fn engine(memories: Arc<Memories>) -> Result<Engine, Error> {
    let mut config = Config::new();
    // One compiler, at its best: the image is compiled once per machine.
    config.strategy(Strategy::Cranelift).cranelift_opt_level(OptLevel::Speed);
    // Never on: two copies of one poll in a function could be taken for one. The image's build has inlined already.
    config.compiler_inlining(Inlining::No);
    // Calls are synchronous, on threads whose stack we know. Fibers are not used, so their machinery is off.
    config.concurrency_support(false);
    // The second one is for fibers, which are not used, but must not be the smaller.
    config.max_wasm_stack(WASM_STACK).async_stack_size(NATIVE_STACK);
    // Deadlines and cancellation come from polls in the image itself, at a tenth of the price of epochs: see `watch`.
    // What they read is the module's second memory.
    config.epoch_interruption(false).wasm_multi_memory(true);
    // What compiled code may rely on instead of checking; `memory` keeps it.
    config.memory_reservation(ROOM as u64).memory_guard_size(GUARD as u64).memory_may_move(false);
    // Memories are ours: a sandbox starts as a copy-on-write mapping of the base image or of a job's image, which
    // wasmtime's own pool cannot do (it knows only the images of modules). So wasmtime has nothing to initialise.
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand).with_host_memory(memories);
    config.memory_init_cow(false);
    // Traps are reported by kind only: a backtrace into the interpreter tells a user nothing.
    config.wasm_backtrace_max_frames(None);
    // Proposals that the image does not use stay off: less of wasmtime that a guest can reach.
    config.wasm_tail_call(false).wasm_relaxed_simd(false).wasm_memory64(false);
    if std::env::var_os(PERF_MAP_VARIABLE).is_some() {
        config.profiler(ProfilingStrategy::PerfMap);
    }
    Engine::new(&config).map_err(|error| Error::internal(format!("the wasm engine cannot be set up: {error:#}")))
}
