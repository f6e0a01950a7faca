"""A job to test with: speaks to a harness as a host does, in bytes."""

from __future__ import annotations

import json
import marshal
import textwrap
from typing import Any, Dict, List, Optional, Sequence

from cloister._harness import Harness

EVAL, LOAD, BIND, FILES, CLOSE, EXPLAIN, NATIVE = range(7)


def t(name: str, **more: Any) -> Dict[str, Any]:
    """A type's JSON."""
    return {"type": name, **more}


INT64, FLOAT64, UTF8, BINARY, BOOL = t("int64"), t("float64"), t("utf8"), t("binary"), t("bool")


def lists(item: Dict[str, Any], nullable: bool = True) -> Dict[str, Any]:
    return t("list", item=item, nullable=nullable)


def maps(key: Dict[str, Any], value: Dict[str, Any], nullable: bool = True) -> Dict[str, Any]:
    return t("map", key=key, value=value, nullable=nullable, sorted=False)


def structs(_nullable: bool = True, **fields: Dict[str, Any]) -> Dict[str, Any]:
    return t("struct", fields=[{"name": n, "type": f, "nullable": _nullable} for n, f in fields.items()])


class Job:
    """One harness with a loaded source."""

    def __init__(self, source: str = "", options: Optional[Dict[str, Any]] = None, files: Any = None) -> None:
        self.harness = Harness()
        if files is not None:
            assert self.ask(FILES, files) == (0, None)
        self.loaded = self.ask(LOAD, textwrap.dedent(source), "job.py", json.dumps(options or {}))

    def ask(self, *request: Any) -> Any:
        reply = self.harness.handle(marshal.dumps(request, 2))
        assert type(reply) is bytes
        return marshal.loads(reply)

    def functions(self) -> Dict[str, Any]:
        assert self.loaded[0] == 0, self.loaded
        return {f["name"]: f for f in json.loads(self.loaded[1])["functions"]}

    def load_error(self) -> Dict[str, Any]:
        return error_of(self.loaded)

    def bind(
        self,
        function: str,
        arguments: Sequence[Dict[str, Any]],
        result: Dict[str, Any],
        constants: Optional[List[bool]] = None,
        on_error: str = "fail",
    ) -> Any:
        return self.ask(
            BIND,
            json.dumps(
                {
                    "function": function,
                    "arguments": list(arguments),
                    "constants": constants or [False] * len(arguments),
                    "result": result,
                    "on_error": on_error,
                }
            ),
        )

    def bound(self, *args: Any, **kwargs: Any) -> int:
        status, handle = self.bind(*args, **kwargs)
        assert status == 0, handle
        return handle

    def call(self, function: str, types: Sequence[Dict[str, Any]], result: Dict[str, Any], *columns: List[Any]) -> Any:
        """Binds and evaluates."""
        handle = self.bound(function, types, result)
        return self.ask(EVAL, handle, len(columns[0]), tuple(columns))

    def explained(self, function: str, result: Dict[str, Any], rows: int = 1) -> Any:
        """Evaluates a function of no arguments, then asks for its results value by value."""
        handle = self.bound(function, [], result)
        self.ask(EVAL, handle, rows, ())
        return self.ask(EXPLAIN, handle)


def error_of(reply: Any) -> Dict[str, Any]:
    """The error of a reply that must be one, with every key of the contract."""
    assert reply[0] == 1 and len(reply) == 2, reply
    error = json.loads(reply[1])
    assert list(error) == [
        "kind",
        "message",
        "exception",
        "traceback",
        "row",
        "function",
        "expected",
        "actual",
        "argument",
        "limit",
    ], error
    return error


def run(source: str, function: str = "f") -> Any:
    """The reply to one call of a function of no arguments, whose result is an int64."""
    job = Job(source)
    return job.ask(EVAL, job.bound(function, [], INT64), 1, ())
