"""State: a table of some megabytes, of which each call changes one value."""

TABLE = {number: f"the value of number {number}: " + "x" * 100 for number in range(40_000)}


def remember(number: int) -> int:
    TABLE[number % len(TABLE)] = f"seen {number}"
    return number
