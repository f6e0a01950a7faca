"""Decimals and dates: the price of a day, rounded half to even."""

from datetime import date
from decimal import Decimal

from cloister import DataTypes, udf

_CENT = Decimal("0.01")
_WEEKEND = Decimal("0.95")


@udf(result_type=DataTypes.DECIMAL(18, 2))
def price(amount: Decimal, day: date) -> Decimal:
    if day.weekday() >= 5:
        amount = (amount * _WEEKEND).quantize(_CENT)
    return amount
