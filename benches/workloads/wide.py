"""A struct of 16 fields in, another out."""

from cloister import DataTypes, Row, udf

_WIDE = DataTypes.ROW([
    DataTypes.FIELD(f"{kind}{index}", data_type)
    for index in range(4)
    for kind, data_type in (
        ("count", DataTypes.BIGINT()),
        ("ratio", DataTypes.DOUBLE()),
        ("label", DataTypes.STRING()),
        ("seen", DataTypes.BOOLEAN()),
    )
])


@udf(result_type=_WIDE)
def wide(row: Row) -> Row:
    values = list(row)
    values[0] = row.count0 + 1
    values[2] = row.label3
    return Row(*values)
