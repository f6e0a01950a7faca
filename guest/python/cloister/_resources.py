"""Files in memory as `importlib.resources` sees them. Duck-typed: its base classes are slow to import, and only the
methods are ever used.
"""

from __future__ import annotations

import io
from typing import Any, Iterator, List, Optional, Protocol

__all__ = ["Files", "Folder", "Reader", "normal"]


class Files(Protocol):
    """A tree of files."""

    def children(self, folder: str) -> List[str]:
        """The names in a folder."""

    def is_folder(self, path: str) -> bool:
        """Whether there is a folder of this path."""

    def is_file(self, path: str) -> bool:
        """Whether there is a file of this path."""

    def get_data(self, path: str) -> bytes:
        """The content of a file, or `FileNotFoundError`."""


class Folder:
    """A file or folder in memory, with the methods of `importlib.resources.abc.Traversable`."""

    def __init__(self, files: Files, path: str) -> None:
        self._files = files
        self._path = path
        self.name = path.rpartition("/")[2]

    def iterdir(self) -> Iterator[Folder]:
        """What is in this folder."""
        if not self.is_dir():
            raise NotADirectoryError(20, "Not a directory", self._path)
        return iter([self._child(name) for name in self._files.children(self._path)])

    def _child(self, name: str) -> Folder:
        return Folder(self._files, normal(f"{self._path}/{name}"))

    def joinpath(self, *names: Any) -> Folder:
        """A path below this one."""
        found = self
        for name in names:
            found = found._child(str(name))
        return found

    def __truediv__(self, name: Any) -> Folder:
        return self.joinpath(name)

    def is_dir(self) -> bool:
        """Whether this is a folder."""
        return self._files.is_folder(self._path)

    def is_file(self) -> bool:
        """Whether this is a file."""
        return self._files.is_file(self._path)

    def read_bytes(self) -> bytes:
        """The content."""
        return self._files.get_data(self._path)

    def read_text(self, encoding: Optional[str] = None, errors: Optional[str] = None) -> str:
        """The content as text."""
        return self.read_bytes().decode(encoding or "utf-8", errors or "strict")

    def open(self, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        """A stream of the content."""
        stream = io.BytesIO(self.read_bytes())
        return stream if "b" in mode else io.TextIOWrapper(stream, *args, **({"encoding": "utf-8"} | kwargs))

    def __str__(self) -> str:
        return self._path

    def __repr__(self) -> str:
        return f"Folder({self._path!r})"


class Reader:
    """The resource reader of one package."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def files(self) -> Folder:
        """The folder of the package."""
        return self._folder

    # What `importlib.resources` used before `files`.

    def open_resource(self, name: str) -> Any:
        """A stream of a file's bytes."""
        return self._folder.joinpath(name).open("rb")

    def resource_path(self, name: str) -> str:
        """Files in memory have no path."""
        raise FileNotFoundError(2, "Not in the file system", name)

    def is_resource(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return self._folder.joinpath(name).is_file()

    def contents(self) -> Iterator[str]:
        """The names of files and folders."""
        return (entry.name for entry in self._folder.iterdir())


def normal(path: str) -> str:
    """The path without `.`, `..` and doubled slashes; it never leaves the root."""
    parts: List[str] = []
    for part in path.replace("\\", "/").split("/"):
        if part == "..":
            del parts[-1:]
        elif part and part != ".":
            parts.append(part)
    return "/".join(parts)
