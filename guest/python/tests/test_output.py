"""What functions print reaches the descriptors, at the latest with the reply."""

from __future__ import annotations

import subprocess
import sys
import unittest

SCRIPT = """
import marshal, os, sys
from cloister._harness import Harness
harness = Harness(owns_output=True)
def ask(*message): return marshal.loads(harness.handle(marshal.dumps(message, 2)))
SOURCE = '''
import sys
print("loading", end="")
def f(x):
    print("row", x, end=";")
    print("\\\\ud800", file=sys.stderr, end="")
    return x
def quiet(x): return x
def close(x): sys.stdout.close(); return x
'''
assert ask(1, SOURCE, "job.py", "{}")[0] == 0
os.write(1, b"|")
for name in ("f", "quiet", "close", "quiet"):
    import json
    i = {"type": "int64"}
    handle = ask(2, json.dumps({"function": name, "arguments": [i], "constants": [False], "result": i}))[1]
    assert ask(0, handle, 2, ([1, 2],)) == (0, [1, 2]), name
    os.write(1, b"|")
os._exit(0)
"""


class Output(unittest.TestCase):
    def test_streams(self) -> None:
        found = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, env={"PYTHONPATH": sys.path[0]})
        self.assertEqual(found.stdout, b"loading|row 1;row 2;||||")
        self.assertEqual(found.stderr, b"\\ud800\\ud800")


class Worker(unittest.TestCase):
    def start(self, code: str, **env: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-c", code + "\nfrom cloister.worker import main; main()"],
            capture_output=True,
            env={"PYTHONPATH": sys.path[0], **env},
        )

    def test_started_by_hand(self) -> None:
        found = self.start("")
        self.assertEqual(found.returncode, 2)
        self.assertIn(b"CLOISTER_SOCKET", found.stderr)

    def test_without_grpc(self) -> None:
        found = self.start("import sys; sys.modules['grpc'] = None", CLOISTER_SOCKET="x", CLOISTER_TOKEN="y")
        self.assertEqual((found.returncode, found.stderr.count(b"\n")), (3, 1))
        self.assertIn(b"no grpcio", found.stderr)


if __name__ == "__main__":
    unittest.main()
