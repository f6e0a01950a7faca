"""A job's source as a module, and the functions it defines.

The module has a name of its own in `sys.modules`, different for every load, so that dataclasses, pickle and
`typing` find it there and two jobs in one interpreter never meet.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import sys
from importlib.machinery import ModuleSpec
from types import CodeType, FunctionType, ModuleType
from typing import Any, Dict, List, Optional, Tuple

from ._annotations import UNKNOWN, raw_annotations, resolve
from .functions import (
    AggregateFunction,
    Declared,
    ScalarFunction,
    TableAggregateFunction,
    TableFunction,
    UserDefinedFunction,
)
from .types import DataType

__all__ = ["Function", "execute", "functions_of", "private_name"]

# Numbers module names only; says nothing about a job and is never read for anything else.
_numbers = itertools.count(1)
_VARARGS, _GENERATOR, _COROUTINE = inspect.CO_VARARGS, inspect.CO_GENERATOR, inspect.CO_COROUTINE
_ASYNC_GENERATOR = inspect.CO_ASYNC_GENERATOR
_KINDS = (
    (ScalarFunction, "scalar"),
    (TableFunction, "table"),
    (AggregateFunction, "aggregate"),
    (TableAggregateFunction, "table_aggregate"),
)
_METHODS = {"scalar": "eval", "async_scalar": "eval", "table": "eval", "vectorized": "eval"}


class _Loader:
    """Gives the source of a loaded module to `linecache`, and with it to `traceback` and `inspect`."""

    def __init__(self, source: str) -> None:
        self._source = source

    def get_source(self, name: str) -> str:
        return self._source


def private_name(stem: str) -> str:
    """A name for `sys.modules` that no other job has."""
    return f"cloister_job_{next(_numbers)}_{stem}"


def execute(source: str, filename: str, builtins: Optional[Dict[str, Any]] = None) -> ModuleType:
    """Runs a source as a new module, with other builtins if these are given.

    What it raises is the user's, and then the module is gone again.
    """
    code = compile(source, filename, "exec", dont_inherit=True)
    stem = filename.replace("\\", "/").rpartition("/")[2].partition(".")[0]
    name = private_name(stem)
    module = ModuleType(name)
    loader = _Loader(source)
    module.__file__ = filename
    module.__loader__ = loader  # type: ignore[assignment]
    module.__spec__ = ModuleSpec(name, loader, origin=filename)  # type: ignore[arg-type]
    if builtins is not None:
        module.__dict__["__builtins__"] = builtins
    sys.modules[name] = module
    try:
        exec(code, module.__dict__)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


class Parameter:
    """One positional parameter."""

    __slots__ = ("has_default", "name", "nullable", "type")

    def __init__(self, name: str, declared: Tuple[Optional[DataType], bool], has_default: bool) -> None:
        self.name = name
        self.type, self.nullable = declared
        self.has_default = has_default

    def to_json(self) -> Dict[str, Any]:
        """As the load reply has it."""
        return {
            "name": self.name,
            "type": None if self.type is None else self.type.to_json(),
            "nullable": self.nullable,
            "has_default": self.has_default,
        }


class Function:
    """A function of the job: what is called, and what is known about it."""

    def __init__(self, name: str, kind: str, call: Any, declared: Optional[Declared]) -> None:
        self.name = name
        self.kind = kind
        self.owner = call if isinstance(call, UserDefinedFunction) else None
        self.call = call if self.owner is None else getattr(call, _METHODS.get(kind, "accumulate"))
        self.opened = False
        self.keyword_only: List[str] = []
        self.varargs = False
        self.result: Optional[DataType] = None
        self.parameters = self._signature()
        if self.owner is not None and kind.endswith("aggregate"):
            del self.parameters[:1]  # the accumulator
        self.deterministic = True if self.owner is None else bool(self.owner.is_deterministic())
        if declared is not None:
            self._declare(declared)

    def _declare(self, declared: Declared) -> None:
        if declared.deterministic is not None:
            self.deterministic = declared.deterministic
        if declared.result_type is not None:
            self.result = declared.result_type
        inputs = declared.input_types
        if inputs is None:
            return
        required = sum(not p.has_default for p in self.parameters)
        if len(inputs) < required or (len(inputs) > len(self.parameters) and not self.varargs):
            raise TypeError(f"{self.name} takes {len(self.parameters)} arguments, but has {len(inputs)} input_types")
        del self.parameters[len(inputs) :]
        for index, given in enumerate(inputs):
            if index < len(self.parameters):
                self.parameters[index].type = given
                self.parameters[index].nullable = given.is_nullable
            else:
                self.parameters.append(Parameter(f"args{index}", (given, given.is_nullable), False))
        self.varargs = False

    def _signature(self) -> List[Parameter]:
        target, skip = self.call, 0
        if inspect.ismethod(target):
            target, skip = target.__func__, 1
        if type(target) is not FunctionType or hasattr(target, "__wrapped__"):
            return self._slow_signature()
        # Reading the code object is twenty times faster than `inspect.signature`.
        code: CodeType = target.__code__
        names = code.co_varnames[: code.co_argcount]
        first_default = len(names) - len(target.__defaults__ or ())
        keyword = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
        self.keyword_only = [n for n in keyword if n not in (target.__kwdefaults__ or {})]
        self.varargs = bool(code.co_flags & _VARARGS)
        annotations = raw_annotations(target)
        where = target.__globals__
        if "return" in annotations:
            self.result = resolve(annotations["return"], where)[0]
        return [
            Parameter(n, resolve(annotations[n], where) if n in annotations else UNKNOWN, i >= first_default)
            for i, n in enumerate(names)
            if i >= skip
        ]

    def _slow_signature(self) -> List[Parameter]:
        """For partials, callable objects, wrapped and built-in functions."""
        call = self.call
        if not inspect.isroutine(call) and not isinstance(call, functools.partial):
            call = getattr(call, "__wrapped__", None) or type(call).__call__.__get__(call)
        try:
            signature = inspect.signature(call)
        except (TypeError, ValueError):  # some built-in functions have none
            self.varargs = True
            return []
        target = inspect.unwrap(call.func if isinstance(call, functools.partial) else call)
        where = getattr(target, "__globals__", None) or getattr(getattr(target, "__func__", None), "__globals__", {})
        if signature.return_annotation is not signature.empty:
            self.result = resolve(signature.return_annotation, where)[0]
        found = []
        for p in signature.parameters.values():
            if p.kind is p.VAR_POSITIONAL:
                self.varargs = True
            elif p.kind is p.KEYWORD_ONLY:
                if p.default is p.empty:
                    self.keyword_only.append(p.name)
            elif p.kind is not p.VAR_KEYWORD:
                declared = UNKNOWN if p.annotation is p.empty else resolve(p.annotation, where)
                found.append(Parameter(p.name, declared, p.default is not p.empty))
        return found

    def to_json(self) -> Dict[str, Any]:
        """As the load reply has it."""
        return {
            "name": self.name,
            "kind": self.kind,
            "parameters": [p.to_json() for p in self.parameters],
            "varargs": self.varargs,
            "result": None if self.result is None else self.result.to_json(),
            "deterministic": self.deterministic,
            "doc": self._doc(),
        }

    def _doc(self) -> Optional[str]:
        doc = getattr(self.call, "__doc__", None)
        if self.owner is not None:
            own = type(self.owner)
            doc = own.__doc__ or (doc if self.call.__func__ is not ScalarFunction.eval else None)
        elif isinstance(self.call, functools.partial):
            doc = getattr(self.call.func, "__doc__", None)
        if not isinstance(doc, str) or not doc.strip():
            return None
        return doc.strip().splitlines()[0].strip()[:200]

    def arity_problem(self, count: int) -> Optional[str]:
        """Why the function cannot be called with `count` arguments, or None."""
        if self.keyword_only:
            return f"its parameter {self.keyword_only[0]!r} can only be given by name"
        required = sum(not p.has_default for p in self.parameters)
        most = len(self.parameters)
        if count >= required and (count <= most or self.varargs):
            return None
        takes = f"at least {required}" if self.varargs else str(most) if required == most else f"{required} to {most}"
        return f"it takes {takes} argument{'' if takes in ('1', 'at least 1') else 's'}, got {count}"


def functions_of(module: ModuleType) -> Dict[str, Function]:
    """What a module offers, in the order of its names.

    Everything declared with a decorator; and the plain functions and instances of function classes that are the
    module's own and whose names do not begin with an underscore.
    """
    found: Dict[str, Function] = {}
    for name, value in list(vars(module).items()):
        if isinstance(value, Declared):
            shown = value.name or name
            found[shown] = Function(shown, value.kind, value.func, value)
        elif not name.startswith("_"):
            kind = _kind_of(value, module.__name__)
            if kind is not None:
                found[name] = Function(name, kind, value, None)
    return found


def _kind_of(value: Any, module: str) -> Optional[str]:
    if isinstance(value, UserDefinedFunction):
        for base, kind in _KINDS:
            if isinstance(value, base):
                return _flavour(getattr(value, _METHODS[kind]), kind) if kind == "scalar" else kind
        return None
    if type(value) is FunctionType:
        # A decorator that does not use `wraps` gives a function of its own module.
        return _flavour(value, "scalar") if value.__module__ == module else None
    try:
        wrapped = object.__getattribute__(value, "__dict__").get("__wrapped__")  # functools.lru_cache and its like
    except Exception:
        return None
    if type(wrapped) is FunctionType and wrapped.__module__ == module and callable(value):
        return _flavour(wrapped, "scalar")
    return None


def _flavour(function: Any, kind: str) -> str:
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    flags = code.co_flags if isinstance(code, CodeType) else 0
    if flags & _COROUTINE:
        return "async_scalar"
    return "table" if flags & (_GENERATOR | _ASYNC_GENERATOR) else kind
