"""Serves the pure-Python standard library from memory, so that a sandbox needs no file system to import it.

Before the snapshot `StdlibImporter.collect` compiles every module of the library's directory; code is kept as
compressed marshal data, a few megabytes that all sandboxes share. Afterwards nothing here touches a file.
"""

from __future__ import annotations

import _imp
import marshal
import os
import sys
import types
import zlib
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from typing import NamedTuple, Optional

#: Modules that are no use in a sandbox: they need a terminal, a display or other processes, or are large and only
#: for development. Importing one is an ordinary ModuleNotFoundError.
EXCLUDED: frozenset[str] = frozenset(
    {
        "__hello__",
        "__phello__",
        "_aix_support",
        "_android_support",
        "_apple_support",
        "_ios_support",
        "_osx_support",
        "_pyrepl",
        "antigravity",
        "curses",
        "ensurepip",
        "idlelib",
        "lib2to3",
        "pydoc_data",
        "site-packages",
        "test",
        "this",
        "tkinter",
        "turtle",
        "turtledemo",
        "venv",
    }
)

#: What `__file__` and tracebacks show in place of a directory.
ORIGIN = "<stdlib>"


class Entry(NamedTuple):
    """One module: its compressed code, its made-up file name and whether it is a package."""

    code: bytes
    origin: str
    package: bool


class StdlibImporter:
    """A meta path finder and loader over a dictionary of compiled modules."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}

    def collect(self, directory: str) -> None:
        """Compile every module below `directory` that is neither excluded nor frozen into the interpreter.

        Raises:
            SyntaxError: when a module does not compile, which fails the build of the image.
        """
        for name, path, package in _modules(directory, ""):
            if _imp.is_frozen(name):
                continue
            with open(path, "rb") as file:
                source = file.read()
            origin = f"{ORIGIN}/{os.path.relpath(path, directory)}"
            code = compile(source, origin, "exec", dont_inherit=True)
            self._entries[name] = Entry(zlib.compress(marshal.dumps(code), 9), origin, package)

    def discard_imported(self) -> None:
        """Forget the modules that are imported already: nothing asks for their code again."""
        for name in sys.modules:
            self._entries.pop(name, None)

    def names(self) -> Iterator[str]:
        """The names of all modules that can be imported from here."""
        return iter(self._entries)

    def find_spec(
        self,
        fullname: str,
        path: Optional[Sequence[str]] = None,
        target: Optional[types.ModuleType] = None,
    ) -> Optional[ModuleSpec]:
        """Part of the import protocol."""
        entry = self._entries.get(fullname)
        if entry is None:
            return None
        spec = ModuleSpec(fullname, self, origin=entry.origin, is_package=entry.package)  # type: ignore[arg-type]
        # `__file__` is set only for a module that has a location.
        spec.has_location = True
        if entry.package:
            spec.submodule_search_locations = [entry.origin.rpartition("/")[0]]
        return spec

    def create_module(self, spec: ModuleSpec) -> Optional[types.ModuleType]:
        """Part of the import protocol: the default module object will do."""
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        """Part of the import protocol."""
        exec(self.get_code(module.__name__), module.__dict__)

    def get_code(self, fullname: str) -> types.CodeType:
        """The code of a module, for `runpy` and `inspect`.

        Raises:
            ImportError: when there is no such module here.
        """
        entry = self._entries.get(fullname)
        if entry is None:
            raise ImportError(f"no code of module {fullname!r}", name=fullname)
        code: types.CodeType = marshal.loads(zlib.decompress(entry.code))
        return code

    def get_source(self, fullname: str) -> None:
        """The source is not in the image; `linecache` asks."""
        return None

    def is_package(self, fullname: str) -> bool:
        """Whether `fullname` is a package.

        Raises:
            ImportError: when there is no such module here.
        """
        entry = self._entries.get(fullname)
        if entry is None:
            raise ImportError(f"no module {fullname!r}", name=fullname)
        return entry.package


def _modules(directory: str, prefix: str) -> Iterator[tuple[str, str, bool]]:
    """All modules below `directory`: dotted name, path, whether it is a package."""
    for item in sorted(os.listdir(directory)):
        stem, extension = os.path.splitext(item)
        path = os.path.join(directory, item)
        if prefix + stem in EXCLUDED:
            continue
        if extension == ".py" and stem != "__init__":
            yield prefix + stem, path, False
        elif not extension and os.path.isfile(os.path.join(path, "__init__.py")):
            yield prefix + item, os.path.join(path, "__init__.py"), True
            yield from _modules(path, f"{prefix}{item}.")
