"""The proto3 wire format, for the four messages between a worker and its host.

Written by hand so that a worker needs no protobuf package, whose version a job's own packages may contradict.
The messages are those of `worker.proto`; unknown fields are skipped, as proto3 asks.
"""

from __future__ import annotations

from typing import NamedTuple, Optional, Tuple, Union

__all__ = ["HostMessage", "WireError", "decode_host_message", "encode_hello", "encode_log", "encode_reply"]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MASK = (1 << 64) - 1


class WireError(ValueError):
    """The bytes are not a message."""


class HostMessage(NamedTuple):
    """What the host says; at most one of the three bodies is set."""

    id: int = 0
    request: Optional[bytes] = None
    shutdown: bool = False
    # Bytes of memory, 0 for no limit.
    memory: Optional[int] = None


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number: int, content: Union[int, bytes]) -> bytes:
    if isinstance(content, int):
        return _varint(number << 3 | _VARINT) + _varint(content & _MASK)
    return b"".join((_varint(number << 3 | _BYTES), _varint(len(content)), content))


def encode_hello(python: str, pid: int, harness: str) -> bytes:
    """WorkerMessage with a Hello: the first message of a worker, with id 0."""
    hello = _field(1, python.encode()) + _field(2, pid) + _field(3, harness.encode())
    return _field(2, hello)


def encode_reply(identity: int, reply: bytes) -> bytes:
    """WorkerMessage with the reply to the request of this id."""
    return b"".join((b"\x08", _varint(identity), b"\x1a", _varint(len(reply)), reply))


def encode_log(stream: int, data: bytes) -> bytes:
    """WorkerMessage with output of the worker: stream 1 is standard output, 2 standard error."""
    return _field(4, _field(1, stream) + _field(2, data))


def decode_host_message(data: bytes) -> HostMessage:
    """A HostMessage. Raises `WireError` if it is cut short or not a message at all."""
    identity, request, shutdown, memory = 0, None, False, None
    position, end = 0, len(data)
    while position < end:
        number, content, position = _next(data, position, end)
        if number == 1 and isinstance(content, int):
            identity = content
        elif isinstance(content, bytes):
            # Of a oneof, the last one on the wire counts.
            if number in (2, 3, 4):
                request, shutdown, memory = None, False, None
            if number == 2:
                request = content
            elif number == 3:
                shutdown = True
            elif number == 4:
                memory = _limits(content)
    return HostMessage(identity, request, shutdown, memory)


def _limits(data: bytes) -> int:
    memory, position = 0, 0
    while position < len(data):
        number, content, position = _next(data, position, len(data))
        if number == 1 and isinstance(content, int):
            memory = content
    return memory


def _next(data: bytes, position: int, end: int) -> Tuple[int, Union[int, bytes, None], int]:
    """The number and content of the next field (None for kinds not used here), and where it ends."""
    tag, position = _read_varint(data, position, end)
    number, kind = tag >> 3, tag & 7
    if number == 0:
        raise WireError("a field has the number 0")
    if kind == _VARINT:
        value, position = _read_varint(data, position, end)
        return number, value, position
    if kind == _BYTES:
        length, position = _read_varint(data, position, end)
    elif kind == _FIXED64:
        length = 8
    elif kind == _FIXED32:
        length = 4
    else:
        raise WireError(f"a field has the unknown wire type {kind}")
    if length > end - position:
        raise WireError("the message is cut short")
    stop = position + length
    return number, bytes(data[position:stop]) if kind == _BYTES else None, stop


def _read_varint(data: bytes, position: int, end: int) -> Tuple[int, int]:
    value = shift = 0
    while position < end and shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _MASK, position
        shift += 7
    raise WireError("a number is cut short or too long")
