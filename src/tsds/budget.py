"""How much is selected: examples, a share of the pool, or tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from tsds.errors import BudgetError

_UNITS = {"": 1, "k": 1_000, "m": 1_000_000, "b": 1_000_000_000}
_REMEDY = "a number of examples (1000), a share of the pool (1%), or tokens (200k-tokens)"


@dataclass(frozen=True)
class Size:
    """A size as asked for.

    Attributes:
      asked: as the user wrote it.
      kind: what `amount` counts: examples, percent of the pool, or tokens.
    """

    asked: str
    kind: Literal["examples", "percent", "tokens"]
    amount: float

    @classmethod
    def parse(cls, size: str | int | float) -> Size:
        """Read a size: 1000, "1000", "10k", "1%", "200k-tokens"; a float between 0 and 1 is a share of the pool.

        Raises:
          BudgetError: if it is none of these, or not positive.
        """
        asked = str(size).strip()
        if isinstance(size, float) and 0 < size < 1:
            return cls(asked, "percent", 100 * size)
        if isinstance(size, float) and size == 1:  # 0.5 is half of the pool
            raise BudgetError("the size 1.0 may be one record or the whole pool", remedy='say 1, or "100%"')
        match = re.fullmatch(
            r"(\d+(?:\.\d+)?|\.\d+)\s*(%|[kmb]?(?:[- ]?tokens?)?)", asked.replace("_", ""), re.IGNORECASE
        )
        if match is None or isinstance(size, bool):
            raise BudgetError(f"the size {asked!r} can't be read", remedy=_REMEDY)
        number, unit = Decimal(match[1]), match[2].lower()  # as a float, 1.005 thousand is no whole number
        if number <= 0:
            raise BudgetError(f"the size is {asked}: nothing would be selected", remedy=_REMEDY)
        if unit == "%":
            if number > 100:
                raise BudgetError(f"the size {asked} is more than the whole pool", remedy="100% at most")
            return cls(asked, "percent", float(number))
        tokens = unit.endswith(("token", "tokens"))
        amount = number * _UNITS[unit[:1] if unit[:1] in ("k", "m", "b") else ""]
        if amount != int(amount):
            raise BudgetError(f"the size {asked!r} is not a whole number", remedy=_REMEDY)
        return cls(asked, "tokens" if tokens else "examples", float(amount))

    def examples(self, used: int) -> int:
        """The number of examples, for a pool of `used` records; sizes in tokens have none.

        Raises:
          BudgetError: if a share of the pool rounds to no example.
        """
        if self.kind != "percent":
            return int(self.amount)
        count = int(self.amount / 100 * used + 0.5)
        if count == 0:
            raise BudgetError(f"{self.asked} of {used:,} records is less than one", remedy="ask for a larger share")
        return count
