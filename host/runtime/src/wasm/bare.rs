//! Sandboxes without a job and images other than the embedded one, for benches. No part of the library's interface.

use std::sync::Arc;

use super::engine::Engine;
use super::memory::{Base, Memories};
use super::sandbox::Sandbox;
use super::{bake, settings, split};
use crate::account::Account;
use crate::executor::{CallContext, Executor, Snapshot};
use crate::log::JobLog;
use crate::{Error, Limits, TenantLimits, protocol};

/// A sandbox without a job.
#[doc(hidden)]
pub struct BareSandbox(Box<dyn Executor>);

#[doc(hidden)]
impl BareSandbox {
    /// Instantiates the image, with nothing loaded.
    pub fn new() -> Result<Self, Error> {
        let engine = Engine::shared(&|_| {})?;
        let log = Arc::new(JobLog::new(0));
        let sandbox = Sandbox::new(&engine, Limits::DEFAULT_WASM_MEMORY, log, Arc::default(), account(), None)?;
        Ok(BareSandbox(Box::new(sandbox)))
    }

    /// Loads a source.
    pub fn load(&mut self, source: &str) -> Result<(), Error> {
        let request = protocol::load(source, "udf.py", &serde_json::json!({"name": "job", "paths": []}));
        in_context(|context| self.0.request(&request, context, &mut |reply| protocol::read_text(reply).map(drop)))
    }

    /// Its image, to start others from.
    pub fn image(&mut self) -> Result<BareImage, Error> {
        self.0.snapshot(u64::MAX).map(BareImage)
    }
}

/// The image of a sandbox without a job.
#[doc(hidden)]
pub struct BareImage(Arc<dyn Snapshot>);

#[doc(hidden)]
impl BareImage {
    /// A sandbox that starts as this image.
    pub fn start(&self) -> Result<BareSandbox, Error> {
        in_context(|context| self.0.start(&Arc::new(JobLog::new(0)), context)).map(BareSandbox)
    }

    /// Memory that the image holds, in bytes.
    pub fn bytes(&self) -> u64 {
        self.0.bytes()
    }
}

fn account() -> Arc<Account> {
    Account::of_tenant("none", &TenantLimits::default())
}

fn in_context<R>(run: impl FnOnce(&CallContext<'_>) -> R) -> R {
    run(&CallContext { deadline: None, cancelled: &Arc::default(), token: None, account: &account() })
}

/// An image other than the embedded one, for benches that compare builds of it.
#[doc(hidden)]
#[derive(Clone)]
pub struct OtherImage(Arc<Engine>);

#[doc(hidden)]
impl OtherImage {
    /// Compiles a core module with the imports and exports of the image; nothing is cached.
    pub fn compile(module: &[u8]) -> Result<Self, Error> {
        let memories = Arc::new(Memories::default());
        let engine = settings::engine(memories.clone())?;
        let (code, memory) = split::split(module).map_err(Error::internal)?;
        let module = wasmtime::Module::new(&engine, code)
            .map_err(|error| Error::internal(format!("the image does not compile: {error:#}")))?;
        let memory = bake::bake(&engine, &memories, &module, &memory)?;
        let base = Base::of(&memory).map_err(Error::internal)?;
        Ok(OtherImage(Arc::new(Engine::of(engine, memories, &module, base)?)))
    }

    pub(super) fn engine(&self) -> Arc<Engine> {
        self.0.clone()
    }
}

#[doc(hidden)]
impl std::fmt::Debug for OtherImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OtherImage").finish_non_exhaustive()
    }
}
