//! Address space: reserving it, and mapping files and zeros into it. All of the folder's memory system calls are here.
//!
//! A [`Space`] owns its addresses for as long as it lives, so that mapping at a fixed place never hits somebody else's
//! memory: every method checks that it stays inside.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::OnceLock;

/// The kernel's page size, in bytes.
pub fn page() -> usize {
    static PAGE: OnceLock<usize> = OnceLock::new();
    // SAFETY: sysconf has no preconditions.
    *PAGE.get_or_init(|| usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096))
}

/// Reserved addresses: a guard in front, room for a memory, a guard behind. Nothing in it can be accessed until it is
/// mapped; the guards never can.
#[derive(Debug)]
pub struct Space {
    start: NonNull<u8>,
    guard: usize,
    room: usize,
}

// SAFETY: a space is a range of addresses that it alone owns; which thread maps, unmaps or frees it does not matter.
unsafe impl Send for Space {}
// SAFETY: through a shared reference only the addresses can be asked for.
unsafe impl Sync for Space {}

impl Space {
    /// Reserves `room` bytes between two guards of `guard` bytes each. Both are multiples of the page size.
    pub fn reserve(room: usize, guard: usize) -> io::Result<Space> {
        let total = room.checked_add(2 * guard).ok_or(io::ErrorKind::InvalidInput)?;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at a place that the kernel chooses touches no memory that is in use.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), total, libc::PROT_NONE, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Space { start, guard, room })
    }

    /// Where the room starts.
    pub fn base(&self) -> NonNull<u8> {
        // SAFETY: the guard in front lies inside of the reservation.
        unsafe { self.start.add(self.guard) }
    }

    /// Maps `file` from `offset` at `range`, readable and writable; writes stay private to this space.
    pub fn map_file(&mut self, range: Range<usize>, file: &File, offset: usize) -> io::Result<()> {
        let offset = libc::off_t::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.map(range, libc::PROT_READ | libc::PROT_WRITE, Some((file, offset)))
    }

    /// Maps zeros at `range`, readable and writable.
    pub fn map_zeros(&mut self, range: Range<usize>) -> io::Result<()> {
        self.map(range, libc::PROT_READ | libc::PROT_WRITE, None)
    }

    /// Makes `range` inaccessible and gives its memory back.
    pub fn unmap(&mut self, range: Range<usize>) -> io::Result<()> {
        self.map(range, libc::PROT_NONE, None)
    }

    fn map(&mut self, range: Range<usize>, protection: i32, file: Option<(&File, libc::off_t)>) -> io::Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        let at = self.inside(&range);
        let (fd, offset, anonymous) = match file {
            Some((file, offset)) => (file.as_raw_fd(), offset, 0),
            None => (-1, 0, libc::MAP_ANONYMOUS),
        };
        let flags = libc::MAP_PRIVATE | libc::MAP_FIXED | libc::MAP_NORESERVE | anonymous;
        // SAFETY: the range lies inside of this space's room (checked), whose addresses nobody else uses. That no one
        // looks at its contents meanwhile is given by `&mut self`: the space belongs to a memory that is not handed
        // out yet, is being grown by its owner (only bytes beyond its end change), or has been given back.
        let mapped = unsafe { libc::mmap(at.as_ptr().cast(), range.len(), protection, flags, fd, offset) };
        if mapped == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Writes `bytes` at `at`, which must be mapped.
    pub fn copy(&mut self, at: usize, bytes: &[u8]) {
        let target = self.inside(&(at..at + bytes.len()));
        // SAFETY: the target lies inside of this space (checked), is mapped writable (the caller's part), and nobody
        // else looks at it (see `map`); a slice of the host's never overlaps it.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), target.as_ptr(), bytes.len()) };
    }

    /// The address of `range`, which is checked to be within the room.
    fn inside(&self, range: &Range<usize>) -> NonNull<u8> {
        assert!(range.start <= range.end && range.end <= self.room, "a mapping outside of its space");
        // SAFETY: checked above to be inside of the reservation.
        unsafe { self.base().add(range.start) }
    }
}

/// Gives or takes the access to mapped memory.
///
/// # Safety
/// The range must be whole pages of a [`Space`] that are mapped, and stay so during the call. While the access is taken
/// nothing may touch them but code whose faults are expected.
pub unsafe fn protect(start: NonNull<u8>, length: usize, accessible: bool) -> io::Result<()> {
    let protection = if accessible { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_NONE };
    // SAFETY: the caller's promise.
    let result = unsafe { libc::mprotect(start.as_ptr().cast(), length, protection) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

impl Drop for Space {
    fn drop(&mut self) {
        // SAFETY: the whole reservation is ours, and whoever drops the space is the last to know it. If the kernel
        // refuses (it may have to split a mapping and be at its limit), the addresses leak and are never used again.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.room + 2 * self.guard) };
    }
}

/// A file mapped for reading, whole.
#[derive(Debug)]
pub struct View {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: a view is only ever read.
unsafe impl Send for View {}
// SAFETY: as above.
unsafe impl Sync for View {}

impl View {
    /// Maps the first `length` bytes of `file`.
    ///
    /// # Safety
    /// Nobody may change or truncate these bytes of the file while the view exists.
    pub unsafe fn of(file: &File, length: usize) -> io::Result<View> {
        // SAFETY: a new mapping at a place that the kernel chooses.
        let start =
            unsafe { libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(View { start, length })
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: mapped readable for as long as the view lives; that nobody changes it is the promise of `of`'s
        // caller.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: the mapping is the view's own, and no reference into it outlives the view.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

/// A file without a name, in memory where the system can.
pub fn anonymous_file() -> io::Result<File> {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::FromRawFd;
        // SAFETY: the name is a C string; the call has no other preconditions.
        let fd = unsafe { libc::memfd_create(c"cloister-image".as_ptr(), libc::MFD_CLOEXEC) };
        if fd == -1 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else's.
        Ok(unsafe { File::from_raw_fd(fd) })
    }
    #[cfg(not(target_os = "linux"))]
    tempfile::tempfile()
}
