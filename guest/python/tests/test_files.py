"""Modules and data from memory, alone in an interpreter and shared with other jobs."""

from __future__ import annotations

import importlib
import importlib.resources
import pkgutil
import sys
import textwrap
import unittest
import warnings

from cloister._files import Importer
from cloister._harness import Harness

from .support import EVAL, INT64, UTF8, Job, error_of

FILES = {
    "cl_helper.py": b"# coding: latin-1\nx = '\xe9'\n",
    "cl_pack/__init__.py": b"from .inner import value\nfrom . import inner\n",
    "cl_pack/inner.py": b"import cl_helper\nvalue = 5\ndef fail(): raise Oops('here')\nclass Oops(Exception): pass\n",
    "cl_pack/data/table.txt": "zwölf".encode(),
    "cl_space/mod.py": b"from cl_pack.inner import value\n",
    "cl_broken.py": b"def f(:\n",
    "json.py": b"raise RuntimeError('the standard library is not replaced')\n",
    "docs/readme.txt": b"",
}


class Direct(unittest.TestCase):
    def setUp(self) -> None:
        self.importer = Importer()
        self.importer.add(FILES)
        sys.meta_path.insert(0, self.importer)

    def tearDown(self) -> None:
        sys.meta_path.remove(self.importer)
        self.importer.forget()
        self.assertEqual([name for name in sys.modules if name.startswith("cl_")], [])

    def test_imports(self) -> None:
        pack = importlib.import_module("cl_pack")
        self.assertEqual((pack.value, pack.__file__, list(pack.__path__)), (5, "cl_pack/__init__.py", ["cl_pack"]))
        self.assertEqual(importlib.import_module("cl_helper").x, "é")
        self.assertEqual(importlib.import_module("cl_space.mod").value, 5)
        self.assertEqual(importlib.reload(pack).value, 5)
        for absent in ("docs", "cl_pack.absent", "cl_absent"):
            with self.assertRaises(ModuleNotFoundError):
                importlib.import_module(absent)
        with self.assertRaises(SyntaxError):
            importlib.import_module("cl_broken")
        self.assertIsNone(self.importer.find_spec("json"))

    def test_sources(self) -> None:
        import inspect

        inner = importlib.import_module("cl_pack.inner")
        self.assertIn("raise Oops", inspect.getsource(inner.fail))
        self.assertIn("é", self.importer.get_source("cl_helper"))
        self.assertTrue(self.importer.is_package("cl_pack"))
        self.assertFalse(self.importer.is_package("cl_helper"))

    def test_data(self) -> None:
        self.assertEqual(pkgutil.get_data("cl_pack", "data/table.txt"), "zwölf".encode())
        with self.assertRaises(OSError):
            pkgutil.get_data("cl_pack", "data/absent.txt")
        with self.assertRaises(OSError):
            self.importer.get_data("../../etc/passwd")

    @unittest.skipIf(sys.version_info < (3, 10), "importlib.resources asks loaders for files() from 3.10 on")
    def test_resources(self) -> None:
        root = importlib.resources.files("cl_pack")
        self.assertEqual(root.joinpath("data", "table.txt").read_text(), "zwölf")
        self.assertEqual((root / "data" / "table.txt").read_bytes(), "zwölf".encode())
        self.assertEqual(sorted(entry.name for entry in root.iterdir()), ["__init__.py", "data", "inner.py"])
        self.assertTrue((root / "data").is_dir() and not (root / "data").is_file())
        with (root / "data/table.txt").open(encoding="utf-8") as stream:
            self.assertEqual(stream.read(), "zwölf")
        with importlib.resources.as_file(root / "data" / "table.txt") as path:
            self.assertEqual(path.read_bytes(), "zwölf".encode())

    def test_legacy_resources(self) -> None:
        if hasattr(importlib.resources, "read_text"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                self.assertIn("value", importlib.resources.read_text("cl_pack", "inner.py"))


class InJobs(unittest.TestCase):
    SOURCE = """
        import json
        import cl_pack.inner
        import cl_pack as p, cl_space.mod
        from cl_pack import inner as i, value
        from cl_helper import x
        def f():
            import cl_helper
            return cl_pack.inner.value + p.value + i.value + value + cl_space.mod.value
        def fail(): i.fail()
        def absent(): import cl_pack.absent
        def name(): return x
        def sizes(x): return len(x)
    """

    def test_own_and_shared_interpreter(self) -> None:
        for alone in (False, True):
            job = Job()
            before = set(sys.modules)
            job.harness = Harness()
            job.harness._alone = alone
            self.assertEqual(job.ask(3, FILES), (0, None))
            job.loaded = job.ask(1, textwrap.dedent(self.SOURCE), "job.py", "{}")
            self.assertEqual(job.loaded[0], 0, job.loaded)
            self.assertEqual(job.ask(EVAL, job.bound("f", [], INT64), 1, ()), (0, [25]))
            self.assertEqual(job.ask(EVAL, job.bound("name", [], UTF8), 1, ()), (0, ["é"]))
            self.assertEqual(job.call("sizes", [UTF8], INT64, ["ab"]), (0, [2]))
            error = error_of(job.ask(EVAL, job.bound("fail", [], INT64), 1, ()))
            self.assertEqual((error["exception"], error["message"]), ("cl_pack.inner.Oops", "here"))
            self.assertIn('File "cl_pack/inner.py", line 3, in fail\n    def fail(): raise', error["traceback"])
            error = error_of(job.ask(EVAL, job.bound("absent", [], INT64), 1, ()))
            self.assertEqual(error["kind"], "missing")
            self.assertTrue(error["message"].startswith("No module named 'cl_pack.absent'"), error["message"])
            self.assertEqual("cl_pack" in sys.modules, alone)
            job.ask(4)
            self.assertEqual(set(sys.modules), before)

    def test_jobs_with_files_of_the_same_name(self) -> None:
        source = "import cl_same\ndef f(): return cl_same.x"
        jobs = [Job(source, files={"cl_same.py": b"x = %d" % i}) for i in range(3)]
        self.assertEqual([job.ask(EVAL, job.bound("f", [], INT64), 1, ())[1] for job in jobs], [[0], [1], [2]])
        self.assertNotIn("cl_same", sys.modules)
        for job in jobs:
            job.ask(4)

    def test_directories(self) -> None:
        import os
        import tempfile

        with tempfile.TemporaryDirectory() as directory:
            with open(os.path.join(directory, "cl_disk.py"), "w") as file:
                file.write("def fail():\n    raise ValueError('on disk')\n")
            job = Job("import cl_disk\ndef f(): cl_disk.fail()", {"paths": [directory]})
            error = error_of(job.ask(EVAL, job.bound("f", [], INT64), 1, ()))
            self.assertIn('File "cl_disk.py", line 2, in fail\n    raise ValueError', error["traceback"])
            self.assertNotIn(directory, error["traceback"])
            job.ask(4)
            del sys.modules["cl_disk"]
