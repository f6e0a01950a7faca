//! The layers around the workers of process mode, each attacked from the user's code. What the code says of its attempts
//! is compared, and what it would have done is looked for from the host. A layer that this kernel lacks is not skipped:
//! the report must say that it is missing, and a job that requires it must be refused.

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray};
use cloister::ExecutionMode::Process;
use cloister::{Error, Hardening, Job, JobOptions, Layer, Limits, Promise, Session};
use cloister_tests::proc::WorkerProcess;

/// Runs what it is given, and says what came of it.
const ATTEMPT: &str = r#"
import asyncio, ctypes, json, mmap, multiprocessing, os, pathlib, resource, signal, socket, subprocess, sys
import tempfile, threading
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    result = getattr(libc, name)(*arguments)
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
def unix(kind, address, send=None):
    with socket.socket(socket.AF_UNIX, kind) as s:
        return s.sendto(send, address) if send else s.connect(address)
def attempt(code: str) -> str:
    try:
        return f"done: {eval(code, globals())!r}"
    except BaseException as error:
        return f"{type(error).__name__} {getattr(error, 'errno', None)}"
"#;

fn options(source: &str) -> JobOptions {
    JobOptions::new(Process).source("udf.py", source)
}

fn job(options: JobOptions) -> Job {
    Session::new().job(options).unwrap_or_else(|error| panic!("{error}"))
}

fn attempt(job: &Job, code: &str) -> Result<String, Error> {
    let column: ArrayRef = Arc::new(StringArray::from(vec![code]));
    job.function("attempt")?.call(&[column], 1).map(|result| result.as_string::<i32>().value(0).to_owned())
}

/// The layers by name; `None` and a check that their absence is told if this kernel lacks one of them.
fn in_force(names: &[&str]) -> Option<()> {
    let layers = cloister::process::hardening();
    let of = |name: &str| -> Layer { layers.iter().find(|layer| layer.name == name).expect("a layer").clone() };
    let missing: Vec<Layer> = names.iter().map(|name| of(name)).filter(|layer| !layer.is_in_force()).collect();
    if missing.is_empty() {
        return Some(());
    }
    let told = Process.report().hardening;
    match Session::new().job(options(ATTEMPT).hardening(Hardening::Required)) {
        Err(Error::Missing { what, .. }) => {
            for layer in missing {
                assert!(told.contains(&layer) && what.contains(layer.name), "{what}");
            }
        }
        other => panic!("{other:?}"),
    }
    None
}

/// What an attempt may come to.
const NOT_PERMITTED: &str = "PermissionError 1";
const NOT_ALLOWED: &str = "PermissionError 13";

#[test]
fn files_of_the_host_are_neither_read_nor_written() {
    let Some(()) = in_force(&["files", "system calls"]) else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "secret").expect("written");
    let (job, host) = (job(options(ATTEMPT)), std::process::id());
    let before = std::fs::metadata(&secret).expect("the file");
    for (code, expected) in [
        ("open('SECRET').read()", NOT_ALLOWED),
        ("open('/etc/passwd').read()", NOT_ALLOWED),
        ("open('/etc/shadow').read()", NOT_ALLOWED),
        ("os.listdir('/')", NOT_ALLOWED),
        ("os.listdir('DIRECTORY')", NOT_ALLOWED),
        ("os.listdir(os.path.dirname(os.getcwd()))", NOT_ALLOWED),
        ("os.listdir('/root')", NOT_ALLOWED),
        ("open('/proc/1/environ', 'rb').read()", NOT_ALLOWED),
        ("open('/proc/HOST/environ', 'rb').read()", NOT_ALLOWED),
        ("open('/proc/HOST/mem', 'r+b')", NOT_ALLOWED),
        ("open('/proc/self/mem', 'r+b')", NOT_ALLOWED),
        ("open('/proc/self/environ', 'rb').read()", NOT_ALLOWED),
        ("os.listdir('/proc/self/fd')", NOT_ALLOWED),
        ("open('/proc/self/root/etc/passwd').read()", NOT_ALLOWED),
        ("open('x', 'w')", NOT_ALLOWED),
        ("open('DIRECTORY/x', 'w')", NOT_ALLOWED),
        ("open('SECRET', 'w')", NOT_ALLOWED),
        ("open('SECRET', 'a')", NOT_ALLOWED),
        ("open('/tmp/cloister-was-here', 'w')", NOT_ALLOWED),
        ("open('/dev/shm/cloister-was-here', 'w')", NOT_ALLOWED),
        ("open(os.path.join(os.path.dirname(sys.modules['cloister'].__file__), 'worker.py'), 'a')", NOT_ALLOWED),
        ("open(sys.modules['grpc'].__file__, 'a')", NOT_ALLOWED),
        ("open('/dev/sda', 'rb') if os.path.exists('/dev/sda') else open('/dev/mem', 'rb')", "Error "),
        ("tempfile.mkstemp()", "FileNotFoundError 2"),
        ("os.open('.', os.O_TMPFILE | os.O_RDWR)", "Error "),
        ("os.mkdir('sub')", NOT_PERMITTED),
        ("os.symlink('SECRET', 'link')", NOT_PERMITTED),
        ("os.link('SECRET', 'link')", NOT_PERMITTED),
        ("os.rename('SECRET', 'DIRECTORY/other')", NOT_PERMITTED),
        ("os.unlink('SECRET')", NOT_PERMITTED),
        ("os.rmdir('DIRECTORY')", NOT_PERMITTED),
        ("os.truncate('SECRET', 0)", NOT_PERMITTED),
        ("os.chmod('SECRET', 0o777)", NOT_PERMITTED),
        ("os.chown('SECRET', 1, 1)", NOT_PERMITTED),
        ("os.utime('SECRET', (1, 1))", NOT_PERMITTED),
        ("os.setxattr('SECRET', 'user.x', b'x')", NOT_PERMITTED),
        ("os.mkfifo('fifo')", NOT_PERMITTED),
        ("os.memfd_create('x')", NOT_PERMITTED),
        ("os.chroot('/')", NOT_PERMITTED),
    ] {
        let code = code.replace("SECRET", &secret.to_string_lossy());
        let code = code.replace("DIRECTORY", &directory.path().to_string_lossy()).replace("HOST", &host.to_string());
        let outcome = attempt(&job, &code).unwrap_or_else(|error| panic!("{code}: {error}"));
        assert!(outcome.contains(expected), "{code}: {outcome}");
    }
    let after = std::fs::metadata(&secret).expect("the file is still there");
    assert_eq!(std::fs::read_to_string(&secret).expect("the file"), "secret");
    assert_eq!(before.permissions(), after.permissions());
    assert_eq!(before.modified().expect("a time"), after.modified().expect("a time"));
    assert_eq!(std::fs::read_dir(directory.path()).expect("the directory").count(), 1);
    for path in ["/tmp/cloister-was-here", "/dev/shm/cloister-was-here"] {
        assert!(!Path::new(path).exists(), "{path}");
    }
    assert_eq!(attempt(&job, "os.listdir()").expect("its own directory"), "done: []");
    assert_eq!(attempt(&job, "open('/dev/null', 'w').write('x')").expect("the null device"), "done: 1");
}

#[test]
fn no_connection_is_made_not_even_to_a_unix_socket() {
    let Some(()) = in_force(&["connections", "system calls"]) else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let (stream, datagram) = (directory.path().join("stream"), directory.path().join("datagram"));
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let unix = UnixListener::bind(&stream).expect("a listener");
    let unix_datagram = UnixDatagram::bind(&datagram).expect("a socket");
    tcp.set_nonblocking(true).expect("not blocking");
    udp.set_nonblocking(true).expect("not blocking");
    unix.set_nonblocking(true).expect("not blocking");
    unix_datagram.set_nonblocking(true).expect("not blocking");
    let job = job(options(ATTEMPT));
    let port = |address: std::io::Result<std::net::SocketAddr>| address.expect("an address").port().to_string();
    for (code, expected) in [
        ("socket.create_connection(('127.0.0.1', TCP))", NOT_PERMITTED),
        ("socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', UDP))", NOT_PERMITTED),
        ("socket.socket(socket.AF_INET6)", NOT_PERMITTED),
        ("socket.getaddrinfo('localhost', 80)", "gaierror"),
        ("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", NOT_PERMITTED),
        ("socket.socket(socket.AF_PACKET, socket.SOCK_RAW)", NOT_PERMITTED),
        ("socket.socket(socket.AF_VSOCK)", NOT_PERMITTED),
        ("socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)", NOT_PERMITTED),
        ("unix(socket.SOCK_STREAM, 'STREAM')", NOT_PERMITTED),
        ("unix(socket.SOCK_STREAM, '\\0cloister')", NOT_PERMITTED),
        ("unix(socket.SOCK_DGRAM, 'DATAGRAM')", NOT_PERMITTED),
        ("unix(socket.SOCK_DGRAM, 'DATAGRAM', b'x')", NOT_PERMITTED),
        ("unix(socket.SOCK_SEQPACKET, 'STREAM')", NOT_PERMITTED),
        ("unix(socket.SOCK_STREAM, '/var/run/docker.sock')", NOT_PERMITTED),
        ("socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)", NOT_PERMITTED),
        ("socket.socket(socket.AF_UNIX).bind('own')", NOT_PERMITTED),
        ("socket.socket(socket.AF_UNIX).listen()", NOT_PERMITTED),
        ("socket.socketpair()[0].sendto(b'x', 'DATAGRAM')", NOT_PERMITTED),
        ("call('syscall', 425, 8, ctypes.create_string_buffer(256))", NOT_PERMITTED),
        (
            "__import__('grpc').channel_ready_future(__import__('grpc').insecure_channel('unix:STREAM')).result(2)",
            "Error",
        ),
    ] {
        let code = code.replace("STREAM'", &format!("{}'", stream.display()));
        let code = code.replace("DATAGRAM'", &format!("{}'", datagram.display()));
        let code = code.replace("TCP", &port(tcp.local_addr())).replace("UDP", &port(udp.local_addr()));
        let outcome = attempt(&job, &code).unwrap_or_else(|error| panic!("{code}: {error}"));
        assert!(outcome.contains(expected), "{code}: {outcome}");
    }
    assert!(tcp.accept().is_err() && unix.accept().is_err());
    assert!(udp.recv(&mut [0; 8]).is_err() && unix_datagram.recv(&mut [0; 8]).is_err());
    let pair = "(lambda pair: (pair[0].send(b'x'), pair[1].recv(9)))(socket.socketpair())";
    assert_eq!(attempt(&job, pair).expect("a pair of its own"), "done: (1, b'x')");
}

/// A process of the same user; ended with the test.
struct Victim(std::process::Child);

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

#[test]
fn no_process_is_started_and_none_is_reached() {
    let Some(()) = in_force(&["connections", "system calls"]) else { return };
    let mut victim = Victim(Command::new("sleep").arg("1000").stdout(Stdio::null()).spawn().expect("a process"));
    let nice = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
        stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(16)).map(str::to_owned)
    };
    let before = nice(victim.0.id());
    let job = job(options(ATTEMPT));
    for (code, expected) in [
        ("os.fork()", NOT_PERMITTED),
        ("subprocess.run(['/bin/true'])", NOT_PERMITTED),
        ("os.posix_spawn('/bin/true', ['true'], {})", NOT_PERMITTED),
        ("os.system('true') != 0", "done: True"),
        ("multiprocessing.get_context('fork').Process(target=print).start()", NOT_PERMITTED),
        ("multiprocessing.get_context('spawn').Process(target=print).start()", "Error"),
        ("os.execv('/bin/true', ['true'])", NOT_PERMITTED),
        ("os.execv(os.path.realpath(sys.executable), ['python', '-c', '1'])", NOT_PERMITTED),
        ("call('syscall', 435, ctypes.create_string_buffer(88), 88)", "OSError 38"),
        ("os.kill(VICTIM, 0)", NOT_PERMITTED),
        ("os.kill(VICTIM, signal.SIGKILL)", NOT_PERMITTED),
        ("os.kill(os.getppid(), signal.SIGKILL)", NOT_PERMITTED),
        ("os.kill(1, 0)", NOT_PERMITTED),
        ("os.kill(-1, 0)", NOT_PERMITTED),
        ("os.killpg(os.getpgid(VICTIM), signal.SIGKILL)", NOT_PERMITTED),
        ("signal.pidfd_send_signal(os.pidfd_open(VICTIM), signal.SIGKILL)", NOT_PERMITTED),
        ("call('ptrace', 16, VICTIM, 0, 0)", NOT_PERMITTED),
        ("call('ptrace', 0, 0, 0, 0)", NOT_PERMITTED),
        ("call('process_vm_readv', VICTIM, None, 0, None, 0, 0)", NOT_PERMITTED),
        ("os.setpriority(os.PRIO_PROCESS, VICTIM, 19)", NOT_PERMITTED),
        ("os.sched_setaffinity(VICTIM, {0})", NOT_PERMITTED),
        ("resource.prlimit(VICTIM, resource.RLIMIT_NOFILE, (1, 1))", NOT_PERMITTED),
        ("call('unshare', 0x10000000)", NOT_PERMITTED),
        ("call('setns', 0, 0)", NOT_PERMITTED),
        ("call('mount', b'none', b'/tmp', b'tmpfs', 0, None)", NOT_PERMITTED),
        ("call('personality', 0x40000)", NOT_PERMITTED),
        ("call('shmget', 0, 4096, 0o1600)", NOT_PERMITTED),
        ("os.setuid(0)", NOT_PERMITTED),
        ("call('prctl', 1, 0, 0, 0, 0)", NOT_PERMITTED),
        ("resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))", "Error "),
        ("resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1))", "Error "),
    ] {
        let code = code.replace("VICTIM", &victim.0.id().to_string());
        let outcome = attempt(&job, &code).unwrap_or_else(|error| panic!("{code}: {error}"));
        assert!(outcome.contains(expected), "{code}: {outcome}");
    }
    assert!(victim.0.try_wait().expect("a child").is_none(), "it still runs");
    assert_eq!(nice(victim.0.id()), before);
    assert_eq!(job.stats().executors, 1, "the worker has survived its attempts");
}

#[test]
fn what_the_kernel_says_of_a_worker() {
    let all = ["descriptors", "privileges", "limits", "connections", "system calls"];
    let Some(()) = in_force(&all) else { return };
    let job = job(options(ATTEMPT));
    let worker = WorkerProcess(attempt(&job, "os.getpid()").expect("a number").replace("done: ", ""));
    worker.assert_confined();
    assert_eq!(worker.limit("Max core file size"), ["0", "0"]);
    assert_eq!(worker.limit("Max file size"), ["0", "0"]);
    assert_eq!(worker.limit("Max open files"), ["512", "512"]);
    assert_eq!(worker.environment(), ["CLOISTER_SOCKET", "CLOISTER_TOKEN", "LANG"]);
}

#[test]
fn memory_that_would_not_be_counted_is_not_given_out_under_a_limit() {
    let Some(()) = in_force(&["system calls"]) else { return };
    let mut limits = Limits::default();
    limits.memory = Some(128 << 20);
    let job = job(options(ATTEMPT).limits(limits));
    for (code, expected) in [
        ("len(mmap.mmap(-1, 1 << 30))", NOT_PERMITTED),
        ("len(mmap.mmap(-1, 1 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))", "OSError 12"),
        ("len(mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x100))", NOT_PERMITTED),
        ("resource.setrlimit(resource.RLIMIT_DATA, (-1, -1))", "ValueError"),
        ("len(bytearray(1 << 30))", "MemoryError"),
        ("len(bytearray(1 << 20))", "done: 1048576"),
    ] {
        let outcome = attempt(&job, code).unwrap_or_else(|error| panic!("{code}: {error}"));
        assert!(outcome.contains(expected), "{code}: {outcome}");
    }
}

#[test]
fn threads_without_end_are_the_end_of_their_worker() {
    let job = job(options(ATTEMPT));
    let many = |count: u32| {
        format!(
            "[threading.Thread(target=__import__('time').sleep, args=(1000,), daemon=True).start() for _ in range({count})]"
        )
    };
    assert!(attempt(&job, &many(100)).expect("a hundred threads").starts_with("done: "));
    match attempt(&job, &format!("({}, __import__('time').sleep(1000))", many(10_000))) {
        Err(Error::ExecutorDied { reason, .. }) => assert!(reason.contains("more than 1000 threads"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(attempt(&job, "6 * 7").expect("a new worker"), "done: 42");
}

#[test]
fn honest_work_goes_on_inside() {
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/airports-requirements.txt");
    let interpreter = cloister::process::install_requirements(&requirements, &|_| {}).expect("numpy");
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("beside.py"), "value = 42\n").expect("written");
    let job = job(options(ATTEMPT).interpreter(interpreter).paths(vec![directory.path().to_owned()]));
    let threads = "(lambda pool: sum(pool.map(len, ['ab'] * 100)))(__import__('concurrent.futures').futures\
                   .ThreadPoolExecutor(8))";
    for (code, expected) in [
        ("float((lambda np: (np.ones((300, 300)) @ np.ones((300, 300))).sum())(__import__('numpy')))", "27000000.0"),
        (threads, "200"),
        ("__import__('beside').value", "42"),
        ("asyncio.run(asyncio.sleep(0.001, 7))", "7"),
        ("__import__('hashlib').sha256(b'').hexdigest()[:8]", "'e3b0c442'"),
        ("__import__('ssl').OPENSSL_VERSION_NUMBER > 0", "True"),
        ("__import__('sqlite3').connect(':memory:').execute('select 6 * 7').fetchone()", "(42,)"),
        ("str(__import__('zoneinfo').ZoneInfo('Europe/Berlin'))", "'Europe/Berlin'"),
        ("len(os.urandom(8)) + len(__import__('secrets').token_bytes(8))", "16"),
        (
            "(lambda q, p: [q.get() for _ in 'ab'])(*(lambda m: (m, m.put(1), m.put(2)))(__import__('queue').Queue())[:2])",
            "[1, 2]",
        ),
        ("__import__('decimal').Decimal(1) / 8", "Decimal('0.125')"),
        ("os.kill(os.getpid(), 0)", "None"),
        ("resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 0", "True"),
        ("libc.getpid() == os.getpid()", "True"),
    ] {
        let outcome = attempt(&job, code).unwrap_or_else(|error| panic!("{code}: {error}"));
        assert_eq!(outcome, format!("done: {expected}"), "{code}");
    }
    assert_eq!(job.stats().executors, 1);
}

#[test]
fn trusted_code_can_have_the_machine() {
    let job = job(options(ATTEMPT).hardening(Hardening::Off));
    for (code, expected) in [
        ("open('/proc/self/status').read(5)", "done: 'Name:'"),
        ("subprocess.run(['/bin/true']).returncode", "done: 0"),
        ("socket.socket().close()", "done: None"),
        ("pathlib.Path('x').write_text('x')", "done: 1"),
        ("resource.getrlimit(resource.RLIMIT_CORE)[1]", "done: 0"),
    ] {
        assert_eq!(attempt(&job, code).expect("a text"), expected, "{code}");
    }
    let both = options(ATTEMPT).hardening(Hardening::Off).require([Promise::NoHostAccess]);
    assert!(matches!(Session::new().job(both), Err(Error::Refused { mode: Process, .. })));
}

#[test]
fn a_host_with_more_descriptors_than_a_worker_may_have_starts_workers() {
    let open = || std::fs::File::open("/dev/null").expect("a descriptor");
    let many: Vec<_> = (0..700).map(|_| open()).collect();
    let job = job(options(ATTEMPT));
    assert_eq!(attempt(&job, "1 + 1").expect("a number"), "done: 2");
    drop(many);
}

#[test]
fn the_report_tells_every_layer() {
    let layers = Process.report().hardening;
    assert_eq!(layers, cloister::process::hardening());
    let names: Vec<&str> = layers.iter().map(|layer| layer.name).collect();
    let required =
        ["environment", "session", "descriptors", "privileges", "files", "connections", "limits", "system calls"];
    let (last, others) = names.split_last().expect("layers");
    assert_eq!((others, *last), (&required[..], "control group"));
    assert!(layers.iter().all(|layer| layer.optional == (layer.name == *last)));
    let missing: Vec<&Layer> = layers.iter().filter(|layer| !layer.is_in_force()).collect();
    match Session::new().job(options(ATTEMPT).hardening(Hardening::Required)) {
        Ok(_) => assert!(missing.iter().all(|layer| layer.optional), "{missing:?}"),
        Err(Error::Missing { what, .. }) => {
            assert!(missing.iter().any(|layer| !layer.optional), "{what}");
            assert!(missing.iter().all(|layer| what.contains(layer.name) != layer.optional), "{what}");
        }
        Err(other) => panic!("{other}"),
    }
}

/// Where the control group of a process lies, if it is one of ours.
fn group_of(pid: &str) -> Option<PathBuf> {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("the groups of a worker");
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/")).filter(|own| own.contains("cloister-host-"))?;
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("the mounts");
    let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let mount = mounts.find(|mount| mount.get(2) == Some(&"cgroup2")).expect("a mount of version 2");
    Some(Path::new(mount[1]).join(own))
}

#[test]
fn a_worker_has_a_control_group_where_the_host_can_make_one() {
    let layers = cloister::process::hardening();
    let layer = layers.iter().find(|layer| layer.name == "control group").expect("the layer");
    for hardening in [Hardening::Available, Hardening::Off] {
        let job = job(options(ATTEMPT).hardening(hardening).limits(Limits::default().memory(256 << 20)));
        let pid = attempt(&job, "os.getpid()").expect("a number").replace("done: ", "");
        let group = group_of(&pid);
        assert_eq!(group.is_some(), layer.is_in_force(), "{layer:?}");
        let Some(directory) = group else { continue };
        let read = |name: &str| std::fs::read_to_string(directory.join(name)).expect("a file of the group");
        let memory: u64 = read("memory.max").trim().parse().expect("a limit");
        assert!(memory > 256 << 20, "{memory}");
        assert_eq!(read("pids.max").trim() == "max", hardening == Hardening::Off);
        drop(job);
        assert!(!directory.exists(), "the group goes with its worker");
    }
}

/// What the tests below start as a host of their own: prints where the descriptors of its worker lead.
#[test]
fn host_of_its_own() {
    if std::env::var_os("CLOISTER_TEST_HOST").is_none() {
        return;
    }
    let job = job(options(ATTEMPT));
    let pid = attempt(&job, "os.getpid()").expect("a number").replace("done: ", "");
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the worker's descriptors") {
        let target = std::fs::read_link(entry.expect("an entry").path()).expect("a descriptor");
        println!("\ndescriptor {}", target.display());
    }
}

/// This program, told to run one test of its own in a process of its own.
fn this_program(test: &str) -> Vec<PathBuf> {
    let program = std::env::current_exe().expect("this program");
    [program, test.into(), "--exact".into(), "--nocapture".into()].into()
}

#[test]
fn descriptors_that_a_host_leaves_open_do_not_reach_its_workers() {
    let Some(()) = in_force(&["descriptors"]) else { return };
    let secret = tempfile::NamedTempFile::new().expect("a file");
    // What is inherited here is open in the host without the flag that closes it.
    let mut host = Command::new("/bin/sh")
        .args(["-c", "exec 7<\"$SECRET\"; exec \"$0\" \"$@\""])
        .args(this_program("host_of_its_own"))
        .env("CLOISTER_TEST_HOST", "1")
        .env("SECRET", secret.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a host");
    let lines = BufReader::new(host.stdout.take().expect("its output")).lines().map_while(Result::ok);
    let found: Vec<String> = lines.filter_map(|line| Some(line.strip_prefix("descriptor ")?.to_owned())).collect();
    assert!(host.wait().expect("its end").success());
    assert!(found.len() >= 4, "{found:?}");
    let own = ["/dev/null", "pipe:", "socket:", "anon_inode:"];
    assert!(found.iter().all(|target| own.iter().any(|prefix| target.starts_with(prefix))), "{found:?}");
}

/// A user without any rights, on every Linux.
const NOBODY: u32 = 65534;

#[test]
fn all_of_it_holds_for_an_ordinary_user_too() {
    // Where the tests are run by an ordinary user, the others have shown it.
    if std::fs::read_to_string("/proc/self/status").expect("a status").contains("\nUid:\t0\t") {
        // The cache of this user is closed to that one, who makes an environment of their own.
        let cache = tempfile::tempdir().expect("a directory");
        std::os::unix::fs::chown(cache.path(), Some(NOBODY), Some(NOBODY)).expect("root may");
        for test in [
            "files_of_the_host_are_neither_read_nor_written",
            "no_connection_is_made_not_even_to_a_unix_socket",
            "no_process_is_started_and_none_is_reached",
            "what_the_kernel_says_of_a_worker",
        ] {
            let mut user = Command::new(&this_program(test)[0])
                .args(&this_program(test)[1..])
                .env("CLOISTER_CACHE", cache.path())
                .env("HOME", cache.path())
                .current_dir("/")
                .uid(NOBODY)
                .gid(NOBODY)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("a host");
            let mut said = String::new();
            user.stdout.take().expect("its output").read_to_string(&mut said).expect("text");
            let output = user.wait_with_output().expect("its end");
            assert!(output.status.success(), "{test}: {said}{}", String::from_utf8_lossy(&output.stderr));
            assert!(said.contains("1 passed"), "{test}: {said}");
        }
    }
}
