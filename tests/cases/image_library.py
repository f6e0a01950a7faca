"""What a sandbox of the image offers and what it does not, one check a function. Each returns JSON or raises."""

from __future__ import annotations

import json
import os
import pathlib
import random
import sys
from typing import Any


def late_imports(x: int) -> str:
    """Modules that were not imported before the snapshot come from memory, packages and their parts too."""
    import argparse
    import asyncio
    import concurrent.futures
    import configparser
    import http.cookies
    import json.tool
    import unittest.mock
    import xml.sax.saxutils

    assert configparser.__file__ == "<stdlib>/configparser.py"
    assert argparse.ArgumentParser.__init__.__code__.co_filename == "<stdlib>/argparse.py"
    assert json.tool.__file__ == "<stdlib>/json/tool.py"
    assert http.cookies.SimpleCookie("a=b")["a"].value == "b"
    assert xml.sax.saxutils.escape("<") == "&lt;"
    assert unittest.mock.Mock(return_value=3)() == 3
    assert concurrent.futures.__path__ and asyncio.__name__ == "asyncio"
    return json.dumps(True)


def no_traces(x: int) -> str:
    """No directory or variable of the build is left."""
    # The arguments and the environment are the host's to give, at the first call.
    assert (sys.path, sys.argv, dict(os.environ)) == ([], [], {}), (sys.path, sys.argv, os.environ)
    files = {str(getattr(module, "__file__", None)) for module in list(sys.modules.values())}
    roots = {file.split("/")[1] if file.startswith("/") else file.split("/")[0] for file in files if "/" in file}
    return json.dumps(sorted(roots))


def zones(x: int) -> str:
    import datetime
    import zoneinfo

    names = zoneinfo.available_timezones()
    assert "Europe/Berlin" in names and len(names) > 400
    for name in names:
        zoneinfo.ZoneInfo(name)
    summer = datetime.datetime(2024, 7, 1, 12, tzinfo=zoneinfo.ZoneInfo("America/New_York"))
    for missing in ("Nowhere/City", "Europe"):
        try:
            zoneinfo.ZoneInfo(missing)
        except zoneinfo.ZoneInfoNotFoundError:
            continue
        raise AssertionError(missing)
    try:
        zoneinfo.ZoneInfo("../etc/passwd")
    except ValueError:
        pass
    return summer.isoformat()


def randomness(x: int) -> str:
    from random import randint

    assert "random" in vars(random) and not hasattr(random, "nothing") and 0 <= randint(0, 5) <= 5
    return json.dumps([random.random(), os.urandom(8).hex()])


def refusals(x: int) -> str:
    """What is missing is an ordinary exception."""
    import socket
    import subprocess

    found: dict[str, Any] = {}
    attempts = {
        "open": lambda: pathlib.Path("/etc/passwd").read_text(),
        "create": lambda: pathlib.Path("new").write_text(""),
        "list": lambda: os.listdir("/"),
        "getcwd": lambda: os.listdir("."),
        "socket": lambda: socket.create_connection(("127.0.0.1", 80), 1),
        "subprocess": lambda: subprocess.run(["true"], check=False),
        "input": lambda: input(),
        "missing": lambda: __import__("no_such_module"),
        "excluded": lambda: __import__("tkinter"),
        "stdin": lambda: sys.stdin.read(),
    }
    for name, attempt in attempts.items():
        try:
            found[name] = repr(attempt())
        except (OSError, EOFError, ImportError) as error:
            found[name] = type(error).__name__
    return json.dumps(found)


def streams(x: int) -> str:
    import time

    print("to stdout", x)
    print("to stderr", x, file=sys.stderr)
    before = time.monotonic()
    time.sleep(0.001)
    assert time.monotonic() > before and time.time() > 1e9 and time.process_time() >= 0
    time.localtime()
    return json.dumps(True)
