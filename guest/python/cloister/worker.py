"""The worker of process mode: dials the host, then answers one request after the other until the host is gone.

`python -m cloister.worker`, with the host's socket in CLOISTER_SOCKET and the worker's secret in CLOISTER_TOKEN.
All user code runs in the main thread. The end of the stream, for whatever reason, is the end of the worker.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from marshal import dumps
from queue import SimpleQueue
from typing import Any, NoReturn, Optional

from . import __version__
from ._harness import Harness
from ._wire import decode_host_message, encode_hello, encode_reply

__all__ = ["main"]

METHOD = "/cloister.worker.v1.WorkerHost/Connect"
FAULT, BAD_START, NO_GRPC, NO_HOST = 1, 2, 3, 4
_CLOSE = dumps((4,), 2)
_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_http_proxy", 0),
    # By default it is the socket's path, percent-encoded, which the host's HTTP/2 does not take for an authority.
    ("grpc.default_authority", "localhost"),
    ("grpc.use_local_subchannel_pool", 1),
)


def main() -> NoReturn:
    """Runs the worker; ends the process."""
    socket = os.environ.pop("CLOISTER_SOCKET", None)
    token = os.environ.pop("CLOISTER_TOKEN", None)
    if not socket or not token:
        _leave(BAD_START, "cloister worker: CLOISTER_SOCKET and CLOISTER_TOKEN must be set (the host does that)")
    # `poll` is quicker than gRPC's default with few connections; and its own log has no place in the user's output.
    settings = {"GRPC_POLL_STRATEGY": "poll", "GRPC_VERBOSITY": "NONE"}
    added = [name for name in settings if name not in os.environ]
    os.environ.update((name, settings[name]) for name in added)
    try:
        import grpc  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        _leave(NO_GRPC, f"cloister worker: this interpreter has no grpcio ({error}): python -m pip install grpcio")
    # An interrupt from the keyboard reaches the host too, and the host decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What is there now stays for ever; collections need not look at it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000)
    channel = grpc.insecure_channel(f"unix:{socket}", options=_OPTIONS)
    for name in added:
        del os.environ[name]
    try:
        _serve(channel, token)
    except grpc.RpcError as error:
        _gone(error.code())
    except BaseException as error:  # not of user code, whose exceptions are replies
        _leave(FAULT, f"cloister worker: {type(error).__name__}: {error}")
    _leave(0)


def _gone(code: Any) -> NoReturn:
    """Ends the process because the stream has ended."""
    name = getattr(code, "name", "UNKNOWN")
    if name == "OK":
        _leave(0)
    _leave(NO_HOST, f"cloister worker: the host is gone ({name})")


def _leave(code: int, message: Optional[str] = None) -> NoReturn:
    """Ends the process at once: threads and streams of user code must not keep it alive."""
    try:
        if message:
            os.write(2, f"{message}\n".encode())
    finally:
        os._exit(code)


def _serve(channel: Any, token: str) -> None:
    replies: SimpleQueue[Optional[bytes]] = SimpleQueue()
    version = ".".join(str(part) for part in sys.version_info[:3])
    replies.put(encode_hello(version, os.getpid(), __version__))
    connect = channel.stream_stream(METHOD, request_serializer=None, response_deserializer=None)
    handle = Harness(owns_output=True).handle
    put = replies.put
    stream = connect(iter(replies.get, None), metadata=(("cloister-token", token),))
    # User code that never returns must not outlive the host: this is called in a thread of gRPC's.
    stream.add_done_callback(lambda ended: _gone(ended.code()))
    for data in stream:
        message = decode_host_message(data)
        if message.request is not None:
            put(encode_reply(message.id, handle(message.request)))
        elif message.shutdown:
            handle(_CLOSE)
            return
        elif message.memory is not None:
            _limit_memory(message.memory)


def _limit_memory(limit: int) -> None:
    """Limits this process's data to `limit` bytes, what it holds now included; 0: no limit. There is no way back."""
    try:
        import resource
    except ImportError:  # not on this system
        return
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    if limit and (hard == resource.RLIM_INFINITY or limit < hard):
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


if __name__ == "__main__":
    main()
