"""Packages from an index inside the sandbox: pure Python ones work in wasm mode. See slugs-requirements.txt."""

from typing import Optional

from slugify import slugify


def slug(title: Optional[str]) -> Optional[str]:
    """The title as it would stand in an address."""
    return None if title is None else slugify(title)
