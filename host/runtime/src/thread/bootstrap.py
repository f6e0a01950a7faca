"""What the embedded interpreter is given before any job: the package `cloister`, and streams that lead to job logs.

Run once, as a module of its own. Keeps no state of a job: which log the current thread's output belongs to is the
host's knowledge (`write` and `follow`). Where the host itself uses this interpreter too, what no job writes goes where
it went before.
"""

from __future__ import annotations

import _signal
import _thread
import gc
import io
import sys
import threading
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Callable, Dict, Optional, Sequence, Tuple, cast

# Whether there is a log that took it.
Write = Callable[[int, bytes], bool]
# Gives a function that makes the thread it is called in write to the log of the thread that asked for it.
Follow = Callable[[], Callable[[], None]]


class Interrupted(BaseException):
    """Raised in a call that must end: its deadline has passed, or the host cancelled it."""


class _Sources:
    """Finder and loader of the package, from memory."""

    def __init__(self, sources: Dict[str, str]) -> None:
        self._sources = sources

    def find_spec(
        self, name: str, path: Optional[Sequence[str]] = None, target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        base = name.replace(".", "/")
        for location, package in ((f"{base}/__init__.py", True), (f"{base}.py", False)):
            if location in self._sources:
                return ModuleSpec(name, cast(Any, self), origin=location, is_package=package)
        return None

    def create_module(self, spec: ModuleSpec) -> None:
        """The default module."""

    def exec_module(self, module: ModuleType) -> None:
        # The name begins as that of Python's own frozen code, so that it never counts as the user's.
        code = compile(self.get_source(module.__name__), f"<frozen {module.__name__}>", "exec", dont_inherit=True)
        exec(code, module.__dict__)

    def get_source(self, name: str) -> str:
        base = name.replace(".", "/")
        return self._sources.get(f"{base}.py") or self._sources[f"{base}/__init__.py"]


class _Bytes(io.RawIOBase):
    """The bytes below a text stream."""

    def __init__(self, number: int, write: Write, before: Any) -> None:
        self._number = number
        self._write = write
        self._before = before

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        data = bytes(data)
        if not self._write(self._number, data) and self._before is not None:
            self._before.buffer.write(data)
        return len(data)

    def close(self) -> None:
        """All jobs share the stream, and it holds nothing."""


class _Text(io.TextIOBase):
    """A text stream that leads to the log of the job that writes."""

    encoding = "utf-8"
    errors = "backslashreplace"
    newlines = None
    line_buffering = False
    mode = "w"

    def __init__(self, number: int, name: str, write: Write, before: Any) -> None:
        self._number = number
        self._write = write
        self._before = before
        self.name = name
        self.buffer = _Bytes(number, write, before)

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        # Printing never fails, whatever a string holds.
        taken = self._write(self._number, str.encode(text, "utf-8", "backslashreplace"))
        if not taken and self._before is not None:
            self._before.write(text)
        return len(text)

    def flush(self) -> None:
        if self._before is not None:
            self._before.flush()

    def close(self) -> None:
        """All jobs share the stream, and it holds nothing."""


def _following(start: Callable[..., Any], follow: Follow) -> Callable[..., Any]:
    """`start`, a way to start a thread, so that the new thread writes to the log of the one that starts it."""

    def start_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        join = follow()

        def run(*args: Any, **kwargs: Any) -> None:
            join()
            function(*args, **kwargs)

        return start(run, *args, **kwargs)

    return start_thread


def prepare(sources: Dict[str, str], write: Write, follow: Follow, ours: bool) -> Tuple[type, type]:
    """Prepares the interpreter; gives the harness's class and `Interrupted`. `ours`: no one else uses it."""
    sys.meta_path.insert(0, cast(Any, _Sources(sources)))
    sys.stdout = cast(Any, _Text(1, "<stdout>", write, None if ours else sys.stdout))
    sys.stderr = cast(Any, _Text(2, "<stderr>", write, None if ours else sys.stderr))
    if ours:
        sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr  # type: ignore[misc]
        # Nobody types for a job.
        sys.stdin = sys.__stdin__ = io.StringIO()  # type: ignore[misc]
        # The first import of the module took Ctrl-C from the host, unless the host has a handler of its own.
        if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
            _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    for module, name in (
        (_thread, "start_new_thread"),
        (_thread, "start_joinable_thread"),
        (threading, "_start_new_thread"),
        (threading, "_start_joinable_thread"),
    ):
        if hasattr(module, name):
            setattr(module, name, _following(getattr(module, name), follow))
    from cloister._harness import Harness

    if ours:
        # As in the other modes: what is there now stays for ever, and a bundle's rows are not a reason to look for cycles.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000)
    return Harness, Interrupted
