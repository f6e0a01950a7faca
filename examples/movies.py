"""JSON documents as lines, structured results, and titles that are not ASCII."""

from __future__ import annotations

import json
import unicodedata

from cloister import DataTypes, Row, udf

_RESULT = DataTypes.ROW([
    DataTypes.FIELD("title", DataTypes.STRING()),
    DataTypes.FIELD("year", DataTypes.INT()),
    DataTypes.FIELD("profit", DataTypes.BIGINT()),
])


@udf(result_type=_RESULT)
def facts(line: str) -> Row:
    """Title, year and profit of a movie, each of them NULL if the document does not say."""
    movie = json.loads(line)
    released, budget, gross = movie["Release Date"], movie["Production Budget"], movie["Worldwide Gross"]
    year = int(released[-4:]) if released else None
    profit = gross - budget if gross is not None and budget is not None else None
    # A few titles are numbers.
    title = None if movie["Title"] is None else str(movie["Title"])
    return Row(title=title, year=year, profit=profit)


def plain(title: str | None) -> str | None:
    """The title in ASCII: accents are dropped."""
    if title is None:
        return None
    return unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
