//! The one system call of a sandbox worker that the standard library has no form of.

use std::io;

/// Limits this process's data to `bytes`, what it holds now included; 0: no limit. There is no way back.
pub fn limit_data(bytes: u64) -> io::Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get room for one rlimit, the second only reads it.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_DATA, &raw mut limit) != 0 {
            return Err(io::Error::last_os_error());
        }
        let bytes = libc::rlim_t::from(bytes).min(limit.rlim_max);
        limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
        if libc::setrlimit(libc::RLIMIT_DATA, &raw const limit) != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
