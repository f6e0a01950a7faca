"""The one way in: a request as bytes, a reply as bytes, in every execution mode.

A `Harness` belongs to one executor of one job and keeps all state in itself, because in thread mode jobs share
the interpreter. What the way of an EVAL needs is taken when the module is imported, so that a job that patches
builtins or the standard library later harms itself less and others not at all.
"""

from __future__ import annotations

import json
import sys
from datetime import date, datetime, time, timezone
from functools import partial
from importlib import invalidate_caches
from marshal import dumps as _dumps
from marshal import loads as _loads
from types import FunctionType
from typing import Any, Callable, Dict, List, Optional, Protocol, Tuple

from . import _output
from ._call import Bound
from ._files import Importer
from ._load import Function, execute, functions_of, private_name
from ._loops import Kept
from .convert import Codec, codec
from .errors import Failure, Sources, encode, from_exception, problem
from .functions import FunctionContext

__all__ = ["Harness", "Renewal"]

_from_json, _to_json = json.loads, json.dumps
_isinstance, _len, _type = isinstance, len, type

_MOMENTS = (date, time, datetime, timezone.utc)
_VERSION = 2  # of marshal: no references, no interning
# For when even describing an error fails.
_NO_MEMORY = _dumps((1, encode(problem("limit", "out of memory", limit="memory"))), _VERSION)
_NO_WORDS = _dumps((1, encode(problem("internal", "the error could not be described"))), _VERSION)
_KINDS = {
    "table": "a table function",
    "aggregate": "an aggregate function",
    "table_aggregate": "a table aggregate function",
    "vectorized": "a vectorized (pandas) function",
    "async_scalar": "an async scalar function",
}


class Renewal(Protocol):
    """What must not be equal in two copies of one sandbox: where its randomness comes from."""

    def is_due(self) -> bool:
        """Whether a copy made now would have anything to renew."""

    def renew(self, fork: bool) -> None:
        """Renew it. `fork`: also what the code has seeded on purpose."""


class Harness:
    """Answers the requests of one executor. `handle` never raises, whatever user code does."""

    def __init__(self, owns_output: bool = sys.platform == "wasi", renewal: Optional[Renewal] = None) -> None:
        """`owns_output`: the process is this job's alone. Its standard output is set up at the first LOAD and flushed,
        and its files are modules for everyone; otherwise neither. `renewal`: where this harness can be copied.
        """
        self._renewal = renewal
        self._alone = owns_output
        self._owns_output = owns_output
        self._written: List[Any] = []
        self._runs: List[Callable[[Any, int], Tuple[Any, ...]]] = []
        self._bound: List[Bound] = []
        self._functions: Dict[str, Function] = {}
        self._sources = Sources()
        self._files: Optional[Importer] = None
        self._paths: List[str] = []
        self._modules: List[str] = []
        self._context = FunctionContext()
        self._kept = Kept()
        self._native_parts: List[Any] = []

    def handle(self, request: bytes) -> bytes:
        """One request, one reply."""
        message = None
        try:
            message = _loads(request)
            if message[0] == 0:
                _, handle, rows, columns = message
                reply = self._runs[handle](columns, rows)
            else:
                reply = _OPERATIONS[message[0]](self, *message[1:])
            if self._written:
                _output.flush(self._written)
            return _dumps(reply, _VERSION)
        except BaseException as error:
            return self._recover(message, error)

    def _recover(self, message: Any, error: BaseException) -> bytes:
        """The reply when the straight way ended in an exception."""
        try:
            if self._written:
                _output.flush(self._written)
            if _isinstance(error, ValueError) and _isinstance(message, tuple) and message[0] == 0:
                # Some result is not what marshal can write; other failures of an EVAL are replies already.
                if self._kept.handle == message[1] and self._kept.reply is not None:
                    return _dumps(self._explain(message[1]), _VERSION)
            return _dumps((1, encode(self._describe(message, error))), _VERSION)
        except MemoryError:
            return _NO_MEMORY
        except BaseException:
            return _NO_MEMORY if _isinstance(error, MemoryError) else _NO_WORDS

    def _describe(self, message: Any, error: BaseException) -> Dict[str, Any]:
        if isinstance(error, Failure):
            return error.error
        if _isinstance(error, MemoryError):
            return from_exception(error, self._sources)
        parts = message if _type(message) is tuple and message and _type(message[0]) is int else (-1,)
        if _SHAPES.get(parts[0]) != [_type(part) for part in parts[1:]]:
            return problem("call", "the request is not one this harness knows")
        if message[0] == 0 and not 0 <= message[1] < _len(self._runs):
            return problem("call", f"EVAL of the handle {message[1]}, which was not bound")
        described = from_exception(error, self._sources)
        if not described["traceback"] and message[0] != 1:
            # No code of the user's took part.
            described["kind"] = "internal"
        return described

    def set_up_output(self) -> None:
        """Set up the standard output, if it is this job's own and was not set up yet: at the first LOAD, or before."""
        if self._owns_output:
            _output.install(self._written)
            self._owns_output = False

    def _load(self, source: str, filename: str, options: str) -> Tuple[Any, ...]:
        given = _object(options)
        self.set_up_output()
        self._context = FunctionContext(given.get("parameters"))
        new = [path for path in given.get("paths") or () if path not in self._paths]
        if new:
            sys.path[_len(self._paths) : _len(self._paths)] = new
            self._paths += new
            for path in new:
                self._sources.add_directory(path)
            invalidate_caches()
        self._sources.add(filename, source)
        module = execute(source, filename, self._files.builtins if self._files is not None else None)
        self._modules.append(module.__name__)
        self._sources.module = module.__name__
        functions = functions_of(module)
        self._functions.update(functions)
        version = ".".join(str(part) for part in sys.version_info[:3])
        return 0, _to_json({"functions": [f.to_json() for f in functions.values()], "python": version})

    def _bind(self, text: str) -> Tuple[Any, ...]:
        given = _object(text)
        name, types = given["function"], given["arguments"]
        function = self._functions.get(name)
        if function is None:
            known = ", ".join(sorted(self._functions)[:20]) or "none"
            raise Failure(problem("call", f"there is no function '{name}' (there is: {known})", function=name))
        if function.kind != "scalar":
            what = _KINDS.get(function.kind, function.kind)
            raise Failure(
                problem("call", f"'{name}' is {what}; only scalar functions can be called here", function=name)
            )
        trouble = function.arity_problem(_len(types))
        if trouble is not None:
            raise Failure(problem("call", f"function '{name}' cannot be called so: {trouble}", function=name))
        constants = given.get("constants") or [False] * _len(types)
        on_error = given.get("on_error") or "fail"
        if _len(constants) != _len(types) or on_error not in ("fail", "null"):
            raise Failure(problem("call", "the request to bind contradicts itself", function=name))
        names = [p.name for p in function.parameters]
        arguments = [self._codec(t, name, names[i] if i < _len(names) else str(i + 1)) for i, t in enumerate(types)]
        result = self._codec(given["result"], name, None)
        self._open(function)
        handle = _len(self._runs)
        null = on_error == "null"
        bound = Bound(function, arguments, constants, result, null, self._sources, self._kept, handle)
        self._bound.append(bound)
        self._runs.append(bound.run)
        return 0, handle

    def _codec(self, json_type: Dict[str, Any], function: str, argument: Optional[str]) -> Codec:
        try:
            return codec(json_type)
        except (TypeError, RecursionError) as error:
            reason = str(error) if _isinstance(error, TypeError) else "the type is nested too deeply"
            where = "the result" if argument is None else f"argument '{argument}'"
            message = f"function '{function}', {where}: {reason}"
            raise Failure(problem("type", message, function=function, argument=argument)) from None

    def _open(self, function: Function) -> None:
        if function.owner is None or function.opened:
            return
        try:
            function.owner.open(self._context)
        except BaseException as error:
            raise Failure(from_exception(error, self._sources, function=function.name)) from None
        for other in self._functions.values():
            other.opened = other.opened or other.owner is function.owner

    def _serve_files(self, files: Dict[str, bytes]) -> Tuple[Any, ...]:
        if self._files is None:
            self._files = Importer("" if self._alone else private_name("files"))
            sys.meta_path.insert(0, self._files)
        self._files.add(files)
        for path, content in files.items():
            if path.endswith(".py"):
                self._sources.add(path, content)
        return 0, None

    def _copying(self) -> Tuple[Any, ...]:
        return 0, int(self._renewal is not None and self._renewal.is_due())

    def _renew(self, fork: int) -> Tuple[Any, ...]:
        if self._renewal is not None:
            self._renewal.renew(fork != 0)
        return 0, None

    def _close(self) -> Tuple[Any, ...]:
        first: Optional[Dict[str, Any]] = None
        for function in self._functions.values():
            if function.owner is None or not function.opened:
                continue
            for other in self._functions.values():
                if other.owner is function.owner:
                    other.opened = False
            try:
                function.owner.close()
            except BaseException as error:
                first = first or from_exception(error, self._sources, function=function.name)
        self._forget()
        return (1, encode(first)) if first is not None else (0, None)

    def _forget(self) -> None:
        """Leaves the interpreter as it was before: in thread mode it goes on without this job."""
        self._runs.clear()
        self._bound.clear()
        self._functions.clear()
        self._kept.reply = None
        for name in self._modules:
            sys.modules.pop(name, None)
        self._modules.clear()
        for path in self._paths:
            if path in sys.path:
                sys.path.remove(path)
        self._paths.clear()
        if self._files is not None:
            if self._files in sys.meta_path:
                sys.meta_path.remove(self._files)
            self._files.forget()
            self._files = None

    # Thread mode converts simple columns itself. For the rest of such an EVAL it needs these, and `_forget`.

    def callable(self, handle: int) -> Callable[..., Any]:
        """What a bound function calls for each row."""
        return self._bound[handle].call

    def coerce(self, handle: int, value: Any, row: int) -> Tuple[Any, ...]:
        """One result against its type: `(0, wire value)`, or `(1, error)`."""
        bound = self._bound[handle]
        try:
            return 0, bound.result.strict(value)
        except BaseException as error:
            return bound.unfit(error, row)

    def describe(self, handle: int, row: int, error: BaseException) -> str:
        """The error for what the bound function raised at a row."""
        return self._bound[handle].failed(error, row)[1]

    # The native loop of a sandbox does the same from outside of Python: it calls by address.

    def _native(self, handle: int) -> Tuple[Any, ...]:
        """Addresses: what a bound function calls, `coerce`, `describe`, the list of streams with something to flush and
        what flushes them; 1 if the function is written in Python, else 0; the types of dates and times, and UTC.
        """
        call = self._bound[handle].call
        parts = (call, self.coerce, self.describe, self._written, partial(_output.flush, self._written))
        self._native_parts.append(parts)  # alive as long as somebody has their addresses
        plain = int(_type(call) is FunctionType)
        return 0, tuple([id(part) for part in parts]) + (plain,) + tuple([id(moment) for moment in _MOMENTS])

    def _explain(self, handle: int) -> Tuple[Any, ...]:
        reply = self._kept.reply
        if handle != self._kept.handle or reply is None:
            raise Failure(problem("call", "there are no results to explain"))
        return self._bound[handle].strictly(reply)


def _object(text: str) -> Dict[str, Any]:
    """A JSON object, or the empty text."""
    try:
        given: Any = _from_json(text) if text else {}
    except (ValueError, RecursionError):
        given = None
    if not _isinstance(given, dict):
        raise Failure(problem("call", "the request holds no JSON object, or one that is nested too deeply"))
    return dict(given)


# What follows the number of the operation.
_SHAPES: Dict[int, List[type]] = {
    0: [int, int, tuple],
    1: [str, str, str],
    2: [str],
    3: [dict],
    4: [],
    5: [int],
    6: [int],
    7: [],
    8: [int],
}
# By the number of the operation; 0 is EVAL, which `handle` does itself.
_OPERATIONS: Dict[Any, Callable[..., Tuple[Any, ...]]] = {
    1: Harness._load,
    2: Harness._bind,
    3: Harness._serve_files,
    4: lambda self: self._close(),
    5: Harness._explain,
    6: Harness._native,
    7: lambda self: self._copying(),
    8: Harness._renew,
}
