"""Which functions a file offers, and what is known about them."""

from __future__ import annotations

import json
import sys
import unittest

from .support import CLOSE, EVAL, INT64, UTF8, Job, error_of, t

DEC = {"type": "decimal128", "precision": 38, "scale": 18}
LIST = {"type": "list", "item": {"type": "int64"}, "nullable": True}
ANNOTATIONS = [
    ("bool", {"type": "bool"}, False),
    ("int", {"type": "int64"}, False),
    ("float", {"type": "float64"}, False),
    ("str", {"type": "utf8"}, False),
    ("bytes", {"type": "binary"}, False),
    ("decimal.Decimal", DEC, False),
    ("datetime.date", {"type": "date32"}, False),
    ("datetime.time", {"type": "time64", "unit": "us"}, False),
    ("datetime.datetime", {"type": "timestamp", "unit": "us", "timezone": None}, False),
    ("datetime.timedelta", {"type": "duration", "unit": "us"}, False),
    ("None", {"type": "null"}, True),
    ("Any", None, True),
    ("Optional[int]", {"type": "int64"}, True),
    ("Union[int, str]", None, True),
    ("'int'", {"type": "int64"}, False),
    ("List[int]", LIST, False),
    ("Sequence[int]", LIST, False),
    ("list", None, True),
    ("List[Any]", None, False),
    ("Optional[List[Optional[int]]]", LIST, True),
    (
        "Dict[str, float]",
        {"type": "map", "key": {"type": "utf8"}, "value": {"type": "float64"}, "nullable": True, "sorted": False},
        False,
    ),
    ("NewType('Id', int)", {"type": "int64"}, False),
    ("DataTypes.INT()", {"type": "int32"}, True),
    ("DataTypes.INT().not_null()", {"type": "int32"}, False),
    ("object", None, True),
    ("[]", None, True),
]
HEAD = """
import datetime, decimal
from typing import *
from cloister import *
"""


class Annotations(unittest.TestCase):
    def check(self, head: str, annotation: str, json_type: object, nullable: bool) -> None:
        job = Job(f"{head}{HEAD}def f(x: {annotation}) -> {annotation}: return x\n")
        listed = job.functions()["f"]
        with self.subTest(annotation=annotation, head=head):
            self.assertEqual(
                listed["parameters"], [{"name": "x", "type": json_type, "nullable": nullable, "has_default": False}]
            )
            self.assertEqual(listed["result"], json_type)

    def test_evaluated_and_postponed(self) -> None:
        for annotation, json_type, nullable in ANNOTATIONS:
            self.check("", annotation, json_type, nullable)
            self.check("from __future__ import annotations\n", annotation, json_type, nullable)

    def test_new_spellings(self) -> None:
        """Which work when postponed, even where the interpreter itself cannot evaluate them."""
        for annotation, json_type, nullable in (
            ("int | None", {"type": "int64"}, True),
            ("None | int", {"type": "int64"}, True),
            ("list[int] | None", LIST, True),
            ("int | str", None, True),
            ("Absent", None, True),
            ("1 / 0", None, True),
        ):
            self.check("from __future__ import annotations\n", annotation, json_type, nullable)
            if sys.version_info >= (3, 10) and "|" in annotation:
                self.check("", annotation, json_type, nullable)


class Discovery(unittest.TestCase):
    def test_what_is_listed(self) -> None:
        job = Job(
            """
            import functools, math
            from os.path import join
            from cloister import *
            def plain(a, b: int = 2, *rest) -> str:
                '''Does this.

                And that.'''
            def _hidden(): pass
            class Add(ScalarFunction):
                "Adds."
                def eval(self, x: int) -> int: return x + 1
            instance = Add()
            class Callable:
                def __call__(self, x: float) -> float: return x
            not_declared = Callable()
            number = 5
            @functools.lru_cache(None)
            def cached(x: int) -> int: return x
            @udf(result_type="BIGINT")
            def declared(x: DataTypes.INT()): return x
            @udf
            def bare(x: int) -> int: return x
            _lambda = udf(lambda x, y: x, ["INT", DataTypes.STRING()], "STRING", name="shown", deterministic=False)
            partial = udf(functools.partial(plain, b=1), result_type="INT")
            called = udf(Callable())
            builtin = udf(math.hypot, result_type="DOUBLE")
            root = udf(math.sqrt, input_types="DOUBLE", result_type="DOUBLE")
            both = udf(Add(), result_type="INT")
            variable = udf(lambda *args: args, ["INT", "INT"], "INT")
            """
        )
        functions = job.functions()
        self.assertEqual(
            list(functions),
            "plain instance cached declared bare shown partial called builtin root both variable".split(),
        )
        self.assertEqual({f["kind"] for f in functions.values()}, {"scalar"})
        plain = functions["plain"]
        self.assertEqual(plain["doc"], "Does this.")
        self.assertEqual([p["name"] for p in plain["parameters"]], ["a", "b"])
        self.assertEqual([p["has_default"] for p in plain["parameters"]], [False, True])
        self.assertEqual((plain["varargs"], plain["result"], plain["deterministic"]), (True, {"type": "utf8"}, True))
        self.assertEqual(functions["shown"]["deterministic"], False)
        self.assertEqual([p["type"]["type"] for p in functions["shown"]["parameters"]], ["int32", "utf8"])
        self.assertEqual(functions["declared"]["parameters"][0]["type"], {"type": "int32"})
        self.assertEqual(functions["declared"]["result"], {"type": "int64"})
        for name in ("instance", "cached", "bare"):
            self.assertEqual([p["type"] for p in functions[name]["parameters"]], [{"type": "int64"}], name)
            self.assertEqual(functions[name]["result"], {"type": "int64"}, name)
        self.assertEqual(functions["instance"]["doc"], "Adds.")
        self.assertEqual(functions["called"]["parameters"][0]["type"], {"type": "float64"})
        self.assertEqual(functions["both"]["result"], {"type": "int32"})
        self.assertEqual((len(functions["variable"]["parameters"]), functions["variable"]["varargs"]), (2, False))
        self.assertEqual(json.loads(job.loaded[1])["python"], ".".join(map(str, sys.version_info[:3])))
        for name, types, columns, results in (
            ("instance", [INT64], [[1]], [2]),
            ("called", [t("float64")], [[1.5]], [1.5]),
            ("root", [t("float64")], [[4.0]], [2.0]),
            ("shown", [INT64, UTF8], [[1], [""]], [1]),
            ("cached", [INT64], [[7]], [7]),
        ):
            self.assertEqual(job.call(name, types, INT64, *columns), (0, results))

    def test_kinds(self) -> None:
        functions = Job(
            """
            from cloister import *
            class Rows(TableFunction):
                def eval(self, x: int): yield x
            class Sum(AggregateFunction):
                def accumulate(self, acc, x: int): pass
            class Top(TableAggregateFunction):
                def accumulate(self, acc, x, y): pass
            class Later(ScalarFunction):
                async def eval(self, x): return x
            table = udtf(Rows(), result_types=["INT", "STRING"])
            table_instance = Rows()
            aggregate = udaf(Sum(), result_type="BIGINT", accumulator_type="ARRAY<BIGINT>")
            table_aggregate = udtaf(Top(), result_type="BIGINT")
            vectorized = udf(lambda s: s, result_type="INT", func_type="pandas")
            vectorized_aggregate = udaf(lambda s: s, result_type="INT", func_type="pandas")
            later = udf(Later(), result_type="INT")
            @udf
            async def declared_later(x): return x
            async def plain_later(x): return x
            def generator(x): yield x
            """
        ).functions()
        self.assertEqual(
            {name: f["kind"] for name, f in functions.items()},
            {
                "table": "table",
                "table_instance": "table",
                "aggregate": "aggregate",
                "table_aggregate": "table_aggregate",
                "vectorized": "vectorized",
                "vectorized_aggregate": "vectorized",
                "later": "async_scalar",
                "declared_later": "async_scalar",
                "plain_later": "async_scalar",
                "generator": "table",
            },
        )
        self.assertEqual([p["name"] for p in functions["aggregate"]["parameters"]], ["x"])
        self.assertEqual([p["name"] for p in functions["table_aggregate"]["parameters"]], ["x", "y"])
        self.assertEqual([f["name"] for f in functions["table"]["result"]["fields"]], ["f0", "f1"])

    def test_wrong_declarations(self) -> None:
        head = "from cloister import *\nclass Rows(TableFunction): pass\n"
        for body, exception in (
            ("udf(5)", "TypeError"),
            ("udf(Rows)", "TypeError"),
            ("udf(Rows())", "TypeError"),
            ("udaf(lambda x: x)", "TypeError"),
            ("udf(lambda x: x, result_type='NOPE')", "ValueError"),
            ("udf(lambda x: x, result_type=int)", "TypeError"),
            ("udf(lambda x: x, func_type='fast')", "ValueError"),
            ("f = udf(lambda x, y: x, ['INT'])", "TypeError"),
            ("f = udf(lambda x: x, ['INT', 'INT'])", "TypeError"),
        ):
            error = Job(head + body).load_error()
            self.assertEqual((error["kind"], error["exception"]), ("user", exception), body)

    def test_a_declared_function_can_still_be_called(self) -> None:
        job = Job(
            "from cloister import *\n@udf(result_type='INT')\ndef one(): 'doc'; return 1\ndef f(): return one() + 1"
        )
        self.assertEqual(job.ask(EVAL, job.bound("f", [], INT64), 1, ()), (0, [2]))


class Lifecycle(unittest.TestCase):
    SOURCE = """
        from cloister import *
        log = []
        class Scale(ScalarFunction):
            def open(self, context):
                log.append("open")
                self.by = int(context.get_job_parameter("by", "10"))
                assert context.get_job_parameter("absent") is None
            def eval(self, x): return x * self.by
            def close(self): log.append("close"); print_log()
        scale = udf(Scale(), result_type="BIGINT")
        again = scale
        def seen(): return ",".join(log)
        def print_log(): pass
    """

    def test_open_once_and_close(self) -> None:
        for options, factor in (({}, 10), ({"parameters": {"by": "3"}}, 3)):
            job = Job(self.SOURCE, options)
            seen = job.bound("seen", [], UTF8)
            self.assertEqual(job.ask(EVAL, seen, 1, ()), (0, [""]))
            for name in ("scale", "scale", "again"):
                self.assertEqual(job.call(name, [INT64], INT64, [2]), (0, [2 * factor]))
            self.assertEqual(job.ask(EVAL, seen, 1, ()), (0, ["open"]))
            self.assertEqual(job.ask(CLOSE), (0, None))

    def test_failures(self) -> None:
        head = "from cloister import *\nclass F(ScalarFunction):\n    def eval(self): return 1\n"
        job = Job(head + "    def open(self, context): raise ValueError('no')\nf = F()")
        error = error_of(job.bind("f", [], INT64))
        self.assertEqual((error["kind"], error["message"], error["function"]), ("user", "no", "f"))
        job = Job(head + "    def close(self): raise ValueError('no')\nf, g = F(), F()")
        job.bound("f", [], INT64)
        job.bound("g", [], INT64)
        self.assertEqual(error_of(job.ask(CLOSE))["function"], "f")

    def test_the_interpreter_is_left_as_it_was(self) -> None:
        modules, paths, finders = set(sys.modules), list(sys.path), list(sys.meta_path)
        job = Job("import helper\ndef f(): return helper.x", {"paths": ["/nowhere"]}, {"helper.py": b"x = 1"})
        self.assertEqual(sys.path[0], "/nowhere")
        self.assertEqual(job.ask(EVAL, job.bound("f", [], INT64), 1, ()), (0, [1]))
        job.ask(CLOSE)
        self.assertEqual((set(sys.modules), sys.path, sys.meta_path), (modules, paths, finders))


class Modules(unittest.TestCase):
    def test_dataclasses_and_pickle_find_the_module(self) -> None:
        job = Job(
            """
            from __future__ import annotations
            import dataclasses, pickle, inspect, typing
            @dataclasses.dataclass
            class Point:
                x: int
                y: typing.ClassVar[int] = 2
            def f(): return pickle.loads(pickle.dumps(Point(5))).x
            def g(): return inspect.getsource(f)
            """
        )
        self.assertEqual(job.ask(EVAL, job.bound("f", [], INT64), 1, ()), (0, [5]))
        self.assertIn("return pickle", job.ask(EVAL, job.bound("g", [], UTF8), 1, ())[1][0])

    def test_two_jobs_of_the_same_file(self) -> None:
        jobs = [Job(f"x = {i}\ndef f(): return x") for i in range(3)]
        self.assertEqual([job.ask(EVAL, job.bound("f", [], INT64), 1, ())[1] for job in jobs], [[0], [1], [2]])

    def test_a_file_named_like_a_module(self) -> None:
        job = Job("def f(): return 1")
        reply = job.ask(1, "def g(): return 2", "/some/dir/json.py", "")
        self.assertEqual(reply[0], 0)
        self.assertIs(sys.modules["json"], json)
