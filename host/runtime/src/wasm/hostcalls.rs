//! The functions that a guest can call, at core level: clocks, randomness, sleep, captured output, and "there is no
//! such thing" for the rest of WASI 0.2. Nothing here reaches the host's files, environment, network or standard
//! streams, and no pointer or length of a guest is used unchecked.
//!
//! The shapes (argument order, return areas) are those of the component model's canonical ABI for the WASI 0.2
//! interfaces, as the flattener leaves them: module = interface, field = function.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wasmtime::{Caller, Engine, ExternType, Linker, Module, Val};

use super::state::State;
use crate::log::LogStream;
use crate::{Error, ExecutionMode};

type Context<'a> = Caller<'a, State>;

const STDIN: u32 = 1;
const STDOUT: u32 = 2;
const STDERR: u32 = 3;
const NETWORK: u32 = 4;

/// The most randomness that one call gives.
const MOST_RANDOM: u64 = 64 << 10;

/// How long a sleep goes on before it looks at deadline and cancellation.
const SLEEP_SLICE: Duration = Duration::from_millis(5);

/// Discriminants of the canonical ABI.
const OK: u8 = 0;
const ERR: u8 = 1;
const STREAM_CLOSED: u8 = 1;
/// `wasi:sockets/network.error-code.access-denied` and `name-resolver`'s place in the same enumeration.
const ACCESS_DENIED: u8 = 1;

/// A linker that serves every import of `module`: with the functions of this file, and with a trap for the others.
pub fn linker(engine: &Engine, module: &Module) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    for import in module.imports() {
        let ExternType::Func(function_type) = import.ty() else {
            return Err(wasmtime::Error::msg(format!("import {}.{} is no function", import.module(), import.name())));
        };
        let (module, name) = (import.module(), import.name());
        let interface = module.split('@').next().unwrap_or(module);
        if !define(&mut linker, interface, module, name)? {
            let what = format!("{interface}.{name}");
            linker.func_new(module, name, function_type, move |_, _, _: &mut [Val]| Err(unavailable(&what)))?;
        }
    }
    Ok(linker)
}

/// Defines one import; `false` if this file has nothing for it.
fn define(linker: &mut Linker<State>, interface: &str, module: &str, name: &str) -> wasmtime::Result<bool> {
    match (interface, name) {
        ("wasi:cli/stdin", _) => linker.func_wrap(module, name, || STDIN)?,
        ("wasi:cli/stdout", _) => linker.func_wrap(module, name, || STDOUT)?,
        ("wasi:cli/stderr", _) => linker.func_wrap(module, name, || STDERR)?,
        (
            "wasi:cli/environment" | "wasi:filesystem/preopens",
            "get-environment" | "get-arguments" | "get-directories",
        ) => linker.func_wrap(module, name, empty_list)?,
        ("wasi:cli/terminal-stdin" | "wasi:cli/terminal-stdout" | "wasi:cli/terminal-stderr", _) => {
            linker.func_wrap(module, name, |mut context: Context<'_>, area: u32| write(&mut context, area, &[0]))?
        }
        ("wasi:cli/exit", "exit") => linker.func_wrap(module, name, exit)?,
        ("wasi:io/streams", "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush") => {
            linker.func_wrap(module, name, output)?
        }
        ("wasi:io/streams", "[method]output-stream.check-write") => linker.func_wrap(module, name, check_write)?,
        ("wasi:io/streams", "[method]output-stream.blocking-flush" | "[method]output-stream.flush") => linker
            .func_wrap(module, name, |mut context: Context<'_>, _: u32, area: u32| write(&mut context, area, &[OK]))?,
        ("wasi:io/streams", "[method]input-stream.read" | "[method]input-stream.blocking-read") => {
            linker.func_wrap(module, name, input)?
        }
        ("wasi:io/streams", "[method]input-stream.subscribe" | "[method]output-stream.subscribe") => {
            linker.func_wrap(module, name, |mut context: Context<'_>, _: u32| timer(&mut context, 0))?
        }
        ("wasi:clocks/monotonic-clock", "now") => {
            linker.func_wrap(module, name, |context: Context<'_>| nanoseconds(context.data().born.elapsed()))?
        }
        ("wasi:clocks/monotonic-clock", "resolution") => linker.func_wrap(module, name, || 1_u64)?,
        ("wasi:clocks/monotonic-clock", "subscribe-duration") => {
            linker.func_wrap(module, name, |mut context: Context<'_>, wait: u64| timer(&mut context, wait))?
        }
        ("wasi:clocks/monotonic-clock", "subscribe-instant") => {
            linker.func_wrap(module, name, |mut context: Context<'_>, at: u64| {
                let wait = at.saturating_sub(nanoseconds(context.data().born.elapsed()));
                timer(&mut context, wait)
            })?
        }
        ("wasi:clocks/wall-clock", "now") => linker.func_wrap(module, name, wall_clock)?,
        ("wasi:clocks/wall-clock", "resolution") => {
            linker.func_wrap(module, name, |mut context: Context<'_>, area: u32| {
                write(&mut context, area, &0_u64.to_le_bytes())?;
                write(&mut context, offset(area, 8), &1_u32.to_le_bytes())
            })?
        }
        ("wasi:io/poll", "[method]pollable.block") => {
            linker.func_wrap(module, name, |context: Context<'_>, handle: u32| sleep(&context, handle))?
        }
        ("wasi:io/poll", "[method]pollable.ready") => {
            linker.func_wrap(module, name, |context: Context<'_>, handle: u32| {
                u32::from(context.data().timer(handle).is_none_or(|at| at <= Instant::now()))
            })?
        }
        ("wasi:io/poll", "poll") => linker.func_wrap(module, name, poll)?,
        ("wasi:random/random" | "wasi:random/insecure", "get-random-bytes" | "get-insecure-random-bytes") => {
            linker.func_wrap(module, name, random_bytes)?
        }
        ("wasi:random/random" | "wasi:random/insecure", "get-random-u64" | "get-insecure-random-u64") => {
            linker.func_wrap(module, name, random_word)?
        }
        ("wasi:sockets/instance-network", "instance-network") => linker.func_wrap(module, name, || NETWORK)?,
        ("wasi:sockets/tcp-create-socket" | "wasi:sockets/udp-create-socket", _) => {
            linker.func_wrap(module, name, |mut context: Context<'_>, _family: u32, area: u32| {
                denied(&mut context, area)
            })?
        }
        ("wasi:sockets/ip-name-lookup", "resolve-addresses") => linker.func_wrap(
            module,
            name,
            |mut context: Context<'_>, _network: u32, _name: u32, _length: u32, area: u32| denied(&mut context, area),
        )?,
        ("canonical", "resource-drop") => linker.func_wrap(module, name, |mut context: Context<'_>, handle: u32| {
            context.data_mut().drop_timer(handle);
        })?,
        _ => return Ok(false),
    };
    Ok(true)
}

fn unavailable(what: &str) -> wasmtime::Error {
    wasmtime::Error::new(Error::ExecutorDied {
        mode: ExecutionMode::Wasm,
        reason: format!("the code reached for {what}, which a sandbox does not have"),
    })
}

fn guest_fault(what: &'static str) -> wasmtime::Error {
    wasmtime::Error::msg(what)
}

/// The area's fields lie behind each other; a wrapped address is caught by the bounds check of the write.
fn offset(area: u32, bytes: u32) -> u32 {
    area.wrapping_add(bytes)
}

fn write(context: &mut Context<'_>, pointer: u32, bytes: &[u8]) -> wasmtime::Result<()> {
    let memory = context.data().memory.ok_or_else(|| guest_fault("no memory"))?;
    memory.write(context, pointer as usize, bytes).map_err(|_| guest_fault("a pointer outside of the memory"))
}

fn slice<'a>(context: &'a Context<'_>, pointer: u32, length: u32) -> wasmtime::Result<&'a [u8]> {
    let memory = context.data().memory.ok_or_else(|| guest_fault("no memory"))?;
    memory
        .data(context)
        .get(pointer as usize..)
        .and_then(|rest| rest.get(..length as usize))
        .ok_or_else(|| guest_fault("a pointer outside of the memory"))
}

/// Room for `length` bytes from the guest's own allocator.
fn allocate(context: &mut Context<'_>, length: u32, alignment: u32) -> wasmtime::Result<u32> {
    let realloc = context.data().realloc.clone().ok_or_else(|| guest_fault("no allocator"))?;
    realloc.call(context, (0, 0, alignment, length))
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn empty_list(mut context: Context<'_>, area: u32) -> wasmtime::Result<()> {
    write(&mut context, area, &[0; 8])
}

fn denied(context: &mut Context<'_>, area: u32) -> wasmtime::Result<()> {
    write(context, area, &[ERR])?;
    write(context, offset(area, 4), &[ACCESS_DENIED])
}

fn exit(_status: u32) -> wasmtime::Result<()> {
    Err(wasmtime::Error::new(Error::ExecutorDied {
        mode: ExecutionMode::Wasm,
        reason: "the code ended its interpreter (os._exit or abort)".into(),
    }))
}

fn output(mut context: Context<'_>, stream: u32, pointer: u32, length: u32, area: u32) -> wasmtime::Result<()> {
    let log = match stream {
        STDOUT => LogStream::Stdout,
        STDERR => LogStream::Stderr,
        _ => return Err(guest_fault("an unknown stream")),
    };
    let bytes = slice(&context, pointer, length)?;
    context.data().log.write(log, bytes);
    write(&mut context, area, &[OK])
}

fn check_write(mut context: Context<'_>, _stream: u32, area: u32) -> wasmtime::Result<()> {
    write(&mut context, area, &[OK])?;
    write(&mut context, offset(area, 8), &65_536_u64.to_le_bytes())
}

/// Standard input is at its end.
fn input(mut context: Context<'_>, _stream: u32, _length: u64, area: u32) -> wasmtime::Result<()> {
    write(&mut context, area, &[ERR])?;
    write(&mut context, offset(area, 4), &[STREAM_CLOSED])
}

fn wall_clock(mut context: Context<'_>, area: u32) -> wasmtime::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    write(&mut context, area, &now.as_secs().to_le_bytes())?;
    write(&mut context, offset(area, 8), &now.subsec_nanos().to_le_bytes())
}

fn timer(context: &mut Context<'_>, wait: u64) -> wasmtime::Result<u32> {
    // A wait beyond what an Instant can hold is for ever; the deadline ends it.
    let now = Instant::now();
    let at = now.checked_add(Duration::from_nanos(wait)).unwrap_or(now + Duration::from_secs(1 << 32));
    context.data_mut().new_timer(at).ok_or_else(|| guest_fault("too many timers"))
}

/// Blocks until the timer is due, or the call has to end.
fn sleep(context: &Context<'_>, handle: u32) -> wasmtime::Result<()> {
    let state = context.data();
    let at = state.timer(handle).ok_or_else(|| guest_fault("an unknown timer"))?;
    loop {
        if let Some(error) = state.interruption() {
            return Err(wasmtime::Error::new(error));
        }
        let left = at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(SLEEP_SLICE));
    }
}

/// Blocks until the earliest of a list of timers is due, and names it.
fn poll(mut context: Context<'_>, list: u32, length: u32, area: u32) -> wasmtime::Result<()> {
    let bytes = slice(&context, list, length.checked_mul(4).ok_or_else(|| guest_fault("a list that is too long"))?)?;
    let earliest = bytes
        .chunks_exact(4)
        .zip(0_u32..)
        .filter_map(|(word, index)| {
            let handle = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
            context.data().timer(handle).map(|at| (at, handle, index))
        })
        .min();
    let Some((_, handle, index)) = earliest else { return Err(guest_fault("a poll of nothing")) };
    sleep(&context, handle)?;
    let pointer = allocate(&mut context, 4, 4)?;
    write(&mut context, pointer, &index.to_le_bytes())?;
    write(&mut context, area, &pointer.to_le_bytes())?;
    write(&mut context, offset(area, 4), &1_u32.to_le_bytes())
}

fn random_bytes(mut context: Context<'_>, length: u64, area: u32) -> wasmtime::Result<()> {
    if length > MOST_RANDOM {
        return Err(guest_fault("too much randomness at once"));
    }
    let mut bytes = vec![0; length as usize];
    fill_random(&mut bytes)?;
    let pointer = allocate(&mut context, length as u32, 1)?;
    write(&mut context, pointer, &bytes)?;
    write(&mut context, area, &pointer.to_le_bytes())?;
    write(&mut context, offset(area, 4), &(length as u32).to_le_bytes())
}

fn random_word() -> wasmtime::Result<u64> {
    let mut bytes = [0; 8];
    fill_random(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn fill_random(bytes: &mut [u8]) -> wasmtime::Result<()> {
    getrandom::fill(bytes).map_err(|error| wasmtime::Error::msg(format!("no randomness: {error}")))
}
