//! System calls of a worker that its host answers (seccomp's user notification): the filter's listener on its way from
//! the worker to the host, and what the host can do with a call that waits.

use std::io;
use std::mem::{MaybeUninit, size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use libc::{c_int, c_uint, c_ulong};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Room for a control message with one descriptor, aligned as its header is.
#[repr(C, align(8))]
struct Control([u8; 64]);

const DESCRIPTOR: c_uint = size_of::<c_int>() as c_uint;

/// A message of one byte, and what the control buffer is for it. The pointers must live as long as it is used.
fn message(byte: &mut libc::iovec, control: &mut Control) -> libc::msghdr {
    // SAFETY: a message header of zeros is an empty one.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_iov = byte;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    // SAFETY: arithmetic only.
    header.msg_controllen = unsafe { libc::CMSG_SPACE(DESCRIPTOR) } as _;
    header
}

/// Sends the listener through the socket. Async-signal-safe: for the child between fork and exec.
pub fn send_listener(socket: &OwnedFd, listener: RawFd) -> io::Result<()> {
    let mut payload = 0_u8;
    let mut byte = libc::iovec { iov_base: (&raw mut payload).cast(), iov_len: 1 };
    let mut control = Control([0; 64]);
    let header = message(&mut byte, &mut control);
    // SAFETY: the control buffer has room for a header and one descriptor, at the places where these macros point.
    let sent = unsafe {
        let first = libc::CMSG_FIRSTHDR(&raw const header);
        (*first).cmsg_level = libc::SOL_SOCKET;
        (*first).cmsg_type = libc::SCM_RIGHTS;
        (*first).cmsg_len = libc::CMSG_LEN(DESCRIPTOR) as _;
        ptr::write_unaligned(libc::CMSG_DATA(first).cast::<c_int>(), listener);
        libc::sendmsg(socket.as_raw_fd(), &raw const header, 0)
    };
    if sent == 1 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Waits for the listener at the host's end of the socket, which does not block; `None` if the worker ended without
/// sending one.
pub async fn receive_listener(socket: OwnedFd) -> io::Result<Option<Listener>> {
    let socket = watched(socket)?;
    let received = socket.async_io(Interest::READABLE, |socket| receive(socket.as_fd())).await?;
    received.map(|listener| Ok(Listener(watched(listener)?))).transpose()
}

/// The descriptor with the runtime told when it can be read.
fn watched(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open and the same as long as it lives.
    Ok(unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }?)
}

fn receive(socket: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    let mut payload = 0_u8;
    let mut byte = libc::iovec { iov_base: (&raw mut payload).cast(), iov_len: 1 };
    let mut control = Control([0; 64]);
    let mut header = message(&mut byte, &mut control);
    // SAFETY: the header points to buffers of the sizes that it names. A control message of this kind holds one
    // descriptor, which is ours from then on.
    unsafe {
        let received = libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_CMSG_CLOEXEC);
        if received == -1 {
            return Err(io::Error::last_os_error());
        }
        let first = libc::CMSG_FIRSTHDR(&raw const header);
        if received == 0 || first.is_null() || (*first).cmsg_type != libc::SCM_RIGHTS {
            return Ok(None);
        }
        let descriptor = ptr::read_unaligned(libc::CMSG_DATA(first).cast::<c_int>());
        Ok(Some(OwnedFd::from_raw_fd(descriptor)))
    }
}

/// A call that waits for its answer.
#[derive(Debug, Clone, Copy)]
pub struct Notice {
    id: u64,
    /// The number of the system call.
    pub call: i64,
    /// Its first argument.
    pub first: u64,
}

/// Where a worker's calls arrive.
#[derive(Debug)]
pub struct Listener(AsyncFd<OwnedFd>);

impl Listener {
    /// The next call that waits.
    ///
    /// # Errors
    /// When none will come any more: the worker is gone.
    pub async fn next(&self) -> io::Result<Notice> {
        self.0.async_io(Interest::READABLE, |_| self.take()).await
    }

    /// The call that waits now; `WouldBlock` if there is none.
    fn take(&self) -> io::Result<Notice> {
        // Taking a call blocks if there is none, and readiness may be out of date.
        let mut ready = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd, as it says.
        unsafe { libc::poll(&raw mut ready, 1, 0) };
        if ready.revents & libc::POLLIN == 0 {
            let gone = ready.revents & (libc::POLLHUP | libc::POLLERR | libc::POLLNVAL) != 0;
            return Err(if gone { io::ErrorKind::BrokenPipe } else { io::ErrorKind::WouldBlock }.into());
        }
        let mut notice = MaybeUninit::<libc::seccomp_notif>::zeroed();
        // SAFETY: zeroed, as the kernel demands, and of the size that the request's number carries.
        match self.ioctl(libc::SECCOMP_IOCTL_NOTIF_RECV as c_ulong, notice.as_mut_ptr()) {
            // The thread that made the call is gone.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Err(io::ErrorKind::WouldBlock.into()),
            Err(error) => Err(error),
            Ok(_) => {
                // SAFETY: zeroes are a valid value, and the kernel has written one.
                let notice = unsafe { notice.assume_init() };
                Ok(Notice { id: notice.id, call: i64::from(notice.data.nr), first: notice.data.args[0] })
            }
        }
    }

    /// Lets the kernel make the call. The worker could change what the call's pointers point to meanwhile, so this is
    /// no answer to code that is not trusted.
    pub fn permit(&self, notice: Notice) {
        self.answer(notice, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32);
    }

    /// Has the call fail.
    pub fn refuse(&self, notice: Notice, error: c_int) {
        self.answer(notice, -error, 0);
    }

    /// Puts `descriptor` in the place of the worker's descriptor number `place`, and has the call succeed.
    pub fn replace(&self, notice: Notice, place: u32, descriptor: BorrowedFd<'_>) {
        let mut add = libc::seccomp_notif_addfd {
            id: notice.id,
            flags: libc::SECCOMP_ADDFD_FLAG_SETFD as u32,
            srcfd: descriptor.as_raw_fd() as u32,
            newfd: place,
            newfd_flags: libc::O_CLOEXEC as u32,
        };
        match self.ioctl(libc::SECCOMP_IOCTL_NOTIF_ADDFD as c_ulong, &raw mut add) {
            Ok(_) => self.answer(notice, 0, 0),
            Err(_) => self.refuse(notice, libc::EBADF),
        }
    }

    fn answer(&self, notice: Notice, error: c_int, flags: u32) {
        let mut answer = libc::seccomp_notif_resp { id: notice.id, val: 0, error, flags };
        // A worker that died meanwhile needs no answer.
        let _ = self.ioctl(libc::SECCOMP_IOCTL_NOTIF_SEND as c_ulong, &raw mut answer);
    }

    /// The caller hands in the structure that the request is made for.
    fn ioctl<T>(&self, request: c_ulong, argument: *mut T) -> io::Result<c_int> {
        // SAFETY: the descriptor is a listener; the structure is valid and of the request's size.
        let result = unsafe { libc::ioctl(self.0.as_raw_fd(), request as _, argument) };
        if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
    }
}
