//! What all sandboxes of the process share: wasmtime's engine, the compiled module ready to instantiate, the watch.
//! Holds nothing that a guest can write to.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use wasmtime::{InstancePre, Module, ModuleExport};

use super::memory::{Base, Image, Memories, WASM_PAGE};
use super::state::State;
use super::watch::Watch;
use super::{compile, hostcalls, settings};
use crate::Error;

/// The shared engine.
pub struct Engine {
    pub engine: wasmtime::Engine,
    pub instance: InstancePre<State>,
    pub exports: Exports,
    pub watch: &'static Watch,
    pub memories: Arc<Memories>,
    /// What a sandbox starts as that has nothing loaded.
    pub base: Arc<Image>,
    /// The size of memory that the module says it starts with, in bytes; the base image may be larger.
    pub module_memory: usize,
}

/// The module's exports, looked up once: by index, instantiation does not hash names.
pub struct Exports {
    pub memory: ModuleExport,
    pub interrupt: ModuleExport,
    pub handle: ModuleExport,
    pub post_handle: ModuleExport,
    pub realloc: ModuleExport,
    pub free: ModuleExport,
    pub host_realloc: ModuleExport,
    pub columns_run: ModuleExport,
    pub columns_release: ModuleExport,
    pub settle_heap: ModuleExport,
}

impl Engine {
    /// The process's engine, made on first use. A failure is not remembered: the next use tries again.
    pub fn shared(progress: &dyn Fn(&str)) -> Result<Arc<Engine>, Error> {
        static ENGINE: OnceLock<Arc<Engine>> = OnceLock::new();
        static MAKING: Mutex<()> = Mutex::new(());
        if let Some(engine) = ENGINE.get() {
            return Ok(engine.clone());
        }
        let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = ENGINE.get() {
            return Ok(engine.clone());
        }
        let engine = Arc::new(Engine::new(progress)?);
        Ok(ENGINE.get_or_init(|| engine).clone())
    }

    fn new(progress: &dyn Fn(&str)) -> Result<Engine, Error> {
        let memories = Arc::new(Memories::default());
        let engine = settings::engine(memories.clone())?;
        let (module, base) = compile::module(&engine, &memories, progress)?;
        Engine::of(engine, memories, &module, base)
    }

    /// An engine of its own for `module`, which must have the image's imports and exports and no data: its memory
    /// starts as `base`.
    pub fn of(
        engine: wasmtime::Engine,
        memories: Arc<Memories>,
        module: &Module,
        base: Arc<Base>,
    ) -> Result<Engine, Error> {
        let instance = hostcalls::linker(&engine, module)
            .and_then(|linker| linker.instantiate_pre(module))
            .map_err(|error| Error::internal(format!("the image does not link: {error:#}")))?;
        let exports = Exports::of(module)?;
        let module_memory = module.get_export("memory").and_then(|export| Some(export.memory()?.minimum()));
        let module_memory = module_memory.and_then(|pages| usize::try_from(pages).ok()?.checked_mul(WASM_PAGE));
        let module_memory = module_memory.ok_or_else(|| Error::internal("the image has no memory"))?;
        let watch = Watch::shared()
            .map_err(|error| Error::internal(format!("no thread for the watch over sandboxes: {error}")))?;
        Ok(Engine { engine, instance, exports, watch, memories, base: Image::of(base), module_memory })
    }

    /// The size of the image's memory: no sandbox can do with less.
    pub fn least_memory(&self) -> u64 {
        self.base.length() as u64
    }
}

impl Exports {
    fn of(module: &Module) -> Result<Exports, Error> {
        let export = |name: &str| {
            module.get_export_index(name).ok_or_else(|| Error::internal(format!("the image has no export '{name}'")))
        };
        Ok(Exports {
            memory: export("memory")?,
            interrupt: export("interrupt")?,
            handle: export("handle")?,
            post_handle: export("cabi_post_handle")?,
            realloc: export("cabi_realloc")?,
            free: export("free")?,
            host_realloc: export("host_realloc")?,
            columns_run: export("columns_run")?,
            columns_release: export("columns_release")?,
            settle_heap: export("settle_heap")?,
        })
    }
}
