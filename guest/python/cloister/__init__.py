"""User-defined functions in Python, for every execution mode of Cloister.

    from cloister import udf, DataTypes

    @udf(result_type=DataTypes.BIGINT())
    def add_one(x: int):
        return x + 1

Names follow PyFlink's wherever the thing is the same.
"""

from .functions import (
    AggregateFunction,
    FunctionContext,
    ScalarFunction,
    TableAggregateFunction,
    TableFunction,
    udaf,
    udf,
    udtaf,
    udtf,
)
from .row import Interval, Row
from .types import DataType, DataTypes

__all__ = [
    "AggregateFunction",
    "DataType",
    "DataTypes",
    "FunctionContext",
    "Interval",
    "Row",
    "ScalarFunction",
    "TableAggregateFunction",
    "TableFunction",
    "udaf",
    "udf",
    "udtaf",
    "udtf",
]
__version__ = "0.1.0"
