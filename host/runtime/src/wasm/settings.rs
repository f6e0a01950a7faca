//! Every setting of wasmtime that safety, speed or memory depends on, with its reason. Nothing else in the crate
//! configures wasmtime.

use wasmtime::{
    Config, Engine, Inlining, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, ProfilingStrategy,
    Strategy,
};

use crate::Error;

/// The most memory that one sandbox can be given, in bytes: what 32-bit pages can hold less one.
pub const MAX_MEMORY: u64 = (4 << 30) - (64 << 10);

/// How many sandboxes can live at once in one process. Each reserves twice 4 GiB of address space (not memory),
/// of which x86-64 has 128 TiB.
pub const SANDBOXES: u32 = 10_000;

/// Stack of the guest's compiled code. CPython counts only the stack that it keeps in its own memory (1 MiB); with this
/// much for the rest, its own recursion checks fire first, so that deep recursion through C code (JSON, `repr`,
/// pickles, comparisons) is a `RecursionError` and not the end of the sandbox.
pub const WASM_STACK: usize = 32 << 20;

/// Native stack of a call: the guest's and room for wasmtime and our host functions beside it. wasmtime checks only its
/// own limit: without the room, the host's frames beyond it would overflow and kill the process.
pub const NATIVE_STACK: usize = WASM_STACK + (2 << 20);

/// Entries of the module's one table, with room for images built with other options.
const TABLE_ELEMENTS: usize = 20_000;

/// The environment variable that makes the engine write a map for `perf` (`/tmp/perf-PID.map`).
pub const PERF_MAP_VARIABLE: &str = "CLOISTER_PERF_MAP";

/// An engine with these settings.
pub fn engine() -> Result<Engine, Error> {
    let mut last = None;
    // A process with a limit on its address space gets fewer sandboxes rather than none.
    for sandboxes in [SANDBOXES, 1_000, 100, 10] {
        match Engine::new(&config(sandboxes)) {
            Ok(engine) => return Ok(engine),
            Err(error) => last = Some(error),
        }
    }
    let reason = last.map(|error| format!("{error:#}")).unwrap_or_default();
    Err(Error::missing(
        format!("the wasm engine cannot be set up: {reason}"),
        "raise the limit on the address space (`ulimit -v unlimited`), or use process mode",
    ))
}

fn config(sandboxes: u32) -> Config {
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
    // The flags that they poll are the module's second memory.
    config.epoch_interruption(false).wasm_multi_memory(true);
    // 4 GiB of reserved address space and guard pages make every 32-bit access either in bounds or a fault: no checks
    // in the code, no way around them.
    config.memory_reservation(4 << 30).memory_guard_size(32 << 20).guard_before_linear_memory(true);
    config.memory_may_move(false);
    // A sandbox starts as a copy-on-write mapping of the image.
    config.memory_init_cow(true);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(sandboxes)));
    // Traps are reported by kind only: a backtrace into the interpreter tells a user nothing.
    config.wasm_backtrace_max_frames(None);
    // Proposals that the image does not use stay off: less of wasmtime that a guest can reach.
    config.wasm_tail_call(false).wasm_relaxed_simd(false).wasm_memory64(false);
    if std::env::var_os(PERF_MAP_VARIABLE).is_some() {
        config.profiler(ProfilingStrategy::PerfMap);
    }
    config
}

fn pool(sandboxes: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(sandboxes).total_memories(2 * sandboxes).total_tables(sandboxes);
    pool.max_memories_per_module(2).max_tables_per_module(1).table_elements(TABLE_ELEMENTS);
    pool.max_core_instance_size(1 << 20).max_memory_size(MAX_MEMORY as usize);
    // Nothing of a former tenant is kept: a slot's pages go back to the image before it is used again.
    pool.linear_memory_keep_resident(0).table_keep_resident(0);
    pool
}
