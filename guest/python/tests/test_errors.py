"""What the host is told when user code fails, also when the failure itself is hostile."""

from __future__ import annotations

import marshal
import sys
import unittest

from cloister._harness import Harness

from .support import BIND, CLOSE, EVAL, INT64, LOAD, UTF8, Job, error_of, lists, maps, run, structs, t


class Raised(unittest.TestCase):
    def test_the_whole_error(self) -> None:
        job = Job(
            """
            def inner(x):
                return 10 // x
            def f(x):
                return inner(x)
            """
        )
        error = error_of(job.call("f", [INT64], INT64, [1, 2, 0, 4]))
        self.assertEqual(error["kind"], "user")
        self.assertEqual(error["exception"], "ZeroDivisionError")
        self.assertEqual(error["message"], "integer division or modulo by zero")
        self.assertEqual((error["row"], error["function"]), (2, "f"))
        self.assertEqual(
            error["traceback"],
            "Traceback (most recent call last):\n"
            '  File "job.py", line 5, in f\n'
            "    return inner(x)\n"
            '  File "job.py", line 3, in inner\n'
            "    return 10 // x\n"
            "ZeroDivisionError: integer division or modulo by zero\n",
        )

    def test_the_row_for_every_shape(self) -> None:
        job = Job("def f(*args):\n    if 7 in args: raise ValueError")
        for shape in ("v", "vv", "vc", "cv", "vvv", "vvvv", "vvvvv"):
            handle = job.bound("f", [INT64] * len(shape), INT64, [kind == "c" for kind in shape])
            for row in (0, 1, 4):
                column = [7 if i == row else 0 for i in range(5)]
                columns = tuple([0] if kind == "c" else column for kind in shape)
                self.assertEqual(error_of(job.ask(EVAL, handle, 5, columns))["row"], row, shape)

    def test_frames_of_the_standard_library_are_left_out(self) -> None:
        error = error_of(run("import json\ndef f(): json.loads('{')"))
        self.assertEqual(error["exception"], "json.decoder.JSONDecodeError")
        self.assertEqual(error["traceback"].count("File "), 1)
        self.assertNotIn(sys.prefix, error["traceback"])

    def test_exceptions_of_every_kind_are_errors(self) -> None:
        for what in (
            "SystemExit(3)",
            "KeyboardInterrupt",
            "GeneratorExit",
            "StopIteration",
            "RecursionError",
            "BaseException",
        ):
            name = what.partition("(")[0]
            job = Job(f"def f(): raise {what}\ndef g(): return 1")
            error = error_of(job.ask(EVAL, job.bound("f", [], INT64), 1, ()))
            self.assertEqual((error["kind"], error["exception"], error["row"]), ("user", name, 0))
            self.assertEqual(job.ask(EVAL, job.bound("g", [], INT64), 1, ()), (0, [1]))

    def test_names_of_exceptions(self) -> None:
        source = "import decimal\nclass Mine(Exception):\n    class Inner(Exception): pass\ndef f(): raise "
        for what, name in (
            ("Mine", "Mine"),
            ("Mine.Inner", "Mine.Inner"),
            ("decimal.InvalidOperation", "decimal.InvalidOperation"),
        ):
            self.assertEqual(error_of(run(source + what))["exception"], name)

    def test_chains_and_notes(self) -> None:
        text = error_of(
            run(
                """
                def f():
                    try:
                        {}["a"]
                    except KeyError as e:
                        error = ValueError("bad")
                        error.__notes__ = ["a note"]
                        raise error from e
                """
            )
        )["traceback"]
        self.assertIn("KeyError: 'a'\n\nThe above exception was the direct cause", text)
        self.assertTrue(text.endswith("ValueError: bad\na note\n"), text)
        text = error_of(run("def f():\n    try: 1/0\n    except Exception: [][1]"))["traceback"]
        self.assertIn("During handling of the above exception", text)

    def test_recursion(self) -> None:
        error = error_of(run("def f(): return f()"))
        self.assertEqual(error["exception"], "RecursionError")
        self.assertIn("[Previous line repeated", error["traceback"])
        error = error_of(run("def f(n=0):\n    return g(n)\ndef g(n):\n    return f(n + 1)"))
        self.assertIn("frames left out]", error["traceback"])

    def test_long_chains(self) -> None:
        error = error_of(
            run("def f():\n e = None\n for i in range(100000):\n  n = ValueError(i); n.__cause__ = e; e = n\n raise e")
        )
        self.assertEqual(error["message"], "99999")
        job = Job("def f():\n a, b = ValueError(1), ValueError(2)\n a.__cause__, b.__cause__ = b, a\n raise a")
        self.assertEqual(error_of(job.ask(EVAL, job.bound("f", [], INT64), 1, ()))["message"], "1")

    def test_texts_are_capped_and_encodable(self) -> None:
        error = error_of(run("def f(): raise ValueError('\\ud800' + 'x' * 10 ** 6)"))
        self.assertLessEqual(len(error["message"]), 4096 + 5)
        self.assertTrue(error["message"].startswith("\\ud800xxx"))
        self.assertLessEqual(len(error["traceback"]), 16384)
        error["traceback"].encode()

    def test_hostile_exceptions(self) -> None:
        for body in (
            "def __str__(self): raise ValueError",
            "def __str__(self): return 5",
            "def __str__(self): raise SystemExit",
            "def __str__(self): return str(self)",
            "def __getattribute__(self, name): raise KeyboardInterrupt",
            "__class__ = property(lambda self: 1 / 0)",
            "__class__ = property(lambda self: MemoryError)",
            "__traceback__ = 5; __cause__ = 5; __context__ = 5; __suppress_context__ = 5; __notes__ = 5",
            "__module__ = 5",
            "__qualname__ = 'x' * 10000",
            "__dict__ = property(lambda self: 1 / 0)",
        ):
            with self.subTest(body=body):
                error = error_of(run(f"class Bad(Exception):\n    {body}\ndef f(): raise Bad"))
                self.assertEqual((error["kind"], error["row"]), ("user", 0))
                self.assertLess(len(error["exception"]), 300)

    def test_hostile_results(self) -> None:
        for body in (
            "def __repr__(self): raise SystemExit",
            "def __repr__(self): return repr(self)",
            "def __repr__(self): return 5",
            "__class__ = property(lambda self: 1 / 0)",
            "def __getattribute__(self, name): raise SystemExit",
        ):
            for json_type in (INT64, UTF8, t("date32"), lists(INT64), maps(UTF8, INT64), structs(a=INT64)):
                with self.subTest(body=body, type=json_type):
                    job = Job(f"class Bad:\n    {body}\ndef f(): return Bad()")
                    error = error_of(job.explained("f", json_type))
                    self.assertIn(error["kind"], ("type", "user"))

    def test_a_forged_failure_is_the_users(self) -> None:
        error = error_of(run("from cloister.errors import Failure\ndef f(): raise Failure({'kind': 'internal'})"))
        self.assertEqual(error["kind"], "user")

    def test_memory(self) -> None:
        error = error_of(run("def f(): raise MemoryError"))
        self.assertEqual((error["kind"], error["limit"]), ("limit", "memory"))
        self.assertEqual(error_of(Job("raise MemoryError").loaded)["limit"], "memory")
        error = error_of(run("def f(): raise SystemError('error return without exception set')"))
        self.assertEqual((error["kind"], error["exception"], error["limit"]), ("limit", "SystemError", "memory"))
        for other in ("'another'", "", "type('Hostile', (), {'__eq__': lambda *of: 1 / 0})()"):
            self.assertEqual(error_of(run(f"def f(): raise SystemError({other})"))["kind"], "user")
        error = error_of(run("class E(Exception):\n    def __str__(self): raise MemoryError\ndef f(): raise E"))
        self.assertEqual(error["limit"], "memory")

    def test_a_tampered_builtin_does_not_stop_the_harness(self) -> None:
        import builtins

        names = ("len", "repr", "isinstance", "print", "str", "iter", "type", "enumerate", "zip", "range", "list")
        saved = {name: getattr(builtins, name) for name in names}
        job = Job("def f(x): return x + 1")
        handle = job.bound("f", [INT64], INT64)
        request = marshal.dumps((EVAL, handle, 2, ([1, 2],)), 2)
        try:
            for name in names:
                setattr(builtins, name, None)
            reply = job.harness.handle(request)
        finally:
            vars(builtins).update(saved)
        self.assertEqual(marshal.loads(reply), (0, [2, 3]))


class Nulls(unittest.TestCase):
    """`on_error=null`."""

    def evaluate(self, source: str, column: list, types=(INT64,), result=INT64):  # noqa: ANN001, ANN201
        job = Job(source)
        handle = job.bound("f", types, result, None, "null")
        return job, handle, job.ask(EVAL, handle, len(column), (column,))

    def test_rows_that_raise_are_null(self) -> None:
        _, _, reply = self.evaluate("def f(x): return 12 // x", [0, 1, 0, 0, 2, 0])
        self.assertEqual(reply[:3], (2, [None, 12, None, None, 6, None], 4))
        self.assertEqual(error_of((1, reply[3]))["row"], 0)
        _, _, reply = self.evaluate("def f(x): return 12 // x", [1, 2])
        self.assertEqual(reply, (0, [12, 6]))
        _, _, reply = self.evaluate("def f(x): return 12 // x", [])
        self.assertEqual(reply, (0, []))

    def test_stop_iteration_does_not_end_the_loop(self) -> None:
        source = "def f(x):\n    if x == 1: raise StopIteration\n    return x"
        _, _, reply = self.evaluate(source, [0, 1, 2, 1])
        self.assertEqual(reply[:3], (2, [0, None, 2, None], 2))
        self.assertEqual(error_of((1, reply[3]))["row"], 1)

    def test_what_must_end_the_call_does(self) -> None:
        for name, kind in (("SystemExit", "user"), ("KeyboardInterrupt", "user"), ("MemoryError", "limit")):
            _, _, reply = self.evaluate(f"def f(x): raise {name} if x else ValueError", [0, 1])
            error = error_of(reply)
            self.assertEqual((error["kind"], error["exception"], error["row"]), (kind, name, 1))

    def test_bad_results_are_null_too(self) -> None:
        source = (
            "import datetime\ndef f(x): return datetime.date(1970, 1, 2) if x == 0 else 'x' if x == 1 else 1 / (x - 2)"
        )
        _, _, reply = self.evaluate(source, [0, 1, 2, -1], result=t("date32"))
        self.assertEqual(reply[:3], (2, [1, None, None, None], 3))

    def test_explain_counts_on(self) -> None:
        job, handle, reply = self.evaluate("def f(x): return [1 / x, 'text'][x - 1]", [0, 1, 2, 2])
        self.assertEqual(reply[:3], (2, [None, 1.0, "text", "text"], 1))
        explained = job.ask(5, handle)
        self.assertEqual(explained[:3], (2, [None, None, None, None], 4))
        self.assertEqual(explained[3], reply[3])

    def test_bad_arguments_are_null_too(self) -> None:
        job, handle, reply = self.evaluate(
            "def f(d): return 100 // (d.year - 1970)", [0, 10**8, 400, 10**9], (t("date32"),)
        )
        self.assertEqual(reply[:3], (2, [None, None, 100, None], 3))
        # Results of other rows are found at their own place.
        job = Job("def f(x): return x")
        handle = job.bound("f", [t("date32")], t("date32"), None, "null")
        self.assertEqual(job.ask(EVAL, handle, 3, ([10**8, 1, None],))[:3], (2, [None, 1, None], 1))
        self.assertEqual(job.ask(5, handle)[:3], (2, [None, 1, None], 1))
        handle = job.bound("f", [t("date32")], INT64, [True], "null")
        self.assertEqual(job.ask(EVAL, handle, 2, ([10**8],))[:3], (2, [None, None], 2))


class Loading(unittest.TestCase):
    def test_what_the_module_raises(self) -> None:
        error = Job("x = 1\nraise ValueError('at import')").load_error()
        self.assertEqual((error["kind"], error["exception"], error["row"]), ("user", "ValueError", None))
        self.assertIn('File "job.py", line 2, in <module>', error["traceback"])
        self.assertEqual(Job("import sys; sys.exit('no')").load_error()["exception"], "SystemExit")

    def test_syntax(self) -> None:
        for source in ("def f(x)\n    pass\n", "x = (", "\tif 1:\n  x", "x = '\0'"):
            error = Job(source).load_error()
            self.assertIn(error["kind"], ("user",), error)
        error = Job("x = 1\nif True:\n    def f(:\n").load_error()
        self.assertEqual(error["exception"], "SyntaxError")
        self.assertIn("(job.py, line 3)\n    def f(:\n          ^", error["message"])

    def test_missing_modules(self) -> None:
        for source in ("import surely_absent.part", "def f():\n    from surely_absent import x"):
            job = Job(source)
            error = error_of(job.loaded if job.loaded[0] else job.ask(EVAL, job.bound("f", [], INT64), 1, ()))
            self.assertEqual((error["kind"], error["exception"]), ("missing", "ModuleNotFoundError"))
            self.assertIn("add it with --requirements or --files", error["message"])
            self.assertIn('File "job.py"', error["traceback"])
        # The user's own exception of that class is the user's.
        self.assertEqual(Job("raise ModuleNotFoundError('mine')").load_error()["kind"], "user")

    def test_a_failed_load_leaves_nothing(self) -> None:
        before = set(sys.modules)
        Job("raise ValueError")
        self.assertEqual(set(sys.modules), before)


class Calls(unittest.TestCase):
    """Malformed requests."""

    def test_requests_that_are_none(self) -> None:
        harness = Harness()
        for request in (
            b"",
            b"\xff",
            b"i",
            marshal.dumps(5),
            marshal.dumps(()),
            marshal.dumps((99,)),
            marshal.dumps([[]]),
        ):
            self.assertEqual(error_of(marshal.loads(harness.handle(request)))["kind"], "call", request)
        for message in ((EVAL, 0, 0, ()), (EVAL, -1, 0, ()), (EVAL,), (5, 0), (BIND, "{}"), (BIND, 5), (LOAD,), (3, 5)):
            error = error_of(marshal.loads(harness.handle(marshal.dumps(message, 2))))
            self.assertIn(error["kind"], ("call", "internal"), message)

    def test_bind(self) -> None:
        job = Job(
            """
            from cloister import udtf, udf
            @udtf(result_types=["INT"])
            def rows(x):
                yield x
            @udf(func_type="pandas", result_type="INT")
            def columns(x): return x
            async def later(x): return x
            def two(a, b=1): return a
            def named(a, *, b): return a
            def many(a, *rest): return a
            """
        )
        for function, count, says in (
            ("nothing", 1, "there is no function 'nothing' (there is: columns, later, many, named, rows, two)"),
            ("rows", 1, "'rows' is a table function"),
            ("columns", 1, "'columns' is a vectorized (pandas) function"),
            ("later", 1, "'later' is an async scalar function"),
            ("two", 0, "it takes 1 to 2 arguments, got 0"),
            ("two", 3, "it takes 1 to 2 arguments, got 3"),
            ("named", 1, "its parameter 'b' can only be given by name"),
            ("many", 0, "it takes at least 1 argument, got 0"),
        ):
            error = error_of(job.bind(function, [INT64] * count, INT64))
            self.assertEqual((error["kind"], error["function"]), ("call", function))
            self.assertIn(says, error["message"])
        self.assertEqual([job.bind("two", [INT64] * n, INT64) for n in (1, 2)], [(0, 0), (0, 1)])
        self.assertEqual(job.bind("many", [INT64] * 9, INT64), (0, 2))

    def test_bind_of_types_that_cannot_be(self) -> None:
        job = Job("def f(x): return x")
        for bad, says in (
            (maps(lists(INT64), INT64), "Python cannot hash a list"),
            (maps(structs(a=maps(UTF8, UTF8)), INT64), "Python cannot hash a Row"),
            (t("timestamp", unit="us", timezone="Mars/Base"), "time zone 'Mars/Base' is not known"),
            (t("timestamp", unit="us", timezone="+9"), "is not a time zone"),
            (t("surprise"), "'surprise' is not known"),
        ):
            error = error_of(job.bind("f", [bad], INT64))
            self.assertEqual((error["kind"], error["argument"]), ("type", "x"))
            self.assertIn(says, error["message"])
            error = error_of(job.bind("f", [INT64], bad))
            self.assertEqual((error["kind"], error["argument"]), ("type", None))
        for depth in (500, 5_000, 100_000):
            deep = '{"type":"list","item":' * depth + '{"type":"int64"}' + "}" * depth
            reply = job.ask(BIND, '{"function":"f","arguments":[' + deep + '],"result":{"type":"int64"}}')
            if reply[0] != 0:
                self.assertIn(error_of(reply)["kind"], ("type", "call"))

    def test_after_close(self) -> None:
        job = Job("def f(): return 1")
        handle = job.bound("f", [], INT64)
        self.assertEqual(job.ask(CLOSE), (0, None))
        self.assertEqual(error_of(job.ask(EVAL, handle, 1, ()))["kind"], "call")
        self.assertEqual(job.ask(CLOSE), (0, None))
