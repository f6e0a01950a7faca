"""Gives `zoneinfo` its data from memory: there is no zone database to open in a sandbox.

The build writes the database as one file: the length of the index (4 bytes, little endian), the index (a line per zone:
name, offset, length, separated by tabs) and the TZif data, to which the offsets refer.
"""

from __future__ import annotations

import io
import zoneinfo
import zoneinfo._common
import zoneinfo._tzpath
from typing import IO


class Zones:
    """The zone database: one block of bytes and an index."""

    def __init__(self, path: str) -> None:
        with open(path, "rb") as file:
            content = file.read()
        start = 4 + int.from_bytes(content[:4], "little")
        self._data = content[start:]
        self._index: dict[str, tuple[int, int]] = {}
        for line in content[4:start].decode("ascii").splitlines():
            name, offset, length = line.split("\t")
            self._index[name] = (int(offset), int(length))

    def load_tzdata(self, key: str) -> IO[bytes]:
        """The TZif data of a zone, as a file object.

        Raises:
            zoneinfo.ZoneInfoNotFoundError: when there is no such zone.
        """
        found = self._index.get(key)
        if found is None:
            raise zoneinfo.ZoneInfoNotFoundError(f"No time zone found with key {key}")
        offset, length = found
        return io.BytesIO(self._data[offset : offset + length])

    def available_timezones(self) -> set[str]:
        """The names of all zones."""
        return set(self._index)

    def install(self) -> None:
        """Make `zoneinfo` read from here and from nowhere else."""
        zoneinfo.reset_tzpath(to=[])
        # Looked up in the module at each use, by the C implementation too.
        vars(zoneinfo._common)["load_tzdata"] = self.load_tzdata
        zoneinfo._tzpath.available_timezones = self.available_timezones
        zoneinfo.available_timezones = self.available_timezones
