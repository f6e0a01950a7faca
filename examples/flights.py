"""Several columns, dates and NULLs: what flights lose on their way."""

from __future__ import annotations

from datetime import datetime, timedelta

MILES_A_MINUTE = 7.8


def minutes_a_thousand_miles(delay: int, distance: int) -> int:
    """Minutes of delay for each thousand miles, rounded down."""
    return delay * 1000 // distance


def grade(delay: int | None, distance: int | None, tolerance: int = 15) -> str | None:
    """How late a flight is, or NULL if it is not known or the flight is too short to tell."""
    if delay is None or distance is None or distance < 100:
        return None
    if delay <= 0:
        return "early"
    return "on time" if delay <= tolerance else "late"


def due(date: datetime, delay: int, distance: int) -> datetime:
    """When the flight should have arrived: departure, without the delay, and the way."""
    return date - timedelta(minutes=delay) + timedelta(minutes=round(distance / MILES_A_MINUTE))


def is_weekend(date: datetime) -> bool:
    """Whether the flight leaves on a Saturday or Sunday."""
    return date.weekday() >= 5
