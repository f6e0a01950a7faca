"""Makes every sandbox seed `random` for itself, and every copy of a sandbox anew.

The generator behind `random.random()` and its siblings is part of the image; left alone, all sandboxes would draw the
same numbers. Seeding asks the host ten times for randomness, too much for sandboxes that never draw any, so the
functions of the generator are taken out of the module and come back, seeded, when the first of them is asked for.

`random.seed()` stays: while nothing has been drawn there is nothing to seed. componentize-py calls it in each sandbox
before the first request.

`os.urandom`, and with it `secrets` and `uuid.uuid4`, asks the host each time and needs nothing of this.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import uuid
from typing import Any

_lock = threading.Lock()


class FreshRandom:
    """The generator's functions while they are out of the module, and what is known of its seed."""

    def __init__(self, generator: random.Random, hidden: dict[str, Any]) -> None:
        self._generator = generator
        self._hidden = hidden
        self._in_use = False
        self._seeded_on_purpose = False

    def seed(self, a: Any = None, version: int = 2) -> None:
        """`random.seed`: a seed of the code's own makes the sequence one that it relies on."""
        if a is None and not self._in_use:
            return
        self._bring_all_back()
        self._generator.seed(a, version)
        self._seeded_on_purpose = a is not None

    def setstate(self, state: Any) -> None:
        """`random.setstate`: as with a seed."""
        self._bring_all_back()
        self._generator.setstate(state)
        self._seeded_on_purpose = True

    def _bring_all_back(self) -> None:
        with _lock:
            if not self._in_use:
                self._generator.seed()
                self._in_use = True
                vars(random).update(self._hidden)
                vars(random).pop("__getattr__", None)

    def bring_back(self, name: str) -> Any:
        """The module's `__getattr__` until one of the functions is used (PEP 562)."""
        if name not in self._hidden:
            raise AttributeError(f"module 'random' has no attribute {name!r}")
        self._bring_all_back()
        return self._hidden[name]

    def is_due(self) -> bool:
        """Whether a copy of the sandbox made now would draw numbers that its origin draws too."""
        return self._in_use or uuid._node is not None or uuid._last_timestamp_v7 is not None

    def renew(self, fork: bool) -> None:
        """Seed anew, as `os.fork` would in a child. A sequence that the code has seeded itself goes on in a copy that
        replaces or joins the origin, and is renewed in a `fork`. Generators that the code made are its own business.
        """
        if self._in_use and (fork or not self._seeded_on_purpose):
            self._generator.seed(int.from_bytes(os.urandom(32), "little"))
            self._seeded_on_purpose = False
        # uuid1 and uuid7 tell sandboxes apart by these.
        uuid._node = None
        uuid._last_timestamp_v7 = None


def install() -> FreshRandom:
    """Take the generator out of `random`.

    Raises:
        RuntimeError: when another module holds on to a function of the generator, which fails the build of the image.
    """
    generator = random._inst
    hidden: dict[str, Any] = {
        name: value
        for name, value in vars(random).items()
        if value is generator or getattr(value, "__self__", None) is generator
    }
    for module in list(sys.modules.values()):
        for name, value in list(vars(module).items()):
            if module is not random and getattr(value, "__self__", None) is generator:
                raise RuntimeError(f"{module.__name__}.{name} draws from a generator with a seed of the image")
    for name in hidden:
        delattr(random, name)
    # These two do not draw.
    del hidden["seed"], hidden["setstate"]
    fresh = FreshRandom(generator, hidden)
    vars(random).update(seed=fresh.seed, setstate=fresh.setstate)
    vars(random)["__getattr__"] = fresh.bring_back
    return fresh
