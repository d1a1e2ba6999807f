"""Sizes as they are asked for."""

from __future__ import annotations

import pytest

from tsds.budget import Size
from tsds.errors import BudgetError


def test_decimal_sizes_are_whole_numbers_where_they_are() -> None:
    for unit, times in (("k", 1_000), ("m", 1_000_000)):
        for thousandths in range(1, 40_000, 7):
            amount = thousandths * times // 1000
            for tail in ("", "-tokens"):
                assert Size.parse(f"{thousandths // 1000}.{thousandths % 1000:03}{unit}{tail}").amount == amount
    assert Size.parse("12.5%").examples(80) == 10
    with pytest.raises(BudgetError, match=r"'1\.0005k' is not a whole number"):
        Size.parse("1.0005k")
