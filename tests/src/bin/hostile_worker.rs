//! What a sandbox worker could be in the hands of an attacker: it describes itself as one, and when it is started as one it
//! tries what the confinement must keep from it, and says what came of it.

use std::fs;
use std::io::{self, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::process::Command;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.len() > 2 {
        cloister::worker::run_if_asked();
    }
    // Where the test has put what must not be reached: beside this program's link.
    let beside = std::path::Path::new(&arguments[0]).with_file_name("secret");
    let socket = std::path::Path::new(&arguments[0]).with_file_name("socket");
    let cache = std::env::var("CLOISTER_CACHE").unwrap_or_default();
    // The host answers a worker's first dialling itself, whatever address is dialled: nothing else is ever reached.
    let dialled = UnixStream::connect(socket).map(|mut stream| stream.write_all(b"attack").is_ok());
    let attempts: [(&str, io::Result<bool>); 10] = [
        ("read", fs::read(beside).map(|_| true)),
        ("password", fs::read("/etc/passwd").map(|_| true)),
        ("environ", fs::read(format!("/proc/{}/environ", std::os::unix::process::parent_id())).map(|_| true)),
        ("list", fs::read_dir("/").map(|_| true)),
        ("cache", fs::read_dir(cache).map(|_| true)),
        ("write", fs::write("x", "x").map(|()| true)),
        ("zone", fs::read("/usr/share/zoneinfo/UTC").map(|_| true)),
        ("tcp", TcpStream::connect("127.0.0.1:1").map(|_| true)),
        ("udp", UdpSocket::bind("127.0.0.1:0").map(|_| true)),
        ("run", Command::new("/bin/true").status().map(|_| true)),
    ];
    let of = |outcome: &io::Result<bool>| match outcome {
        Ok(_) => "REACHED".to_owned(),
        Err(error) => error.raw_os_error().map_or_else(|| "?".into(), |code| code.to_string()),
    };
    let said: Vec<String> = attempts.iter().map(|(name, outcome)| format!("{name}={}", of(outcome))).collect();
    eprintln!("{} dialled={}", said.join(" "), dialled.is_ok());
    std::process::exit(9);
}
