"""Runs once, before the snapshot: imports, prepares the interpreter, and leaves behind what a sandbox starts with.

Nothing here may depend on the machine that builds the image, for the image must not tell where it was built.
"""

from __future__ import annotations

import marshal
import os
import sys
import time

import wit_world

# The harness comes first: what it imports would otherwise be read from files that are gone later.
from cloister._harness import Harness
from cloister.errors import encode, problem

from . import bake, fresh_random, preload
from .stdlib_importer import StdlibImporter
from .zones import Zones

#: Where the parts of the interpreter that the image does not contain lie before the snapshot.
LIBRARY = "/python"

def _reply(kind: str, message: str, limit: str | None) -> bytes:
    """An error reply that is ready before anything goes wrong, since making one needs memory."""
    return marshal.dumps((1, encode(problem(kind, message, limit=limit))), 2)


OUT_OF_MEMORY = _reply("limit", "the sandbox is out of memory", "memory")
INTERNAL = _reply("internal", "the harness failed", None)


def _prepare() -> fresh_random.FreshRandom:
    sys.dont_write_bytecode = True
    here = os.path.dirname(__file__)
    importer = StdlibImporter()
    importer.collect(LIBRARY)
    # After the built-in and the frozen modules, before the file system.
    sys.meta_path.insert(2, importer)
    preload.preload()
    importer.discard_imported()
    Zones(os.path.join(here, "zones.bin")).install()
    renewal = fresh_random.install()
    # The C library emulates processor time as the time since its own start, which was during the build.
    time.process_time = time.perf_counter
    time.process_time_ns = time.perf_counter_ns
    with open(os.path.join(here, "python-version"), "w", encoding="ascii") as file:
        file.write(".".join(str(part) for part in sys.version_info[:3]))
    _forget_the_build()
    return renewal


def _forget_the_build() -> None:
    """Drop every directory and variable of the build: none of them exists in a sandbox."""
    sys.path.clear()
    sys.path_hooks.clear()
    sys.path_importer_cache.clear()
    sys.argv[:] = [""]
    os.environ.clear()


_renewal = _prepare()
_harness: Harness


class WitWorld(wit_world.WitWorld):
    """The exports of a sandbox."""

    def handle(self, request: bytes) -> bytes:
        """Answer one request. Never raises: an exception that left this function would end the sandbox."""
        try:
            return _harness.handle(request)
        except MemoryError:
            return OUT_OF_MEMORY
        except BaseException:
            return INTERNAL


def _start_over() -> None:
    global _harness
    _harness = Harness(renewal=_renewal)


def _make_ready() -> None:
    _start_over()
    _harness.set_up_output()


_start_over()
bake.install(_make_ready)
