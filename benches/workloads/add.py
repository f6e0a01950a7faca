"""One addition: nearly all of the cost is the way of a row into Python and back."""


def add(x: int) -> int:
    return x + 1
