# A job with the common shapes: simple columns and others, a call that fails, a class, JSON, regular expressions,
# decimals, dates. It runs while the image is made (see mod.rs); no job ever sees it.
import datetime
import decimal
import json
import re

from cloister import DataTypes, ScalarFunction, udf


def number(x: int) -> int:
    return x + 1


def real(x: float | None) -> float | None:
    return None if x is None else x * 0.5


def text(s: str) -> str:
    if s == "raise":
        raise ValueError(s)
    found = re.search(r"(\w+)@(\w+)", s)
    document = json.loads('{"a": [1, 2.5, null, "x"], "b": {"c": true}}')
    document["s"] = s.lower()
    json.dumps(document)
    return found.group(1) if found else f"{len(s)} {s!r}"


def moment(d: datetime.date) -> str:
    return (datetime.datetime(d.year, d.month, d.day) + datetime.timedelta(days=1)).isoformat()


def money(d: decimal.Decimal) -> decimal.Decimal:
    return d * 3


def wrong(x: int) -> int:
    return str(x)  # type: ignore[return-value]


@udf(result_type=DataTypes.ARRAY(DataTypes.BIGINT()))
def several(x, y):
    return [x, y, None]


class Adder(ScalarFunction):
    def open(self, function_context):
        self.by = 1

    def eval(self, x: int) -> int:
        return x + self.by


adder = udf(Adder(), result_type=DataTypes.BIGINT())
