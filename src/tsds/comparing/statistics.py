"""Means, intervals and paired differences over folds and draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tsds.arrays import Array

#: 97.5 % quantiles of Student's t for 1, 2, ... degrees of freedom.
_T95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


@dataclass(frozen=True)
class Interval:
    """A mean with its standard error and 95 % interval (Student's t over the cells).

    Folds of one draw share targets, so that cells are not quite independent and the interval is a little narrow.
    Another draw deals the same targets again, which is no new evidence: error and freedom are those of one draw, its
    variance averaged over draws.

    Attributes:
      mean, error: of the cells.
      low, high: the interval; the mean itself where there is one cell, which says nothing about others.
      count: of cells.
    """

    mean: float
    error: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Array) -> Interval:
        """Of [cells], or [draws, folds]."""
        mean, n = float(np.mean(values)), values.shape[-1]
        if n < 2:
            return cls(mean, 0.0, mean, mean, values.size)
        error = float(np.sqrt(np.mean(np.var(values, axis=-1, ddof=1)) / n))
        reach = t95(n - 1) * error
        return cls(mean, error, mean - reach, mean + reach, values.size)


def t95(freedom: int) -> float:
    """The 97.5 % quantile of Student's t.

    Beyond the table by the first terms of its expansion around the normal quantile, right to four digits.
    """
    if freedom <= len(_T95):
        return _T95[freedom - 1]
    z = 1.959964
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
