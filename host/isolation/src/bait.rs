//! What is laid out for hostile code to reach: secrets in the environment, in a file and in another tenant's job, a port
//! that listens, a directory to write to. Whether any of it was touched is seen here, on the host.

use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use cloister::cache;

use crate::case::Breach;

/// The environment variable of the host that holds a secret.
pub const SECRET_VARIABLE: &str = "CLOISTER_ISOLATION_SECRET";

const SECRET_FILE: &str = "secret.txt";
const SCRATCH: &str = "scratch";
/// Where the standard streams of a stage go.
pub const OUTPUT: &str = "output";

/// The bait of one stage. A case's source names it so:
///
/// | in the source | becomes |
/// |---|---|
/// | `@SECRET_FILE@` | the path of a file of the host that holds a secret |
/// | `@SCRATCH@` | the path of an empty directory of the host; nothing may appear there |
/// | `@PORT@` | a TCP port on 127.0.0.1 where the host listens; nobody may connect |
/// | `@HOST_PID@` | the number of the host process |
/// | `@MARK@` | a text that must not appear in the host's standard streams |
#[derive(Debug)]
pub struct Bait {
    directory: PathBuf,
    listener: TcpListener,
    mark: String,
    /// The secret in the bystander's job.
    pub tenant_secret: String,
    secrets: Vec<String>,
    /// Paths of the host that no message may hold.
    paths: Vec<String>,
}

/// A text that nobody else has.
pub fn secret(kind: &str) -> String {
    format!("{kind}-SECRET-{:016x}{:016x}", RandomState::new().hash_one(0), RandomState::new().hash_one(1))
}

/// Lays out in `directory` what is on disk; done by who starts the stage.
pub fn lay_out(directory: &Path) -> io::Result<()> {
    std::fs::create_dir(directory.join(SCRATCH))?;
    std::fs::write(directory.join(SECRET_FILE), secret("FILE"))
}

impl Bait {
    /// The bait in `directory`, which [`lay_out`] has prepared.
    pub fn new(directory: &Path) -> io::Result<Bait> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let tenant_secret = secret("TENANT");
        let mut secrets = vec![std::fs::read_to_string(directory.join(SECRET_FILE))?, tenant_secret.clone()];
        secrets.extend(std::env::var(SECRET_VARIABLE));
        let program = std::env::current_exe()?;
        let cache = cache::directory().ok();
        let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.components().count() > 1);
        let paths = [program.parent(), cache.as_deref(), home.as_deref()];
        let paths = paths.into_iter().flatten().map(|path| path.to_string_lossy().into_owned()).collect();
        Ok(Bait { directory: directory.into(), listener, mark: secret("MARK"), tenant_secret, secrets, paths })
    }

    /// A source with the names between `@` replaced.
    pub fn place_in(&self, source: &str) -> io::Result<String> {
        let path = |name: &str| self.directory.join(name).to_string_lossy().into_owned();
        Ok(source
            .replace("@SECRET_FILE@", &path(SECRET_FILE))
            .replace("@SCRATCH@", &path(SCRATCH))
            .replace("@PORT@", &self.listener.local_addr()?.port().to_string())
            .replace("@HOST_PID@", &std::process::id().to_string())
            .replace("@MARK@", &self.mark))
    }

    /// Secrets that nothing which comes from hostile code may hold.
    pub fn secrets(&self) -> &[String] {
        &self.secrets
    }

    /// Paths of the host that no message may hold.
    pub fn paths(&self) -> &[String] {
        &self.paths
    }

    /// What was touched since the last look; everything is laid out anew.
    pub fn touched(&self) -> io::Result<Vec<(Breach, String)>> {
        let mut found = Vec::new();
        while self.listener.accept().is_ok() {
            found.push((Breach::Reaches, "a connection to a port of the host".to_owned()));
        }
        let scratch = self.directory.join(SCRATCH);
        for entry in std::fs::read_dir(&scratch)? {
            let entry = entry?;
            found.push((Breach::Reaches, format!("a file written on the host: {}", entry.file_name().display())));
            let path = entry.path();
            if entry.file_type()?.is_dir() { std::fs::remove_dir_all(path)? } else { std::fs::remove_file(path)? }
        }
        let output = std::fs::read(self.directory.join(OUTPUT))?;
        if output.windows(self.mark.len()).any(|part| part == self.mark.as_bytes()) {
            found.push((Breach::Reaches, "writing to a standard stream of the host".to_owned()));
        }
        if std::fs::read_to_string(self.directory.join(SECRET_FILE)).ok().as_ref() != self.secrets.first() {
            found.push((Breach::Reaches, "a file of the host was changed".to_owned()));
        }
        Ok(found)
    }
}
