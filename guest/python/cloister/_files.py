"""An importer for files in memory: pure Python packages, with their data.

Where an interpreter has one job only, the importer goes on `sys.meta_path` and the job's modules have their plain
names. Where jobs share one, those names would clash in `sys.modules`: there the modules live below a name of the
job's own, and only the job's code, through an `__import__` of its own, finds them by their plain names.

Serves what `pkgutil.get_data`, `importlib.resources` and `inspect.getsource` ask for. Paths are relative, with `/`.
"""

from __future__ import annotations

import builtins
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Dict, List, Optional, Sequence

from . import _stdlib
from ._resources import Folder, Reader, normal

__all__ = ["Importer"]

_import = builtins.__import__


class Importer:
    """Finder and loader of modules among files in memory; put it on `sys.meta_path`."""

    def __init__(self, prefix: str = "") -> None:
        """`prefix`: the package below which the modules live, if they must not be seen by others."""
        self._prefix = f"{prefix}." if prefix else ""
        self.builtins: Optional[Dict[str, Any]] = None
        if prefix:
            self.builtins = {**vars(builtins), "__import__": self._import}
            root = ModuleType(prefix)
            root.__path__ = []
            sys.modules[prefix] = root
        self._files: Dict[str, bytes] = {}
        self._folders: Dict[str, None] = {}
        self._loaded: List[str] = [prefix] if prefix else []

    def add(self, files: Dict[str, bytes]) -> None:
        """More files; one of the same path replaces the earlier one for imports to come."""
        for path, content in files.items():
            path = normal(path)
            self._files[path] = content
            folder = path.rpartition("/")[0]
            while folder and folder not in self._folders:
                self._folders[folder] = None
                folder = folder.rpartition("/")[0]

    def forget(self) -> None:
        """Takes back every module that was imported from here."""
        for name in self._loaded:
            sys.modules.pop(name, None)
        self._loaded.clear()

    # The finder and loader protocol.

    def find_spec(
        self, name: str, path: Optional[Sequence[str]] = None, target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        """The spec of a module that is here."""
        if not name.startswith(self._prefix):
            return None
        plain = name[len(self._prefix) :]
        if plain.partition(".")[0] in _stdlib.NAMES:
            return None  # never hidden, whether they were imported before or not
        base = plain.replace(".", "/")
        for location, package in ((f"{base}/__init__.py", True), (f"{base}.py", False)):
            if location in self._files:
                spec = ModuleSpec(name, self, origin=location, is_package=package)  # type: ignore[arg-type]
                spec.has_location = True
                if package:
                    spec.submodule_search_locations = [base]
                return spec
        if base in self._folders and self._is_portion(base):
            self._loaded.append(name)
            spec = ModuleSpec(name, None, origin=None, is_package=True)
            spec.submodule_search_locations = [base]
            return spec
        return None

    def create_module(self, spec: ModuleSpec) -> None:
        """The default module."""

    def exec_module(self, module: ModuleType) -> None:
        """Runs a module's code in it."""
        location = module.__spec__.origin if module.__spec__ else None
        if location is None:
            raise ImportError(f"{module.__name__} has no source")
        self._loaded.append(module.__name__)
        if self.builtins is not None:
            module.__dict__["__builtins__"] = self.builtins
        exec(compile(self._files[location], location, "exec", dont_inherit=True), module.__dict__)

    def is_package(self, name: str) -> bool:
        """Whether the module is a package."""
        spec = self.find_spec(name)
        return spec is not None and spec.submodule_search_locations is not None

    def get_filename(self, name: str) -> str:
        """The path of a module's source."""
        spec = self.find_spec(name)
        if spec is None or spec.origin is None:
            raise ImportError(f"no module named {name!r} here", name=name)
        return spec.origin

    def get_code(self, name: str) -> Any:
        """A module's code."""
        location = self.get_filename(name)
        return compile(self._files[location], location, "exec", dont_inherit=True)

    def get_source(self, name: str) -> str:
        """A module's source."""
        from importlib.util import decode_source

        return decode_source(self._files[self.get_filename(name)])

    def get_data(self, path: str) -> bytes:
        """The content of a file."""
        try:
            return self._files[normal(path)]
        except KeyError:
            raise FileNotFoundError(2, "No such file", path) from None

    def get_resource_reader(self, name: str) -> Any:
        """For `importlib.resources`."""
        return Reader(Folder(self, name[len(self._prefix) :].replace(".", "/")))

    def _import(self, name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        """`__import__` for the job's code."""
        top = name.partition(".")[0]
        if level or self.find_spec(self._prefix + top) is None:
            return _import(name, globals, locals, fromlist, level)
        try:
            found = _import(self._prefix + name, globals, locals, fromlist, 0)
        except ModuleNotFoundError as error:
            missing = str(error.name)
            if not missing.startswith(self._prefix):
                raise
            missing = missing[len(self._prefix) :]
            raise ModuleNotFoundError(f"No module named {missing!r}", name=missing) from None
        return found if fromlist else sys.modules[self._prefix + top]

    # Files as a tree.

    def _is_portion(self, folder: str) -> bool:
        """Whether a folder without `__init__.py` holds modules, so that it is a namespace package."""
        return any(path.startswith(folder + "/") and path.endswith(".py") for path in self._files)

    def children(self, folder: str) -> List[str]:
        """The names in a folder."""
        prefix = folder + "/" if folder else ""
        names = {p[len(prefix) :].partition("/")[0]: None for p in self._files if p.startswith(prefix)}
        return list(names)

    def is_folder(self, path: str) -> bool:
        """Whether there is a folder of this path."""
        return path in self._folders or not path

    def is_file(self, path: str) -> bool:
        """Whether there is a file of this path."""
        return path in self._files
