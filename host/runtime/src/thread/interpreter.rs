//! The one embedded interpreter of the process: started on first use, prepared once, never ended. Knows no job.

use std::ffi::CString;
use std::sync::OnceLock;
use std::sync::mpsc::sync_channel;

use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};

use super::ffi::{attach, start};
use super::{output, watch};
use crate::Error;
use crate::log::LogStream;

/// The Python that this library was built with: where packages are searched for.
pub(super) const PYTHON: &str = env!("CLOISTER_PYTHON");

/// What all jobs of the process share.
pub(super) struct Interpreter {
    /// The class `cloister._harness.Harness`.
    pub harness: Py<PyAny>,
    /// The exception class that ends a call from outside.
    pub interrupted: Py<PyAny>,
    /// For example `3.11.7`.
    pub version: String,
    /// `sys.prefix`.
    pub prefix: String,
}

impl Interpreter {
    /// The interpreter, started if it was not.
    ///
    /// # Errors
    /// [`Error::Missing`] when it does not start, for example because its standard library is gone.
    pub fn shared() -> Result<&'static Interpreter, Error> {
        static SHARED: OnceLock<Result<Interpreter, Error>> = OnceLock::new();
        SHARED.get_or_init(Interpreter::start).as_ref().map_err(Error::clone)
    }

    /// Starts the interpreter in a thread that then watches over deadlines. Python takes the thread it is started in
    /// for its main thread, so that thread must not be one of the host's, which may end.
    fn start() -> Result<Interpreter, Error> {
        let (tell, told) = sync_channel(1);
        let main = move || {
            let started = start::start(start::program(PYTHON).as_deref()).map_err(missing);
            let prepared =
                started.and_then(|ours| attach::attached(|py| prepare(py, ours).map_err(|error| unusable(py, &error))));
            let watches = prepared.is_ok();
            // The other end waits for it.
            let _ = tell.send(prepared);
            if watches {
                watch::run();
            }
        };
        std::thread::Builder::new()
            .name("cloister-python".into())
            .spawn(main)
            .map_err(|error| Error::internal(format!("no thread for the interpreter: {error}")))?;
        told.recv().unwrap_or_else(|_| Err(Error::internal("the interpreter's thread ended")))
    }
}

fn prepare(py: Python<'_>, ours: bool) -> PyResult<Interpreter> {
    let code = CString::new(include_str!("bootstrap.py"))?;
    let bootstrap = PyModule::from_code(py, &code, c"<frozen cloister.bootstrap>", c"_cloister_bootstrap")?;
    let sources = PyDict::new(py);
    for (path, text) in cloister_guest::PYTHON_SOURCES {
        sources.set_item(path, text)?;
    }
    let write = |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| -> PyResult<bool> {
        let (number, bytes) = arguments.extract::<(u8, Vec<u8>)>()?;
        Ok(output::write(if number == 2 { LogStream::Stderr } else { LogStream::Stdout }, &bytes))
    };
    let follow = |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
        let log = output::current();
        let join = move |_: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| output::set(log.clone());
        PyCFunction::new_closure(arguments.py(), Some(c"join"), None, join).map(Bound::unbind)
    };
    let write = PyCFunction::new_closure(py, Some(c"write"), None, write)?;
    let follow = PyCFunction::new_closure(py, Some(c"follow"), None, follow)?;
    let (harness, interrupted): (Py<PyAny>, Py<PyAny>) =
        bootstrap.getattr("prepare")?.call1((sources, write, follow, ours))?.extract()?;
    let sys = py.import("sys")?;
    let version = py.version_info();
    Ok(Interpreter {
        harness,
        interrupted,
        version: format!("{}.{}.{}", version.major, version.minor, version.patch),
        prefix: sys.getattr("prefix")?.extract()?,
    })
}

fn missing(reason: String) -> Error {
    Error::missing(
        format!("the embedded Python does not start: {reason}"),
        "thread mode needs the Python that the program was built with, with its standard library (Debian, Ubuntu: \
         apt-get install python3 libpython3-dev); install it again, or choose process or wasm mode",
    )
}

fn unusable(py: Python<'_>, error: &PyErr) -> Error {
    missing(error.value(py).to_string())
}
