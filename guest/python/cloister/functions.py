"""What authors use to declare functions: the decorators, the base classes, and `FunctionContext`.

Declaring records; nothing is resolved or checked against data here (see `_load`).
"""

from __future__ import annotations

import functools
import inspect
from typing import Any, Callable, Dict, Iterable, Mapping, Optional, Sequence, Tuple, Union

from . import _sqltypes  # noqa: F401 - in a sandbox, what is not imported now never can be
from .types import DataType, DataTypes

__all__ = [
    "AggregateFunction",
    "Declared",
    "FunctionContext",
    "ScalarFunction",
    "TableAggregateFunction",
    "TableFunction",
    "UserDefinedFunction",
    "udaf",
    "udf",
    "udtaf",
    "udtf",
]

Spec = Union[DataType, str]


class FunctionContext:
    """What `open()` is given: facts about the job that runs the function."""

    __slots__ = ("_parameters",)

    def __init__(self, parameters: Optional[Mapping[str, str]] = None) -> None:
        self._parameters: Dict[str, str] = dict(parameters or {})

    def get_job_parameter(self, key: str, default_value: Optional[str] = None) -> Optional[str]:
        """The job's parameter of this name, or the default."""
        return self._parameters.get(key, default_value)


class UserDefinedFunction:
    """Base of all function classes. `open` runs once before the first call, `close` once at the end."""

    def open(self, function_context: FunctionContext) -> None:
        """Prepares the function; the place for what is expensive."""

    def close(self) -> None:
        """Gives back what `open` took."""

    def is_deterministic(self) -> bool:
        """Whether equal arguments always give equal results."""
        return True


class ScalarFunction(UserDefinedFunction):
    """One value from the arguments of one row: `eval(*args)`."""

    def eval(self, *args: Any) -> Any:
        """The result for one row."""
        raise NotImplementedError("a ScalarFunction defines eval(self, ...)")


class TableFunction(UserDefinedFunction):
    """Any number of rows from the arguments of one row: `eval(*args)` yields or returns them."""

    def eval(self, *args: Any) -> Any:
        """The rows for one row."""
        raise NotImplementedError("a TableFunction defines eval(self, ...)")


class _Aggregate(UserDefinedFunction):
    def create_accumulator(self) -> Any:
        """A fresh accumulator."""
        raise NotImplementedError("an aggregate function defines create_accumulator(self)")

    def accumulate(self, accumulator: Any, *args: Any) -> None:
        """Adds one row."""
        raise NotImplementedError("an aggregate function defines accumulate(self, accumulator, ...)")

    def retract(self, accumulator: Any, *args: Any) -> None:
        """Takes one row away again."""
        raise NotImplementedError("this aggregate function does not define retract")

    def merge(self, accumulator: Any, accumulators: Iterable[Any]) -> None:
        """Adds other accumulators to this one."""
        raise NotImplementedError("this aggregate function does not define merge")


class AggregateFunction(_Aggregate):
    """One value from many rows."""

    def get_value(self, accumulator: Any) -> Any:
        """The result so far."""
        raise NotImplementedError("an AggregateFunction defines get_value(self, accumulator)")


class TableAggregateFunction(_Aggregate):
    """Any number of rows from many rows."""

    def emit_value(self, accumulator: Any) -> Iterable[Any]:
        """The rows so far."""
        raise NotImplementedError("a TableAggregateFunction defines emit_value(self, accumulator)")


class Declared:
    """What the decorators return: the function with what was said about it. Calling it calls the function."""

    def __init__(
        self,
        func: Any,
        kind: str,
        input_types: Optional[Sequence[DataType]],
        result_type: Optional[DataType],
        deterministic: Optional[bool],
        name: Optional[str],
    ) -> None:
        functools.update_wrapper(self, func, updated=())
        self.func = func
        self.kind = kind
        self.input_types = None if input_types is None else tuple(input_types)
        self.result_type = result_type
        self.deterministic = deterministic
        self.name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the function itself."""
        call = self.func.eval if isinstance(self.func, (ScalarFunction, TableFunction)) else self.func
        return call(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<{self.kind} function {self.name or getattr(self, '__name__', type(self.func).__name__)}>"


Decorator = Callable[[Any], Declared]


def udf(
    f: Any = None,
    input_types: Union[Sequence[Spec], Spec, None] = None,
    result_type: Optional[Spec] = None,
    deterministic: Optional[bool] = None,
    name: Optional[str] = None,
    func_type: str = "general",
    udf_type: Optional[str] = None,
) -> Any:
    """Declares a scalar function: a function, lambda, partial, callable object or `ScalarFunction` instance.

    Types that are not given come from annotations. Used as `@udf`, `@udf(...)` or `udf(f, ...)`.
    `deterministic` is True unless said; `func_type="pandas"` takes and gives whole columns.
    """
    func_type = udf_type or func_type
    if func_type not in ("general", "pandas"):
        raise ValueError(f"func_type must be 'general' or 'pandas', got {func_type!r}")

    def declare(func: Any) -> Declared:
        kind = "vectorized" if func_type == "pandas" else "async_scalar" if _is_async(func) else "scalar"
        return _declare(func, kind, ScalarFunction, input_types, result_type, deterministic, name)

    return declare if f is None else declare(f)


def udtf(
    f: Any = None,
    input_types: Union[Sequence[Spec], Spec, None] = None,
    result_types: Union[Sequence[Spec], Spec, None] = None,
    deterministic: Optional[bool] = None,
    name: Optional[str] = None,
) -> Any:
    """Declares a table function: a function or generator, or a `TableFunction` instance."""
    if isinstance(result_types, (list, tuple)):
        result: Optional[Spec] = DataTypes.ROW(result_types)
    else:
        result = result_types  # type: ignore[assignment]

    def declare(func: Any) -> Declared:
        return _declare(func, "table", TableFunction, input_types, result, deterministic, name)

    return declare if f is None else declare(f)


def udaf(
    f: Any = None,
    input_types: Union[Sequence[Spec], Spec, None] = None,
    result_type: Optional[Spec] = None,
    accumulator_type: Optional[Spec] = None,
    deterministic: Optional[bool] = None,
    name: Optional[str] = None,
    func_type: str = "general",
) -> Any:
    """Declares an aggregate function: an `AggregateFunction` instance (or a function, if `func_type="pandas"`)."""
    if func_type not in ("general", "pandas"):
        raise ValueError(f"func_type must be 'general' or 'pandas', got {func_type!r}")

    def declare(func: Any) -> Declared:
        kind = "vectorized" if func_type == "pandas" else "aggregate"
        return _declare(func, kind, AggregateFunction, input_types, result_type, deterministic, name, accumulator_type)

    return declare if f is None else declare(f)


def udtaf(
    f: Any = None,
    input_types: Union[Sequence[Spec], Spec, None] = None,
    result_type: Optional[Spec] = None,
    accumulator_type: Optional[Spec] = None,
    deterministic: Optional[bool] = None,
    name: Optional[str] = None,
    func_type: str = "general",
) -> Any:
    """Declares a table aggregate function: a `TableAggregateFunction` instance."""
    if func_type != "general":
        raise ValueError(f"func_type of a table aggregate function must be 'general', got {func_type!r}")

    def declare(func: Any) -> Declared:
        return _declare(
            func,
            "table_aggregate",
            TableAggregateFunction,
            input_types,
            result_type,
            deterministic,
            name,
            accumulator_type,
        )

    return declare if f is None else declare(f)


def _declare(
    func: Any,
    kind: str,
    base: type,
    input_types: Union[Sequence[Spec], Spec, None],
    result_type: Optional[Spec],
    deterministic: Optional[bool],
    name: Optional[str],
    accumulator_type: Optional[Spec] = None,
) -> Declared:
    if isinstance(func, Declared):
        func = func.func
    if inspect.isclass(func):
        raise TypeError(f"{func.__name__} is a class; give an instance: {func.__name__}()")
    if isinstance(func, UserDefinedFunction):
        if not isinstance(func, base):
            raise TypeError(f"expected a {base.__name__}, got a {type(func).__name__}")
    elif not callable(func):
        raise TypeError(f"expected a function, a callable or a {base.__name__}, got {type(func).__name__}")
    elif kind in ("aggregate", "table_aggregate"):
        raise TypeError(f"an {kind.replace('_', ' ')} function is an instance of {base.__name__}")
    inputs: Optional[Tuple[DataType, ...]] = None
    if isinstance(input_types, (str, DataType)):
        inputs = (DataType.of(input_types),)
    elif input_types is not None:
        inputs = tuple(DataType.of(t) for t in input_types)
    if accumulator_type is not None:
        DataType.of(accumulator_type)
    result = None if result_type is None else DataType.of(result_type)
    return Declared(func, kind, inputs, result, deterministic, name)


def _is_async(func: Any) -> bool:
    while isinstance(func, functools.partial):
        func = func.func
    call = func.eval if isinstance(func, ScalarFunction) else func
    return inspect.iscoroutinefunction(call)
