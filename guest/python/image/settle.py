"""Leaves the heap as a sandbox should find it: what exists is never written to, and new objects lie close together.

A sandbox shares the image's pages until it writes to one; each first write costs a page fault and 4 KiB of private
memory. Two things would write all over the heap: reference counts of objects that are merely looked at, and new
objects that fill the holes which the imports left. So the build makes every object of the image immortal (this module
says where they are, `guest/build/immortal.rs` sets their counts), and the holes are filled here.
"""

from __future__ import annotations

import gc
import types
from array import array
from typing import Any, List

#: Everything that is made immortal or fills a hole. It must be alive when the snapshot is taken: a reference count
#: that is set in freed memory would destroy what lies there then.
_kept: List[Any] = []

#: Sizes of the largest hole that is filled, of the step between sizes below it, and where steps become fine.
_LARGEST, _FINE = 1 << 19, 1 << 10

_NOT_IMMORTAL = (types.FrameType, types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)


def write_addresses(path: str) -> None:
    """Write the addresses of all objects that live as long as the image to a file of 32-bit words."""
    gc.collect()
    found = _reachable()
    _kept.append(found)
    with open(path, "wb") as file:
        # In CPython the identity of an object is its address.
        array("I", map(id, found)).tofile(file)


def _reachable() -> List[Any]:
    """All objects that the collector knows, and all that these refer to."""
    found = gc.get_objects()
    seen = {id(item) for item in found}
    # What belongs to this walk, or to the stack that it stands on, ends soon.
    passing = {id(found), id(seen)}
    at = 0
    while at < len(found):
        item = found[at]
        at += 1
        if isinstance(item, _NOT_IMMORTAL):
            continue
        for other in gc.get_referents(item):
            if id(other) not in seen:
                seen.add(id(other))
                found.append(other)
    passing.update((id(passing), id(item)))
    return [item for item in found if id(item) not in passing and not isinstance(item, _NOT_IMMORTAL)]


def fill_holes() -> None:
    """Use up every free block below the heap's top, so that later ones come from one untouched region."""
    gc.collect()
    boundary = bytes(2 * _LARGEST)
    size = _LARGEST
    while size > 0:
        block = bytes(size)
        if id(block) < id(boundary):
            _kept.append(block)
            continue
        size -= max(size // 16, 8) if size > _FINE else 8
    # The smallest object there is fills what is too small for bytes.
    while id(block := object()) < id(boundary):
        _kept.append(block)
