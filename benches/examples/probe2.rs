//! Temporary.
#![allow(missing_docs, clippy::unwrap_used)]
use cloister::{ExecutionMode::Thread, JobOptions, Session};
use pyo3::Python;
fn main() {
    Python::initialize();
    let job = Session::new().job(JobOptions::new(Thread).source("udf.py", "import os\ndef f() -> str:\n    print('job')\n    return os.environ.get('HOME')")).unwrap();
    println!("{:?}", job.function("f").unwrap().call(&[], 1).unwrap());
    Python::attach(|py| py.run(c"import sys\nprint('host', flush=True)\nprint('host err', file=sys.stderr)\nsys.stdout.buffer.write(b'raw\\n');sys.stdout.flush()", None, None).unwrap());
    println!("{:?}", job.log().take());
}
