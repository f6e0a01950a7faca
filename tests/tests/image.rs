//! The flattened image answers every request with the bytes of the component it was made from.
//!
//! The component runs through wasmtime's component API and wasmtime-wasi, the reference; the image runs as a core
//! module with a handful of host functions.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report, in helpers too")]

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use wasmtime::component::{Component, Linker as ComponentLinker, ResourceTable};
use wasmtime::{Caller, Config, Engine, Linker, Memory, Module, Store, TypedFunc};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

type Result<T> = std::result::Result<T, wasmtime::Error>;

/// The stack that wasm may use. CPython wants a lot; the thread that calls it needs more than this.
const WASM_STACK: usize = 4 << 20;

/// Runs `test` on a thread whose stack is larger than [`WASM_STACK`].
fn on_large_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(4 * WASM_STACK).spawn(test).unwrap();
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn engine() -> Engine {
    let mut config = Config::new();
    config.wasm_multi_memory(true);
    config.max_wasm_stack(WASM_STACK).async_stack_size(4 * WASM_STACK);
    Engine::new(&config).unwrap()
}

/// One value in marshal format, as the harness reads it.
enum Value<'v> {
    Int(i32),
    Text(&'v str),
    Tuple(Vec<Value<'v>>),
    Ints(std::ops::Range<i32>),
}

impl Value<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let length = |out: &mut Vec<u8>, tag: u8, length: usize| {
            out.push(tag);
            out.extend_from_slice(&i32::try_from(length).unwrap().to_le_bytes());
        };
        match self {
            Value::Int(value) => {
                out.push(b'i');
                out.extend_from_slice(&value.to_le_bytes());
            }
            Value::Text(text) => {
                length(out, b'u', text.len());
                out.extend_from_slice(text.as_bytes());
            }
            Value::Tuple(items) => {
                length(out, b'(', items.len());
                items.iter().for_each(|item| item.write(out));
            }
            Value::Ints(range) => {
                length(out, b'[', range.len());
                range.clone().for_each(|value| Value::Int(value).write(out));
            }
        }
    }
}

fn request(items: Vec<Value<'_>>) -> Vec<u8> {
    let mut out = Vec::new();
    Value::Tuple(items).write(&mut out);
    out
}

fn load(source: &str) -> Vec<u8> {
    request(vec![Value::Int(1), Value::Text(source), Value::Text("udf.py"), Value::Text("{\"name\": \"test\"}")])
}

fn bind(function: &str, result: &str, on_error: &str) -> Vec<u8> {
    let binding = serde_json::json!({
        "function": function, "arguments": [{"type": "int64"}], "constants": [false],
        "result": {"type": result}, "on_error": on_error,
    });
    request(vec![Value::Int(2), Value::Text(&binding.to_string())])
}

fn evaluate(handle: i32, rows: std::ops::Range<i32>) -> Vec<u8> {
    let count = i32::try_from(rows.len()).unwrap();
    request(vec![Value::Int(0), Value::Int(handle), Value::Int(count), Value::Tuple(vec![Value::Ints(rows)])])
}

/// The status of a reply: item 0 of its tuple.
fn status(reply: &[u8]) -> i32 {
    let at = if reply[0] == b'(' { 5 } else { 2 };
    assert_eq!(reply[at], b'i', "{:?}", String::from_utf8_lossy(reply));
    i32::from_le_bytes(reply[at + 1..at + 5].try_into().unwrap())
}

/// Something that answers requests.
trait Sandbox {
    fn handle(&mut self, request: &[u8]) -> Vec<u8>;
}

struct Wasi {
    context: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Wasi {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.context, table: &mut self.table }
    }
}

struct Reference {
    store: Store<Wasi>,
    handle: wasmtime::component::TypedFunc<(Vec<u8>,), (Vec<u8>,)>,
}

impl Reference {
    fn new() -> Self {
        let engine = engine();
        let component = Component::from_file(&engine, cloister_guest::component_path()).unwrap();
        let mut linker = ComponentLinker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker).unwrap();
        let wasi = Wasi { context: WasiCtx::builder().build(), table: ResourceTable::new() };
        let mut store = Store::new(&engine, wasi);
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let handle = instance.get_typed_func(&mut store, "handle").unwrap();
        Self { store, handle }
    }
}

impl Sandbox for Reference {
    fn handle(&mut self, request: &[u8]) -> Vec<u8> {
        self.handle.call(&mut self.store, (request.to_vec(),)).unwrap().0
    }
}

/// What the host functions of the image share.
#[derive(Default)]
struct Host {
    output: Vec<u8>,
    /// Every import that was called: what a host has to provide.
    called: BTreeSet<String>,
}

type Call<'c> = Caller<'c, Host>;

fn memory(caller: &mut Call<'_>) -> Memory {
    caller.get_export("memory").and_then(wasmtime::Extern::into_memory).unwrap()
}

fn write(caller: &mut Call<'_>, at: u32, bytes: &[u8]) -> Result<()> {
    Ok(memory(caller).write(caller, at as usize, bytes)?)
}

fn flat() -> &'static (Engine, Module) {
    static FLAT: OnceLock<(Engine, Module)> = OnceLock::new();
    FLAT.get_or_init(|| {
        let engine = engine();
        let module = Module::new(&engine, cloister_guest::IMAGE).unwrap();
        (engine, module)
    })
}

/// The host functions that Python really calls; all others trap.
fn linker(engine: &Engine, module: &Module) -> Result<Linker<Host>> {
    let mut linker = Linker::<Host>::new(engine);
    let l = &mut linker;
    for (name, handle) in [("stdin", 101_u32), ("stdout", 102), ("stderr", 103)] {
        let module = format!("wasi:cli/{name}@0.2.9");
        l.func_wrap(&module, &format!("get-{name}"), move |mut c: Call<'_>| {
            c.data_mut().called.insert(format!("get-{name}"));
            handle
        })?;
    }
    l.func_wrap("canonical", "resource-drop", |_: u32| {})?;
    let streams = "wasi:io/streams@0.2.9";
    for name in ["write", "blocking-write-and-flush"] {
        let field = format!("[method]output-stream.{name}");
        l.func_wrap(
            streams,
            &field.clone(),
            move |mut c: Call<'_>, _handle: u32, at: u32, length: u32, result: u32| {
                c.data_mut().called.insert(field.clone());
                let memory = memory(&mut c);
                let (bytes, host) = memory.data_and_store_mut(&mut c);
                host.output.extend_from_slice(&bytes[at as usize..][..length as usize]);
                write(&mut c, result, &[0])
            },
        )?;
    }
    l.func_wrap(streams, "[method]output-stream.check-write", |mut c: Call<'_>, _handle: u32, result: u32| {
        c.data_mut().called.insert("check-write".to_owned());
        write(&mut c, result, &[0])?;
        write(&mut c, result + 8, &65_536_u64.to_le_bytes())
    })?;
    l.func_wrap(streams, "[method]output-stream.blocking-flush", |mut c: Call<'_>, _handle: u32, result: u32| {
        c.data_mut().called.insert("blocking-flush".to_owned());
        write(&mut c, result, &[0])
    })?;
    // Standard input is at its end: the stream is closed.
    for name in ["read", "blocking-read"] {
        let field = format!("[method]input-stream.{name}");
        l.func_wrap(streams, &field.clone(), move |mut c: Call<'_>, _handle: u32, _length: u64, result: u32| {
            c.data_mut().called.insert(field.clone());
            write(&mut c, result, &[1])?;
            write(&mut c, result + 4, &[1])
        })?;
    }
    l.func_wrap("wasi:sockets/instance-network@0.2.9", "instance-network", |mut c: Call<'_>| {
        c.data_mut().called.insert("instance-network".to_owned());
        104_u32
    })?;
    let (lookup, field) = ("wasi:sockets/ip-name-lookup@0.2.9", "resolve-addresses");
    l.func_wrap(lookup, field, move |mut c: Call<'_>, _network: u32, _name: u32, _length: u32, result: u32| {
        c.data_mut().called.insert(field.to_owned());
        denied(&mut c, result)
    })?;
    for (module, field) in [
        ("wasi:sockets/tcp-create-socket@0.2.9", "create-tcp-socket"),
        ("wasi:sockets/udp-create-socket@0.2.9", "create-udp-socket"),
    ] {
        l.func_wrap(module, field, move |mut c: Call<'_>, _family: u32, result: u32| {
            c.data_mut().called.insert(field.to_owned());
            denied(&mut c, result)
        })?;
    }
    let started = Instant::now();
    let monotonic = "wasi:clocks/monotonic-clock@0.2.9";
    l.func_wrap(monotonic, "now", move |mut c: Call<'_>| {
        c.data_mut().called.insert("monotonic now".to_owned());
        u64::try_from(started.elapsed().as_nanos()).unwrap()
    })?;
    l.func_wrap(monotonic, "subscribe-duration", |mut c: Call<'_>, nanoseconds: u64| {
        c.data_mut().called.insert("subscribe-duration".to_owned());
        std::thread::sleep(std::time::Duration::from_nanos(nanoseconds));
        7_u32
    })?;
    l.func_wrap(monotonic, "subscribe-instant", move |mut c: Call<'_>, instant: u64| {
        c.data_mut().called.insert("subscribe-instant".to_owned());
        let now = u64::try_from(started.elapsed().as_nanos()).unwrap();
        std::thread::sleep(std::time::Duration::from_nanos(instant.saturating_sub(now)));
        7_u32
    })?;
    // Both subscriptions above have slept already: everything polled is ready.
    l.func_wrap("wasi:io/poll@0.2.9", "poll", |mut c: Call<'_>, _list: u32, length: u32, result: u32| {
        c.data_mut().called.insert("poll".to_owned());
        let at = allocate(&mut c, 4, 4 * length)?;
        for index in 0..length {
            write(&mut c, at + 4 * index, &index.to_le_bytes())?;
        }
        write(&mut c, result, &at.to_le_bytes())?;
        write(&mut c, result + 4, &length.to_le_bytes())
    })?;
    l.func_wrap("wasi:io/poll@0.2.9", "[method]pollable.block", |mut c: Call<'_>, _handle: u32| {
        c.data_mut().called.insert("pollable.block".to_owned());
    })?;
    l.func_wrap("wasi:clocks/wall-clock@0.2.9", "now", |mut c: Call<'_>, result: u32| {
        c.data_mut().called.insert("wall now".to_owned());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        write(&mut c, result, &now.as_secs().to_le_bytes())?;
        write(&mut c, result + 8, &now.subsec_nanos().to_le_bytes())
    })?;
    l.func_wrap("wasi:random/random@0.2.9", "get-random-bytes", |mut c: Call<'_>, length: u64, result: u32| {
        use std::io::Read as _;
        c.data_mut().called.insert("get-random-bytes".to_owned());
        let mut bytes = vec![0; usize::try_from(length).unwrap()];
        std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes))?;
        let length = u32::try_from(length)?;
        let at = allocate(&mut c, 1, length)?;
        write(&mut c, at, &bytes)?;
        write(&mut c, result, &at.to_le_bytes())?;
        write(&mut c, result + 4, &length.to_le_bytes())
    })?;
    for (module, field) in [
        ("wasi:cli/environment@0.2.9", "get-environment"),
        ("wasi:cli/environment@0.2.9", "get-arguments"),
        ("wasi:filesystem/preopens@0.2.9", "get-directories"),
    ] {
        l.func_wrap(module, field, move |mut c: Call<'_>, result: u32| {
            c.data_mut().called.insert(field.to_owned());
            write(&mut c, result, &[0; 8])
        })?;
    }
    for name in ["stdin", "stdout", "stderr"] {
        let module = format!("wasi:cli/terminal-{name}@0.2.9");
        l.func_wrap(&module, &format!("get-terminal-{name}"), move |mut c: Call<'_>, result: u32| {
            c.data_mut().called.insert(format!("get-terminal-{name}"));
            write(&mut c, result, &[0])
        })?;
    }
    l.define_unknown_imports_as_traps(module)?;
    Ok(linker)
}

/// An error of the enumeration `error-code`: access denied.
fn denied(caller: &mut Call<'_>, result: u32) -> Result<()> {
    write(caller, result, &[1])?;
    write(caller, result + 4, &[1])
}

fn allocate(caller: &mut Call<'_>, align: u32, length: u32) -> Result<u32> {
    let realloc = caller.get_export("host_realloc").and_then(wasmtime::Extern::into_func).unwrap();
    let realloc = realloc.typed::<(u32, u32, u32, u32), u32>(&mut *caller)?;
    realloc.call(caller, (0, 0, align, length))
}

struct Flat {
    instance: wasmtime::Instance,
    store: Store<Host>,
    memory: Memory,
    realloc: TypedFunc<(u32, u32, u32, u32), u32>,
    handle: TypedFunc<(u32, u32), u32>,
    post: TypedFunc<u32, ()>,
}

impl Flat {
    fn new() -> Self {
        let (engine, module) = flat();
        let mut store = Store::new(engine, Host::default());
        let instance = linker(engine, module).unwrap().instantiate(&mut store, module).unwrap();
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        assert!(instance.get_global(&mut store, "__stack_pointer").is_some());
        Self {
            instance,
            memory,
            realloc: instance.get_typed_func(&mut store, "cabi_realloc").unwrap(),
            handle: instance.get_typed_func(&mut store, "handle").unwrap(),
            post: instance.get_typed_func(&mut store, "cabi_post_handle").unwrap(),
            store,
        }
    }
}

impl Sandbox for Flat {
    fn handle(&mut self, request: &[u8]) -> Vec<u8> {
        let length = u32::try_from(request.len()).unwrap();
        let at = self.realloc.call(&mut self.store, (0, 0, 1, length)).unwrap();
        self.memory.write(&mut self.store, at as usize, request).unwrap();
        let result = self.handle.call(&mut self.store, (at, length)).unwrap() as usize;
        let memory = self.memory.data(&self.store);
        let word = |at: usize| u32::from_le_bytes(memory[at..at + 4].try_into().unwrap()) as usize;
        let reply = memory[word(result)..][..word(result + 4)].to_vec();
        self.post.call(&mut self.store, u32::try_from(result).unwrap()).unwrap();
        reply
    }
}

#[test]
fn the_image_answers_like_the_component() {
    on_large_stack(|| {
        let mut reference = Reference::new();
        let mut flat = Flat::new();
        let mut both = |request: &[u8], expected: i32| {
            let reply = reference.handle(request);
            assert!(flat.handle(request) == reply, "the replies differ");
            assert_eq!(status(&reply), expected, "{}", String::from_utf8_lossy(&reply));
        };
        both(&load(include_str!("../cases/stress.py")), 0);
        for (function, result, on_error) in [
            ("stress", "utf8", "fail"),
            ("failing", "utf8", "fail"),
            ("failing", "utf8", "null"),
            ("mistyped", "int64", "fail"),
            ("leaving", "utf8", "fail"),
        ] {
            both(&bind(function, result, on_error), 0);
            both(&load("raise ValueError\n"), 1);
        }
        for batch in 0..20 {
            let rows = batch * 50..batch * 50 + 50;
            both(&evaluate(0, rows.clone()), 0);
            both(&evaluate(1, rows.clone()), 1);
            both(&evaluate(2, rows.clone()), 2);
            both(&evaluate(1, rows.start..rows.start + 5), 0);
            // A failure after every kind of request: what an earlier one left undone shows in the next exception.
            both(&evaluate(4, rows.start..rows.start + 1), 1);
            both(&evaluate(99, rows), 1);
        }
        both(&evaluate(3, 0..10), 0);
        both(&request(vec![Value::Int(5), Value::Int(3)]), 1);
        both(&bind("no_such_function", "utf8", "fail"), 1);
        both(&load("def broken(:\n"), 1);
        both(&load("import no_such_module\n"), 1);
        both(b"no marshal", 1);
        both(&request(vec![Value::Int(4)]), 0);
    });
}

#[test]
fn the_image_allocates_like_the_component() {
    on_large_stack(|| {
        let mut reference = Reference::new();
        let mut flat = Flat::new();
        let mut both = |request: &[u8]| {
            let reply = reference.handle(request);
            assert!(flat.handle(request) == reply, "the replies differ");
            assert_eq!(status(&reply), 0, "{}", String::from_utf8_lossy(&reply));
        };
        both(&load(include_str!("../cases/allocations.py")));
        for function in ["contents", "objects", "grown", "too_much"] {
            both(&bind(function, "utf8", "fail"));
        }
        for rows in [0..1, 1..4] {
            (0..4).for_each(|handle| both(&evaluate(handle, rows.clone())));
        }
    });
}

#[test]
fn the_layouts_of_objects_that_the_shim_reads_are_those_of_this_interpreter() {
    on_large_stack(|| {
        let mut flat = Flat::new();
        assert_eq!(status(&flat.handle(&load("def f(x): return x\n"))), 0);
        assert_eq!(status(&flat.handle(&bind("f", "int64", "fail"))), 0);
        // The reply ends with the addresses of `date`, `time`, `datetime` and UTC, as ints of 4 bytes.
        let reply = flat.handle(&request(vec![Value::Int(6), Value::Int(0)]));
        let words = reply[reply.len() - 20..].as_chunks::<5>().0.iter();
        let words: Vec<u32> = words.map(|[_, rest @ ..]| u32::from_le_bytes(*rest)).collect();
        let simple = flat.instance.get_typed_func::<(), u32>(&mut flat.store, "layouts_hold").unwrap();
        assert_eq!(simple.call(&mut flat.store, ()).unwrap(), 1, "the column loop would only take the slow ways");
        let moments = (words[0], words[1], words[2], words[3]);
        let dates = flat.instance.get_typed_func::<(u32, u32, u32, u32), u32>(&mut flat.store, "dates_layouts_hold");
        assert_eq!(dates.unwrap().call(&mut flat.store, moments).unwrap(), 1, "dates would all go to the harness");
    });
}

#[test]
fn memory_of_many_small_objects_serves_a_large_one_later() {
    on_large_stack(|| {
        let mut flat = Flat::new();
        let mut call = |request: &[u8]| assert_eq!(status(&flat.handle(request)), 0);
        call(&load(include_str!("../cases/allocations.py")));
        call(&bind("numbers", "int64", "fail"));
        call(&bind("large", "int64", "fail"));
        call(&evaluate(0, 1_000_000..1_000_001));
        let most = flat.memory.data_size(&flat.store);
        // A million ints are 16 MB, and the list of them grew from smaller ones.
        let mut call = |request: &[u8]| assert_eq!(status(&flat.handle(request)), 0);
        call(&evaluate(1, 14_000_000..14_000_001));
        assert_eq!(flat.memory.data_size(&flat.store), most, "the ints' memory was not given back");
    });
}

#[test]
fn the_image_has_its_library_and_nothing_of_the_build() {
    on_large_stack(|| {
        let mut sandbox = Flat::new();
        let reply = sandbox.handle(&load(include_str!("../cases/image_library.py")));
        assert_eq!(status(&reply), 0, "{}", String::from_utf8_lossy(&reply));
        let functions = ["late_imports", "no_traces", "zones", "randomness", "refusals", "streams"];
        let mut answers = Vec::new();
        for (handle, function) in functions.into_iter().enumerate() {
            let started = Instant::now();
            assert_eq!(status(&sandbox.handle(&bind(function, "utf8", "fail"))), 0);
            let reply = sandbox.handle(&evaluate(i32::try_from(handle).unwrap(), 1..2));
            let text = String::from_utf8_lossy(&reply).into_owned();
            assert_eq!(status(&reply), 0, "{function}: {text}");
            println!("{function} ({:?}): {text}", started.elapsed());
            answers.push(text);
        }
        assert!(answers[1].contains(r#"["0", "<stdlib>", "bundled", "python", "world"]"#), "{}", answers[1]);
        assert!(answers[2].contains("2024-07-01T12:00:00-04:00"), "{}", answers[2]);
        assert_eq!(String::from_utf8_lossy(&sandbox.store.data().output), "to stdout 1\nto stderr 1\n");
        println!("called: {:#?}", sandbox.store.data().called);
    });
}

#[test]
fn two_sandboxes_draw_different_numbers() {
    on_large_stack(|| {
        let draw = || {
            let mut sandbox = Flat::new();
            sandbox.handle(&load(include_str!("../cases/image_library.py")));
            sandbox.handle(&bind("randomness", "utf8", "fail"));
            let reply = sandbox.handle(&evaluate(0, 0..1));
            assert_eq!(status(&reply), 0, "{}", String::from_utf8_lossy(&reply));
            reply
        };
        assert_ne!(draw(), draw());
    });
}
