"""The guest's part in the making of the memory that sandboxes start with: see `host/runtime/src/wasm/bake/`.

A sandbox shares the image's pages until it writes to one; each first write costs a page fault and 4 KiB of private
memory. What would write all over the heap: reference counts of objects that are merely looked at, bytecode that counts
how often it ran until it adapts to the types that it meets, and new objects in the holes that earlier ones left. So
every object becomes immortal, the code that each job runs lies together, and the holes are filled (by the host).

The host asks for this once, in phases, and not in any sandbox of a job.
"""

from __future__ import annotations

import gc
import linecache
import sys
import types
from array import array
from typing import Any, Callable, Dict, List, Tuple

from cloister import _harness

#: The operation with which the host asks, with the phase as its argument.
OPERATION = 40

#: Young objects that may pile up before the cycle collector looks at them. The default, 2,000, suits a heap whose
#: long-lived objects the collector has seen; after `gc.freeze` a job's growing state would be scanned again and again.
GC_THRESHOLD = 50_000

#: What was replaced or is immortal, and everything that it refers to: a reference count that is set in freed memory
#: would destroy what lies there then.
_kept: List[Any] = []

_NOT_IMMORTAL = (types.FrameType, types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)


def install(start_over: Callable[[], None]) -> None:
    """Answer the host's requests until the last phase. `start_over` makes the harness of the sandboxes."""
    used: Dict[int, types.CodeType] = {}
    before: Dict[int, bytes] = {}

    def note(frame: types.FrameType, event: str, _argument: Any) -> None:
        code = frame.f_code
        if event == "call" and id(code) not in used:
            used[id(code)] = code
            before[id(code)] = code._co_code_adaptive

    def watch_code() -> Any:
        sys.setprofile(note)

    def gather() -> Any:
        sys.setprofile(None)
        # What still adapts, and is therefore written to, comes first.
        _move(sorted(used.values(), key=lambda code: code._co_code_adaptive == before[id(code)]))
        used.clear()
        before.clear()

    def settle() -> Any:
        for name in [name for name in sys.modules if name.startswith("cloister_job_")]:
            del sys.modules[name]
        linecache.clearcache()
        gc.set_threshold(GC_THRESHOLD)
        # What exists now lives as long as the sandbox; the collector need not touch its pages.
        gc.freeze()

    def finish() -> Any:
        del _harness._OPERATIONS[OPERATION]
        start_over()
        # This empties the interpreter's lists of free objects, which lie anywhere.
        gc.collect()

    phases: Tuple[Callable[[], Any], ...] = (watch_code, gather, _addresses, settle, finish)
    _harness._OPERATIONS[OPERATION] = lambda _harness, phase: (0, phases[phase]())


def _addresses() -> bytes:
    gc.collect()
    found = _reachable()
    _kept.append(found)
    # In CPython the identity of an object is its address.
    return array("I", map(id, found)).tobytes()


def _move(used: List[types.CodeType]) -> None:
    """Give every function whose code is in `used` a copy of it. The copies are made one after the other, so that they lie
    beside each other; the code of a whole library is spread over megabytes.
    """
    copies: Dict[int, types.CodeType] = {}

    def copy(code: types.CodeType) -> types.CodeType:
        made = copies.get(id(code))
        if made is None:
            constants = tuple(copy(c) if isinstance(c, types.CodeType) else c for c in code.co_consts)
            made = copies[id(code)] = code.replace(co_consts=constants)
        return made

    for code in used:
        copy(code)
    _kept.append((used, copies))
    for item in gc.get_objects():
        if type(item) is types.FunctionType:
            made = copies.get(id(item.__code__))
            if made is not None:
                item.__code__ = made


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
        others = gc.get_referents(item)
        if isinstance(item, types.CodeType):
            # The collector does not look into code.
            others += (item.co_consts, item.co_names, item.co_filename, item.co_name, item.co_qualname)
            others += (item.co_linetable, item.co_exceptiontable)
        for other in others:
            if id(other) not in seen:
                seen.add(id(other))
                found.append(other)
    passing.update((id(passing), id(item), id(others)))
    return [item for item in found if id(item) not in passing and not isinstance(item, _NOT_IMMORTAL)]
