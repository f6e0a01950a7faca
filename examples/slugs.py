"""Packages from an index inside the sandbox: pure Python ones work in wasm mode. See slugs-requirements.txt."""

from __future__ import annotations

from slugify import slugify


def slug(title: str | None) -> str | None:
    """The title as it would stand in an address."""
    return None if title is None else slugify(title)
