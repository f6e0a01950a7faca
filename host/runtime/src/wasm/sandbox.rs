//! One sandbox: an instance of the image, how requests reach it, and how it becomes an image for others. After a trap,
//! an interruption or a denied allocation it is dead and must be dropped; it is never given to another job.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use arrow::array::ArrayRef;
use wasmtime::{Instance, Memory, ModuleExport, Store, Trap, TypedFunc, WasmParams, WasmResults};

use super::columns::{Columns, Guest, Known};
use super::engine::Engine;
use super::memory::{Image, NoImage, Polled, Ticket, Written};
use super::state::State;
use super::watch::Place;
use super::{settings, stack};
use crate::ExecutionMode;
use crate::account::Account;
use crate::error::{Error, Limit, Scope};
use crate::executor::{CallContext, Executor, ReadReply, Snapshot};
use crate::function::{Argument, Binding};
use crate::log::JobLog;
use crate::protocol;

/// A live instance.
pub struct Sandbox {
    /// First, so that it is left before the store goes and the memory that is polled with it.
    place: Place,
    /// What the memory started as. Before the store: a memory that goes keeps its slot for an image that is still used.
    image: Arc<Image>,
    store: Store<State>,
    instance: Instance,
    memory: Memory,
    /// Of the memory's pages.
    written: Written,
    handle: TypedFunc<(u32, u32), u32>,
    post_handle: TypedFunc<u32, ()>,
    realloc: TypedFunc<(u32, u32, u32, u32), u32>,
    free: TypedFunc<u32, ()>,
    /// None: every bundle goes in a frame.
    columns: Option<Columns>,
    alive: bool,
    engine: Arc<Engine>,
    /// Last: the sandbox counts until its memory is given back.
    _ticket: Ticket,
}

impl Sandbox {
    /// A sandbox with nothing loaded. `columns`: the most bytes of a result that the column loop gives; none to do
    /// without that loop.
    pub fn new(
        engine: &Arc<Engine>,
        memory_limit: u64,
        log: Arc<JobLog>,
        cancelled: Arc<AtomicBool>,
        account: Arc<Account>,
        columns: Option<usize>,
    ) -> Result<Sandbox, Error> {
        let state = State::new(memory_limit, log, cancelled, account);
        Sandbox::start(engine, &engine.base, state, columns.map(Known::nothing))
    }

    /// A sandbox whose memory is that of `image`. The rest of an instance's state is one global, the stack pointer,
    /// which between calls has the value that it starts with.
    fn start(engine: &Arc<Engine>, image: &Arc<Image>, state: State, columns: Option<Known>) -> Result<Sandbox, Error> {
        let cancelled = state.cancelled.clone();
        let mut store = Store::new(&engine.engine, state);
        store.limiter(|state| state);
        let (instance, ticket) = engine.memories.starting(image, || engine.instance.instantiate(&mut store))?;
        let instance = instance.map_err(|error| match store.data_mut().memory_denied.take() {
            Some(limit) => Error::Limit(limit),
            None => Error::internal(format!("no new sandbox: {error:#}")),
        })?;
        // wasmtime has asked for as much as the module starts with; an image may have grown.
        store.data_mut().start_larger(engine.module_memory, image.length()).map_err(Error::Limit)?;
        let exports = &engine.exports;
        let memory = exported_memory(&mut store, &instance, &exports.memory)?;
        let interrupt = exported_memory(&mut store, &instance, &exports.interrupt)?;
        // SAFETY: the memory is one that `Memories` made of zeros; it lives as long as the store, which is dropped after
        // the place. Nothing but the guest's polls reads it (the build of the image checks that; nothing here does).
        let polled = unsafe { Polled::of(interrupt.data_ptr(&store), interrupt.data_size(&store)) }
            .ok_or_else(|| Error::internal("the image's interrupt memory has another size"))?;
        let place = engine.watch.enter(polled, cancelled).ok_or_else(settings::too_many)?;
        let handle = function(&mut store, &instance, &exports.handle)?;
        let post_handle = function(&mut store, &instance, &exports.post_handle)?;
        let realloc = function(&mut store, &instance, &exports.realloc)?;
        let free = function(&mut store, &instance, &exports.free)?;
        let host_realloc = function(&mut store, &instance, &exports.host_realloc)?;
        let columns = match columns {
            Some(known) => {
                let run = function(&mut store, &instance, &exports.columns_run)?;
                let release = function(&mut store, &instance, &exports.columns_release)?;
                Some(Columns::new(run, release, known))
            }
            None => None,
        };
        let size = memory.data_size(&store) as u64;
        let state = store.data_mut();
        state.memory = Some(memory);
        state.realloc = Some(host_realloc);
        state.memory_peak = size;
        Ok(Sandbox {
            place,
            store,
            instance,
            memory,
            written: Written::default(),
            handle,
            post_handle,
            realloc,
            free,
            columns,
            alive: true,
            engine: engine.clone(),
            image: image.clone(),
            _ticket: ticket,
        })
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
        let memory = self.memory.data(&*store);
        let place = protocol::reply_place(memory, area)
            .ok_or_else(|| wasmtime::Error::msg("a reply outside of the guest's memory"))?;
        let (pointer, length) = (place.start, place.len());
        let outcome = read(&memory[place]);
        self.post_handle.call(&mut *store, area)?;
        // Nobody in the guest owns the reply's buffer (see the build of the image).
        if length > 0 {
            self.free.call(&mut *store, pointer as u32)?;
        }
        Ok(outcome)
    }

    /// Calls an export without arguments, as a part of the making of an image.
    pub(super) fn call_export(&mut self, export: &ModuleExport, context: &CallContext<'_>) -> Result<(), Error> {
        let function: TypedFunc<(), ()> = function(&mut self.store, &self.instance, export)?;
        self.call(context, |this| function.call(&mut this.store, ()).map(Ok))
    }

    /// Gives back what the column loop keeps and forgets what it knows of bindings: for a harness that has forgotten them.
    pub(super) fn forget_bindings(&mut self, context: &CallContext<'_>) -> Result<(), Error> {
        let Some(mut columns) = self.columns.take() else { return Ok(()) };
        let outcome = self.call(context, |this| {
            let Sandbox { store, memory, realloc, free, .. } = this;
            columns.forget(&mut Guest { store, memory: *memory, realloc, free }).map(Ok)
        });
        self.columns = Some(columns);
        outcome
    }

    /// All of its memory.
    pub(super) fn memory(&self) -> &[u8] {
        self.memory.data(&self.store)
    }

    /// All of its memory, to change what lies there between two calls, as a part of the making of an image.
    pub(super) fn memory_mut(&mut self) -> &mut [u8] {
        self.written.by_this_thread();
        self.memory.data_mut(&mut self.store)
    }

    /// The memory, what the polls read, and the one global.
    #[cfg(test)]
    pub fn whole_state(&mut self) -> (&[u8], &[u8], i32) {
        let exports = &self.engine.exports;
        let flags = exported_memory(&mut self.store, &self.instance, &exports.interrupt).expect("what is polled");
        let global = self.instance.get_global(&mut self.store, "__stack_pointer").expect("the stack pointer");
        let stack_pointer = global.get(&mut self.store).unwrap_i32();
        (self.memory.data(&self.store), flags.data(&self.store), stack_pointer)
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
            // A poll, or an access of a guest that was to end anyway.
            Some(Trap::MemoryOutOfBounds) if let Some(error) = self.store.data().interruption() => error,
            Some(Trap::StackOverflow) => Error::Limit(Limit::Stack { limit: settings::WASM_STACK as u64 }),
            // An allocation that failed inside the interpreter's own C code can end in a trap.
            Some(_) if self.store.data().memory_denied.is_some() => self.memory_error(),
            Some(trap) => Error::ExecutorDied { mode: ExecutionMode::Wasm, reason: trap.to_string() },
            None => Error::ExecutorDied { mode: ExecutionMode::Wasm, reason: "the guest broke its contract".into() },
        }
    }
}

fn exported_memory(store: &mut Store<State>, instance: &Instance, export: &ModuleExport) -> Result<Memory, Error> {
    instance
        .get_module_export(store, export)
        .and_then(wasmtime::Extern::into_memory)
        .ok_or_else(|| Error::internal("the image lacks a memory"))
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
        self.written.by_this_thread();
        self.place.start(context);
        // A cancellation between the caller's check and the line above found no call to end.
        if let Some(error) = context.interruption() {
            self.alive = self.place.stop();
            return Err(error);
        }
        let outcome = stack::with(|| run(self));
        let usable = self.place.stop();
        match outcome {
            Ok(Ok(outcome)) => {
                self.alive = usable && self.store.data().memory_denied.is_none();
                outcome
            }
            Ok(Err(error)) => {
                stack::release();
                Err(self.death(&error))
            }
            // Nothing has run.
            Err(error) => {
                self.alive = usable;
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

    fn can_be_copied(&self) -> bool {
        true
    }

    fn snapshot(&mut self, most: u64) -> Result<Arc<dyn Snapshot>, Error> {
        if !self.alive {
            return Err(Error::internal("an image of a dead sandbox was asked for"));
        }
        let state = self.store.data();
        let (memory_limit, born) = (state.memory_limit, state.born);
        let memory = self.memory.data(&self.store);
        let image = self.image.take(memory, &mut self.written, most).map_err(|error| match error {
            NoImage::TooLarge(used) => Limit::CheckpointSize { limit: most, used: used as u64 }.into(),
            NoImage::System(error) => Error::missing(
                format!("no memory for the image of a sandbox: {error}"),
                "free memory, or allow this process more open files (`ulimit -n`)",
            ),
        })?;
        let engine = self.engine.clone();
        let columns = self.columns.as_ref().map(|columns| columns.known().clone());
        Ok(Arc::new(SandboxImage { engine, image, memory_limit, columns, born }))
    }
}

/// A sandbox at one moment between two calls, to start others from.
struct SandboxImage {
    engine: Arc<Engine>,
    image: Arc<Image>,
    memory_limit: u64,
    columns: Option<Known>,
    /// Where the guest's monotonic clock started: it must not run backwards for who has read it.
    born: Instant,
}

impl Snapshot for SandboxImage {
    fn start(&self, log: &Arc<JobLog>, context: &CallContext<'_>) -> Result<Box<dyn Executor>, Error> {
        let (cancelled, account) = (context.cancelled.clone(), context.account.clone());
        let mut state = State::new(self.memory_limit, log.clone(), cancelled, account);
        state.born = self.born;
        Ok(Box::new(Sandbox::start(&self.engine, &self.image, state, self.columns.clone())?))
    }

    fn prepare(&self) {
        if let Err(error) = self.engine.memories.prepare(&self.image) {
            tracing::debug!("the next sandbox of a job will start more slowly: {error}");
        }
    }

    fn bytes(&self) -> u64 {
        self.image.changed_bytes() as u64
    }
}
