"""The standard modules that every sandbox has imported when it starts.

A module imported here costs a sandbox nothing: its objects are part of the image. Every other pure-Python module of the
standard library can still be imported, from memory, and costs its own execution then.
"""

from __future__ import annotations

import importlib

MODULES: tuple[str, ...] = (
    "abc",
    "annotationlib",
    "array",
    "ast",
    "base64",
    "binascii",
    "bisect",
    "calendar",
    "cmath",
    "codecs",
    "collections",
    "collections.abc",
    "contextlib",
    "contextvars",
    "copy",
    "csv",
    "dataclasses",
    "datetime",
    "decimal",
    "difflib",
    "email.message",
    "email.utils",
    "enum",
    "errno",
    "fnmatch",
    "fractions",
    "functools",
    "gc",
    "graphlib",
    "gzip",
    "hashlib",
    "heapq",
    "hmac",
    "html",
    "html.entities",
    "html.parser",
    "importlib",
    "importlib.util",
    "inspect",
    "io",
    "ipaddress",
    "itertools",
    "json",
    "keyword",
    "linecache",
    "locale",
    "logging",
    "marshal",
    "math",
    "numbers",
    "operator",
    "os",
    "os.path",
    "pickle",
    "pprint",
    "queue",
    "quopri",
    "random",
    "re",
    "reprlib",
    "secrets",
    "shlex",
    "statistics",
    "string",
    "struct",
    "sys",
    "textwrap",
    "threading",
    "time",
    "token",
    "tokenize",
    "tomllib",
    "traceback",
    "types",
    "typing",
    "unicodedata",
    "urllib.parse",
    "uuid",
    "warnings",
    "weakref",
    "xml.etree.ElementTree",
    "zlib",
    "zoneinfo",
    # Imported by the standard library itself, late: by strptime, by open() and str.encode() of these codecs.
    "_strptime",
    "encodings.ascii",
    "encodings.cp1252",
    "encodings.idna",
    "encodings.latin_1",
    "encodings.punycode",
    "encodings.utf_16",
    "encodings.utf_16_be",
    "encodings.utf_16_le",
    "encodings.utf_32",
    "encodings.utf_8_sig",
)


def preload() -> None:
    """Import all of them.

    Raises:
        ImportError: when a module is missing, which fails the build of the image.
    """
    for name in MODULES:
        importlib.import_module(name)
