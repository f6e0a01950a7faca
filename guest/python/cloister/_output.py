"""Text streams for processes of our own (a sandbox, a worker), where what a function prints must not be lost.

A stream says when it was written to, so that flushing costs nothing in calls that print nothing.
"""

from __future__ import annotations

import io
import sys
from typing import List

__all__ = ["flush", "install"]


class _Stream(io.TextIOWrapper):
    """A text stream that notes in `written` that it has something to flush."""

    def __init__(self, descriptor: int, name: str, written: List[io.TextIOWrapper]) -> None:
        raw = io.FileIO(descriptor, "w", closefd=False)
        # backslashreplace: printing never fails, whatever a string holds.
        super().__init__(io.BufferedWriter(raw), "utf-8", "backslashreplace", "\n")
        self.mode = "w"  # type: ignore[misc]
        self._written = written
        self._label = name

    def write(self, text: str) -> int:
        written = self._written
        if self not in written:
            written.append(self)
        return super().write(text)


def install(written: List[io.TextIOWrapper]) -> None:
    """Replaces `sys.stdout` and `sys.stderr` by streams that note in `written` that they have to be flushed."""
    sys.stdout = _Stream(1, "<stdout>", written)
    sys.stderr = _Stream(2, "<stderr>", written)


def flush(written: List[io.TextIOWrapper]) -> None:
    """Flushes the streams of `written`, and forgets them. A stream that fails is the user's loss only."""
    for stream in written[:]:
        try:
            io.TextIOWrapper.flush(stream)
        except MemoryError:
            raise
        except Exception:  # closed by the user, or nobody reads it
            pass
    written.clear()
