"""Allocates in every way that the interpreter has. The image and its component must give the same answers.

Contents are checked by digest, so that two blocks that overlap, or one that is lost in a resize, show.
"""

from __future__ import annotations

import random
import zlib
from array import array
from typing import Any


def contents(x: int) -> str:
    """Blocks of all sizes around the classes' edges, made, resized and freed in an order of chance."""
    chance = random.Random(x)
    live: list[bytearray] = []
    digest = 0
    for step in range(4_000):
        choice = chance.random()
        if choice < 0.5 or not live:
            size = chance.choice((chance.randrange(0, 40), chance.randrange(200, 300), chance.randrange(0, 6000)))
            live.append(bytearray([step & 255]) * size)
        elif choice < 0.75:
            block = live[chance.randrange(len(live))]
            before = bytes(block[:8])
            if chance.random() < 0.5:
                block.extend(bytes([step & 255]) * chance.randrange(0, 400))
            else:
                del block[chance.randrange(0, len(block) + 1) :]
            assert block[: len(before)] == before[: len(block)]
        else:
            block = live.pop(chance.randrange(len(live)))
            digest = zlib.crc32(block, digest)
    for block in live:
        digest = zlib.crc32(block, digest)
    return f"{digest:08x} {len(live)}"


def objects(x: int) -> str:
    """Objects of many classes at once; none shares memory with another, all are aligned."""
    made: list[Any] = []
    for i in range(x, x + 3_000):
        made += [i + 10**6, i / 3, str(i), (i, i), [i] * (i % 70), {i: i}, {str(i)}, b"%d" % i, complex(i, 1), 1 << i % 900]
    assert len({id(item) for item in made}) >= len(made) - 400, "only small ints and the like are shared"
    # Those of static objects, which are among the others, is the linker's choice.
    assert all(id(item) % 8 == 0 for item in made if type(item) in (float, list, dict, complex))
    text = repr(made[::7])
    # Every second one goes, and others take the places.
    made[::2] = [None] * len(made[::2])
    made += [{i: [i, str(i)]} for i in range(2_000)]
    return f"{zlib.crc32(text.encode()):08x} {zlib.crc32(repr(made).encode()):08x}"


def grown(x: int) -> str:
    """Containers of the image's, whose blocks are older than the allocator, grow and shrink."""
    import json.decoder
    import string

    digest = 0
    for namespace in (json.decoder.__dict__, string.__dict__):
        before = len(namespace)
        for i in range(500):
            namespace[f"name{i}_{x}"] = i
        digest = zlib.crc32(repr(len(namespace)).encode(), digest)
        for i in range(500):
            del namespace[f"name{i}_{x}"]
        assert len(namespace) == before
    numbers = array("q", range(10))
    for i in range(2_000):
        numbers.append(i * x)
    while len(numbers) > 3:
        del numbers[len(numbers) // 2 :]
    return f"{digest:08x} {numbers.tolist()}"


def too_much(x: int) -> str:
    """What cannot be had is a MemoryError, and harms nothing."""
    refused = 0
    for make in (lambda: bytes(1 << 31), lambda: [None] * (1 << 29), lambda: bytearray(1 << 30) * 8):
        try:
            make()
        except (MemoryError, OverflowError):
            refused += 1
    return f"{refused} {contents(x)}"


def numbers(x: int) -> int:
    """A million ints, freed again."""
    return len([i + 10**6 for i in range(x)])


def large(x: int) -> int:
    """One block."""
    return len(bytes(x))
