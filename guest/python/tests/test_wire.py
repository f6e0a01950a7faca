"""The wire format between worker and host."""

from __future__ import annotations

import unittest

from cloister._wire import HostMessage, WireError, decode_host_message, encode_hello, encode_log, encode_reply


class Wire(unittest.TestCase):
    def test_what_a_worker_says(self) -> None:
        self.assertEqual(encode_hello("3.11.7", 300, "0.1.0"), b"\x12\x12\n\x063.11.7\x10\xac\x02\x1a\x050.1.0")
        self.assertEqual(encode_reply(1, b"abc"), b"\x08\x01\x1a\x03abc")
        self.assertEqual(encode_reply(300, b"x" * 200)[:6], b"\x08\xac\x02\x1a\xc8\x01")
        self.assertEqual(encode_reply((1 << 64) - 1, b"")[:11], b"\x08" + b"\xff" * 9 + b"\x01")
        self.assertEqual(encode_log(2, b"oh"), b'"\x06\x08\x02\x12\x02oh')

    def test_what_a_host_says(self) -> None:
        for data, message in (
            (b"", HostMessage()),
            (b"\x08\x05\x12\x03abc", HostMessage(5, b"abc")),
            (b"\x12\x03abc\x08\x05", HostMessage(5, b"abc")),
            (b"\x12\x00", HostMessage(0, b"")),
            (b"\x08\x05\x1a\x00", HostMessage(5, shutdown=True)),
            (b'"\x00', HostMessage(0, memory=0)),
            (b'"\x06\x08\x80\x80\x80\x80\x01', HostMessage(0, memory=1 << 28)),
            # The last body counts.
            (b"\x12\x01a\x1a\x00", HostMessage(0, shutdown=True)),
            # Unknown fields of all kinds, also inside.
            (b"\x78\x96\x01\x79" + b"8" * 8 + b"\x7a\x02hi\x7d" + b"4444" + b"\x08\x07", HostMessage(7)),
            (b'"\x05\x7a\x01x\x08\x09', HostMessage(0, memory=9)),
            # A known number of another wire type is an unknown field.
            (b"\x0a\x01a\x10\x05", HostMessage()),
        ):
            with self.subTest(data=data):
                self.assertEqual(decode_host_message(data), message)

    def test_what_is_no_message(self) -> None:
        for data in (
            b"\x08",
            b"\x08\x80",
            b"\x12\x05abc",
            b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01a",
            b"\x08" + b"\xff" * 11,
            b"\x00\x01",
            b"\x0b",
            b"\x79abc",
            b"\x7dabc",
            b'"\x01\x08',
        ):
            with self.subTest(data=data):
                with self.assertRaises(WireError):
                    decode_host_message(data)

    def test_every_cut_of_a_message(self) -> None:
        data = b"\x08\xac\x02\x12\x03abc"
        for end in range(len(data)):
            try:
                decode_host_message(data[:end])
            except WireError:
                pass
