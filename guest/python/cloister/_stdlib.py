"""The names of the standard library's modules: what a job's files never hide, and what no package index has."""

from __future__ import annotations

import os
import sys
from typing import FrozenSet

__all__ = ["NAMES"]


def _listed() -> FrozenSet[str]:
    """For Python 3.9, which does not have `sys.stdlib_module_names`."""
    found = set(sys.builtin_module_names)
    for directory in (os.path.dirname(os.__file__), os.path.join(os.path.dirname(os.__file__), "lib-dynload")):
        try:
            found.update(name.partition(".")[0] for name in os.listdir(directory))
        except OSError:
            pass
    return frozenset(found - {"site-packages", "dist-packages", "__pycache__"})


NAMES: FrozenSet[str] = getattr(sys, "stdlib_module_names", None) or _listed()
