"""Errors on their way to the host: what happened, as capped text, with frames of the user's code only.

Everything here meets hostile objects: `__str__`, `__repr__`, class names and traceback attributes may be
the user's. Nothing here raises, except when memory or the deadline ends it (`_harness` has a last resort).
"""

from __future__ import annotations

import sys
from json import dumps as _to_json
from os import sep
from types import CodeType
from typing import Any, Dict, List, Optional, Sequence, Tuple

from . import _stdlib

__all__ = ["Failure", "Mismatch", "Sources", "encode", "from_exception", "problem", "show", "type_name"]

MESSAGE_CAP = 4_096
TRACEBACK_CAP = 16_384
VALUE_CAP = 80
_FRAMES_SHOWN = 60
_CHAIN_SHOWN = 5

# Reading these through the descriptor reaches the truth even if a class defines its own.
_qualname_of = type.__dict__["__qualname__"].__get__
_module_of = type.__dict__["__module__"].__get__
_traceback_of = BaseException.__dict__["__traceback__"].__get__
_cause_of = BaseException.__dict__["__cause__"].__get__
_context_of = BaseException.__dict__["__context__"].__get__
_suppressed_in = BaseException.__dict__["__suppress_context__"].__get__
_repr, _str, _type, _len, _isinstance = repr, str, type, len, isinstance
# Messages of every kind are text a host can log: no lone surrogates.
_encode, _decode = str.encode, bytes.decode

# What CPython 3.11 and 3.12 raise, in place of MemoryError, if a frame of a function of Python's finds no memory.
_NO_FRAME = "error return without exception set"

_WASM = sys.platform == "wasi"
_C_EXTENSIONS = frozenset(
    "numpy pandas pyarrow scipy sklearn torch tensorflow jax polars duckdb lxml PIL cv2 matplotlib numba cryptography "
    "orjson pydantic pydantic_core psycopg psycopg2 grpc shapely lightgbm xgboost catboost tokenizers transformers "
    "rapidfuzz Levenshtein regex ujson msgpack zstandard lz4 snappy cython h5py geopandas fiona rasterio spacy".split()
)


class Failure(Exception):  # noqa: N818
    """A request failed in a way that is already an error of the contract."""

    def __init__(self, error: Dict[str, Any]) -> None:
        super().__init__(error.get("message"))
        self.error = error


class Mismatch(Exception):  # noqa: N818
    """A value does not fit its type. `path` leads from the outer value to the one at fault, innermost first."""

    def __init__(self, expected: str, python: str, value: Any, reason: Optional[str] = None) -> None:
        super().__init__(expected)
        self.expected = expected
        self.python = python
        self.value = value
        self.reason = reason
        self.path: List[str] = []

    def text(self) -> str:
        """The mismatch as a message; runs the value's `__repr__`."""
        where = "".join(reversed(self.path))
        got = f"got {type_name(_type(self.value))} {show(self.value)}"
        if self.value is None:
            got = "got None"
        where = f"{where}: " if where else ""
        reason = f": {self.reason}" if self.reason else ""
        return f"{where}expected {self.expected} ({self.python}), {got}{reason}"


class Sources:
    """Which files are the user's, and their text: only their frames are shown."""

    def __init__(self) -> None:
        self.module = ""
        self._lines: Dict[str, Any] = {}
        self._directories: List[str] = []

    def add(self, filename: str, text: Any) -> None:
        """A file of the job; `text` is str or bytes, split when first needed."""
        self._lines[filename] = text

    def add_directory(self, directory: str) -> None:
        """A directory whose files are the job's too."""
        self._directories.append(directory.rstrip(sep) + sep)

    def shown_name(self, filename: str) -> Optional[str]:
        """The name to show for a file, or None if it is not the user's."""
        if filename in self._lines:
            return filename
        for directory in self._directories:
            if filename.startswith(directory):
                return filename[_len(directory) :]
        if filename.startswith("<") and filename.endswith(">") and not filename.startswith("<frozen"):
            return filename  # `<string>`: compiled by the user's own exec or eval
        return None

    def line(self, filename: str, number: int) -> str:
        """One line of a file, or the empty string."""
        text = self._lines.get(filename)
        if text is None:
            from linecache import getline

            return getline(filename, number).strip() if self.shown_name(filename) else ""
        if not _isinstance(text, list):
            if _isinstance(text, bytes):
                text = text.decode("utf-8", "replace")
            text = self._lines[filename] = text.split("\n")
        return text[number - 1].strip() if 0 < number <= _len(text) else ""


def clean(text: str, cap: int) -> str:
    """Capped, and encodable as UTF-8."""
    if _len(text) > cap:
        text = text[: cap - 1] + "…"
    return _decode(_encode(text, "utf-8", "backslashreplace"), "utf-8")


def type_name(cls: type, home: str = "") -> str:
    """A class's name: qualified by its module, unless that is `builtins` or the job's own."""
    try:
        name, module = _qualname_of(cls), _module_of(cls)
    except Exception:
        return "object"
    if _isinstance(module, _str) and module not in ("builtins", home):
        if module.startswith("cloister_job_"):  # the first part is a name of ours
            module = module.partition(".")[2]
        elif module == "cloister.row":
            module = "cloister"  # as authors import it
        if module:
            name = f"{module}.{name}"
    return clean(name, 200)


def show(value: Any, cap: int = VALUE_CAP) -> str:
    """A value's repr, capped; of long containers only the beginning is asked for its repr."""
    cls = _type(value)
    try:
        if cls in (_str, bytes, list, tuple) and _len(value) > cap:
            return clean(_repr(value[:cap]), cap)
        if cls in (dict, set, frozenset) and _len(value) > cap:
            return f"of {_len(value)} items"
        if cls is int and value.bit_length() > 4_000:
            return f"of {value.bit_length()} bits"
        return clean(_repr(value), cap)
    except MemoryError:
        raise
    except BaseException:
        return f"<unprintable {type_name(cls)}>"


def problem(kind: str, message: str, **more: Any) -> Dict[str, Any]:
    """An error of the contract with every key present."""
    error: Dict[str, Any] = {
        "kind": kind,
        "message": clean(message, MESSAGE_CAP),
        "exception": None,
        "traceback": None,
        "row": None,
        "function": None,
        "expected": None,
        "actual": None,
        "argument": None,
        "limit": None,
    }
    error.update(more)
    return error


def encode(error: Dict[str, Any]) -> str:
    """The error as JSON."""
    return _to_json(error)


def from_exception(error: BaseException, sources: Sources, **more: Any) -> Dict[str, Any]:
    """An exception that the user's code raised."""
    cls = _type(error)
    if issubclass(cls, MemoryError) or (cls is SystemError and _says(error, _NO_FRAME)):
        return problem("limit", "out of memory", exception=type_name(cls, sources.module), limit="memory", **more)
    kind, message = "user", _message(error)
    if cls is ModuleNotFoundError:
        advice = _advice(error)
        if advice:
            kind, message = "missing", f"{message}: {advice}"
    return problem(
        kind,
        message,
        exception=type_name(cls, sources.module),
        traceback=traceback_text(error, sources),
        **more,
    )


def _says(error: BaseException, text: str) -> bool:
    """Whether `error`, whose class is Python's own, has this text as its one argument; runs no code of the user's."""
    return _len(error.args) == 1 and _type(error.args[0]) is _str and error.args[0] == text


def _message(error: BaseException) -> str:
    try:
        if issubclass(_type(error), SyntaxError):
            return _syntax_message(error)
        return clean(_str(error), MESSAGE_CAP)
    except MemoryError:
        raise
    except BaseException:
        return f"<unprintable {type_name(_type(error))}>"


def _syntax_message(error: Any) -> str:
    message = clean(_str(error), MESSAGE_CAP)
    if _isinstance(error.text, _str):
        line = error.text.rstrip("\n")
        message += "\n    " + line.lstrip()[:200]
        if _isinstance(error.offset, int):
            column = error.offset - 1 - (_len(line) - _len(line.lstrip()))
            if 0 <= column < 200:
                message += "\n    " + " " * column + "^"
    return message


def _advice(error: BaseException) -> Optional[str]:
    """What to do about a module that is not there, if that is what it is."""
    name: Any = getattr(error, "name", None)
    if not _isinstance(name, _str) or name in sys.modules:
        return None
    top = name.partition(".")[0]
    if _WASM and top in _C_EXTENSIONS:
        return f"{top} needs C extensions, which wasm mode does not have: use --mode process or --mode thread"
    if top in _stdlib.NAMES:
        if _WASM:
            return "this part of the standard library does not exist in wasm mode: use --mode process or --mode thread"
        return "this part of the standard library is missing from the interpreter"
    return "add it with --requirements or --files"


def traceback_text(error: BaseException, sources: Sources) -> Optional[str]:
    """The traceback as Python prints it, but with the user's frames only. None if there are none."""
    try:
        text = "".join(_chain(error, sources, _CHAIN_SHOWN)) or None
    except MemoryError:
        raise
    except BaseException:
        return None
    if text is None:
        return None
    if _len(text) > TRACEBACK_CAP:
        half = TRACEBACK_CAP // 2 - 20
        text = text[:half] + "\n  [... cut ...]\n" + text[-half:]
    return clean(text, TRACEBACK_CAP)


def _chain(error: BaseException, sources: Sources, depth: int) -> List[str]:
    cause, context = _cause_of(error), _context_of(error)
    lines: List[str] = []
    if depth > 0 and cause is not None:
        lines += _chain(cause, sources, depth - 1)
        if lines:
            lines.append("\nThe above exception was the direct cause of the following exception:\n\n")
    elif depth > 0 and context is not None and not _suppressed_in(error):
        lines += _chain(context, sources, depth - 1)
        if lines:
            lines.append("\nDuring handling of the above exception, another exception occurred:\n\n")
    frames = _frames(error, sources)
    if not frames and not lines:
        return []
    if frames:
        lines.append("Traceback (most recent call last):\n")
        lines += frames
    message = _message(error)
    name = type_name(_type(error), sources.module)
    lines.append(f"{name}: {message}\n" if message else f"{name}\n")
    for note in _notes(error):
        lines.append(f"{note}\n")
    return lines


def _notes(error: BaseException) -> List[str]:
    try:
        notes = object.__getattribute__(error, "__dict__").get("__notes__") or ()
        return [clean(note, 500) for note in list(notes)[:10] if _type(note) is _str]
    except Exception:
        return []


def _frames(error: BaseException, sources: Sources) -> List[str]:
    """Formatted frames; repeated ones are counted, and of many only the ends are kept."""
    entries: List[Tuple[CodeType, int, int]] = []
    step = _traceback_of(error)
    while step is not None:
        code = step.tb_frame.f_code
        if sources.shown_name(code.co_filename) is not None:
            line = step.tb_lineno or 0
            if entries and entries[-1][:2] == (code, line):
                entries[-1] = (code, line, entries[-1][2] + 1)
            else:
                entries.append((code, line, 1))
        step = step.tb_next
    if _len(entries) > _FRAMES_SHOWN:
        cut = _len(entries) - _FRAMES_SHOWN
        half = _FRAMES_SHOWN // 2
        return _format(entries[:half], sources) + [f"  [{cut} frames left out]\n"] + _format(entries[-half:], sources)
    return _format(entries, sources)


def _format(entries: Sequence[Tuple[CodeType, int, int]], sources: Sources) -> List[str]:
    lines = []
    for code, number, times in entries:
        name = getattr(code, "co_qualname", code.co_name)
        shown = sources.shown_name(code.co_filename)
        lines.append(f'  File "{shown}", line {number}, in {name}\n')
        source = sources.line(code.co_filename, number)
        if source:
            lines.append(f"    {source[:300]}\n")
        if times > 1:
            lines.append(f"  [Previous line repeated {times - 1} more times]\n")
    return lines
