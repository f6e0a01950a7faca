//! One sandbox: an instance of the image, and how requests reach it. After a trap, an interruption or a denied
//! allocation it is dead and must be dropped; it is never given to another job.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow::array::ArrayRef;
use wasmtime::{Instance, Memory, ModuleExport, Store, Trap, TypedFunc, WasmParams, WasmResults};

use super::columns::{Columns, Guest};
use super::engine::Engine;
use super::state::State;
use super::watch::Place;
use super::{settings, stack};
use crate::ExecutionMode;
use crate::account::Account;
use crate::error::{Error, Limit, Scope};
use crate::executor::{CallContext, Executor, ReadReply};
use crate::function::{Argument, Binding};
use crate::log::JobLog;
use crate::protocol;

/// A live instance.
pub struct Sandbox {
    /// First, so that it is left before the store goes and the flags with it.
    place: Place,
    store: Store<State>,
    memory: Memory,
    handle: TypedFunc<(u32, u32), u32>,
    post_handle: TypedFunc<u32, ()>,
    realloc: TypedFunc<(u32, u32, u32, u32), u32>,
    free: TypedFunc<u32, ()>,
    /// None: every bundle goes in a frame.
    columns: Option<Columns>,
    alive: bool,
}

impl Sandbox {
    /// `columns`: the most bytes of a result that the column loop gives; none to do without that loop.
    pub fn new(
        engine: &Engine,
        memory_limit: u64,
        log: Arc<JobLog>,
        cancelled: Arc<AtomicBool>,
        account: Arc<Account>,
        columns: Option<usize>,
    ) -> Result<Sandbox, Error> {
        let state = State::new(memory_limit, log, cancelled.clone(), account);
        let mut store = Store::new(&engine.engine, state);
        store.limiter(|state| state);
        let instance = engine.instance.instantiate(&mut store).map_err(|error| {
            if error.is::<wasmtime::PoolConcurrencyLimitError>() {
                too_many()
            } else if let Some(limit) = store.data_mut().memory_denied.take() {
                Error::Limit(limit)
            } else {
                Error::internal(format!("no new sandbox: {error:#}"))
            }
        })?;
        let exports = &engine.exports;
        let memory = exported_memory(&mut store, &instance, &exports.memory)?;
        let interrupt = exported_memory(&mut store, &instance, &exports.interrupt)?;
        if interrupt.data_size(&store) < cloister_guest::FLAG_BYTES {
            return Err(Error::internal("the image's interrupt memory is too small"));
        }
        // SAFETY: the memory is at least as large as the flags (checked above), never moves or shrinks (the engine's
        // settings), and lives as long as the store, which is dropped after the place. Nothing here reads it.
        let place = unsafe { engine.watch.enter(interrupt.data_ptr(&store), cancelled) }.ok_or_else(too_many)?;
        let handle = function(&mut store, &instance, &exports.handle)?;
        let post_handle = function(&mut store, &instance, &exports.post_handle)?;
        let realloc = function(&mut store, &instance, &exports.realloc)?;
        let free = function(&mut store, &instance, &exports.free)?;
        let host_realloc = function(&mut store, &instance, &exports.host_realloc)?;
        let columns = match columns {
            Some(reply_limit) => {
                let run = function(&mut store, &instance, &exports.columns_run)?;
                let release = function(&mut store, &instance, &exports.columns_release)?;
                Some(Columns::new(run, release, reply_limit))
            }
            None => None,
        };
        let size = memory.data_size(&store) as u64;
        let state = store.data_mut();
        state.memory = Some(memory);
        state.realloc = Some(host_realloc);
        state.memory_peak = size;
        Ok(Sandbox { place, store, memory, handle, post_handle, realloc, free, columns, alive: true })
    }

    /// One request and its reply. Every `?` on a wasmtime error means that the instance is dead.
    fn exchange(&mut self, request: &[u8], read: ReadReply<'_>) -> wasmtime::Result<Result<(), Error>> {
        let store = &mut self.store;
        let Ok(length) = u32::try_from(request.len()) else {
            return Ok(Err(Error::Call("the bundle exceeds 4 GiB: use smaller bundles".into())));
        };
        let pointer = self.realloc.call(&mut *store, (0, 0, 1, length))?;
        if pointer == 0 {
            return Err(wasmtime::Error::new(self.memory_error()));
        }
        self.memory.write(&mut *store, pointer as usize, request)?;
        let area = self.handle.call(&mut *store, (pointer, length))?;
        let (pointer, length) = reply_place(self.memory.data(&*store), area)?;
        let outcome = read(&self.memory.data(&*store)[pointer..pointer + length]);
        self.post_handle.call(&mut *store, area)?;
        // Nobody in the guest owns the reply's buffer (see the build of the image).
        if length > 0 {
            self.free.call(&mut *store, pointer as u32)?;
        }
        Ok(outcome)
    }

    fn memory_error(&self) -> Error {
        let state = self.store.data();
        Error::Limit(state.memory_denied.clone().unwrap_or(Limit::Memory {
            limit: state.memory_limit,
            used: Some(state.memory_peak),
            scope: Scope::Executor,
        }))
    }

    /// The typed error for what ended the instance.
    fn death(&self, error: &wasmtime::Error) -> Error {
        if let Some(error) = error.downcast_ref::<Error>() {
            return error.clone();
        }
        match error.downcast_ref::<Trap>() {
            // A poll found its flag set.
            Some(Trap::UnreachableCodeReached) if let Some(error) = self.store.data().interruption() => error,
            Some(Trap::StackOverflow) => Error::Limit(Limit::Stack { limit: settings::WASM_STACK as u64 }),
            // An allocation that failed inside the interpreter's own C code can end in a trap.
            Some(_) if self.store.data().memory_denied.is_some() => self.memory_error(),
            Some(trap) => Error::ExecutorDied { mode: ExecutionMode::Wasm, reason: trap.to_string() },
            None => Error::ExecutorDied { mode: ExecutionMode::Wasm, reason: "the guest broke its contract".into() },
        }
    }
}

fn too_many() -> Error {
    Error::Limit(Limit::Executors { limit: u64::from(settings::SANDBOXES), scope: Scope::Host })
}

fn exported_memory(store: &mut Store<State>, instance: &Instance, export: &ModuleExport) -> Result<Memory, Error> {
    instance
        .get_module_export(store, export)
        .and_then(wasmtime::Extern::into_memory)
        .ok_or_else(|| Error::internal("the image lacks a memory"))
}

/// Where the reply lies that the return area at `area` points to. Pointer and length are the guest's word: the place is
/// checked to be within its memory.
fn reply_place(data: &[u8], area: u32) -> wasmtime::Result<(usize, usize)> {
    let outside = || wasmtime::Error::msg("a reply outside of the guest's memory");
    let word = |offset: usize| {
        let start = area as usize + offset;
        let bytes = data.get(start..start + 4).ok_or_else(outside)?;
        Ok::<usize, wasmtime::Error>(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize)
    };
    let (pointer, length) = (word(0)?, word(4)?);
    data.get(pointer..).and_then(|rest| rest.get(..length)).ok_or_else(outside)?;
    Ok((pointer, length))
}

fn function<P: WasmParams, R: WasmResults>(
    store: &mut Store<State>,
    instance: &Instance,
    export: &ModuleExport,
) -> Result<TypedFunc<P, R>, Error> {
    instance
        .get_module_export(&mut *store, export)
        .and_then(wasmtime::Extern::into_func)
        .ok_or_else(|| Error::internal("the image lacks a function"))?
        .typed(&*store)
        .map_err(|error| Error::internal(format!("an export of the image has another type: {error:#}")))
}

impl Sandbox {
    /// Runs `run` as a call: watched, on a stack that is large enough. Its outer error means that the instance is dead.
    fn call<R>(
        &mut self,
        context: &CallContext<'_>,
        run: impl FnOnce(&mut Self) -> wasmtime::Result<Result<R, Error>>,
    ) -> Result<R, Error> {
        if !self.alive {
            return Err(Error::internal("a dead sandbox was called"));
        }
        let state = self.store.data_mut();
        state.deadline = context.deadline;
        state.token = context.token.cloned();
        // A panic on the way leaves the instance in the middle of a call: it counts as dead until proven otherwise.
        self.alive = false;
        self.place.start(context);
        // A cancellation between the caller's check and the line above found no call to end.
        if let Some(error) = context.interruption() {
            self.place.stop();
            self.alive = true;
            return Err(error);
        }
        let outcome = stack::with(|| run(self));
        self.place.stop();
        match outcome {
            Ok(Ok(outcome)) => {
                self.alive = self.store.data().memory_denied.is_none();
                outcome
            }
            Ok(Err(error)) => {
                stack::release();
                Err(self.death(&error))
            }
            // Nothing has run.
            Err(error) => {
                self.alive = true;
                Err(error)
            }
        }
    }
}

impl Executor for Sandbox {
    fn request(&mut self, request: &[u8], context: &CallContext<'_>, read: ReadReply<'_>) -> Result<(), Error> {
        self.call(context, |this| this.exchange(request, read))
    }

    fn evaluate(
        &mut self,
        binding: &Binding,
        arguments: &[Argument],
        rows: usize,
        context: &CallContext<'_>,
    ) -> Option<Result<ArrayRef, Error>> {
        let mut columns = self.columns.take()?;
        let result = columns.plan(binding, arguments, rows).map(|plan| {
            self.call(context, |this| {
                if !columns.knows(binding) {
                    let request = protocol::native(binding);
                    if let Err(error) = this.exchange(&request, &mut |reply| columns.learn(binding, reply))? {
                        return Ok(Err(error));
                    }
                }
                let Sandbox { store, memory, realloc, free, .. } = this;
                let mut guest = Guest { store, memory: *memory, realloc, free };
                columns.evaluate(&mut guest, binding, arguments, &plan)
            })
        });
        self.columns = Some(columns);
        result
    }

    fn is_alive(&self) -> bool {
        self.alive
    }

    fn peak_memory(&self) -> u64 {
        self.store.data().memory_peak
    }

    fn denied_memory(&self) -> Option<Limit> {
        self.store.data().memory_denied.clone()
    }
}
