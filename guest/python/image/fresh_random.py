"""Makes every sandbox seed `random` for itself.

The generator behind `random.random()` and its siblings is part of the image; left alone, all sandboxes would draw the
same numbers. Seeding asks the host ten times for randomness, too much for sandboxes that never draw any, so the
functions of the generator are taken out of the module and come back, seeded, when the first of them is asked for.
"""

from __future__ import annotations

import random
import sys
import threading
from typing import Any

_lock = threading.Lock()


def install() -> None:
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

    def bring_back(name: str) -> Any:
        """The module's `__getattr__` until one of the functions is used (PEP 562)."""
        if name not in hidden:
            raise AttributeError(f"module 'random' has no attribute {name!r}")
        with _lock:
            if name not in vars(random):
                generator.seed()
                vars(random).update(hidden)
                vars(random).pop("__getattr__", None)
        return hidden[name]

    for name in hidden:
        delattr(random, name)
    vars(random)["__getattr__"] = bring_back
