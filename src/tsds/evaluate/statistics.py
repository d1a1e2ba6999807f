"""Means, intervals, paired bootstrap, wins, ties and losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from tsds.arrays import Array
from tsds.compare.statistics import Interval

__all__ = ["Interval", "Paired", "Record", "bootstrap", "record_of"]

#: Up to this many resamples all are gone through; beyond it as many are drawn.
_RESAMPLES = 10_000


@dataclass(frozen=True)
class Paired:
    """The difference of two methods on the same seeds.

    Attributes:
      mean: of the differences.
      low, high: 95 % interval by the paired bootstrap, which is too narrow for a few pairs.
      t_low, t_high: the same by Student's t.
      pairs: how many.
      ahead: in how many the first is better.
    """

    mean: float
    low: float
    high: float
    t_low: float
    t_high: float
    pairs: int
    ahead: int

    @classmethod
    def of(cls, mine: dict[int, float], theirs: dict[int, float], *, lower: bool) -> Paired | None:
        """Of values by seed, on the seeds that both have; None without one.

        Args:
          lower: whether less is better.
        """
        seeds = sorted(mine.keys() & theirs.keys())
        if not seeds:
            return None
        gaps = np.array([mine[seed] - theirs[seed] for seed in seeds])
        low, high = bootstrap([gaps])
        student = Interval.of(gaps)
        ahead = int((gaps < 0).sum() if lower else (gaps > 0).sum())
        return cls(float(gaps.mean()), low, high, student.low, student.high, len(seeds), ahead)

    def verdict(self, *, lower: bool) -> str:
        """ "win" or "loss" where both intervals leave out zero, else "tie"; one pair alone decides nothing.

        By the bootstrap alone every other comparison of two seeds without any difference would be one, of five every
        sixth.
        """
        if self.pairs < 2 or any(a <= 0 <= b for a, b in ((self.low, self.high), (self.t_low, self.t_high))):
            return "tie"
        return "win" if (self.high < 0) == lower else "loss"


@dataclass(frozen=True)
class Record:
    """How a method did against another over several targets and sizes.

    Attributes:
      mean, low, high: of the differences, each target weighing the same; bootstrap over the seeds of each.
      wins, ties, losses: how many of the targets and sizes.
      seeds: the fewest of a target; of one, low and high are the mean itself and tell nothing.
    """

    mean: float
    low: float
    high: float
    wins: int
    ties: int
    losses: int
    seeds: int


def bootstrap(groups: Sequence[Array], seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of the mean of the groups' means, resampling within each group.

    A single small group is gone through exactly: every way to draw n of its n values with repeats.

    Args:
      groups: differences, [n] each.
    """
    if len(groups) == 1 and len(groups[0]) ** len(groups[0]) <= _RESAMPLES:
        values = groups[0]
        means = np.array([np.mean(one) for one in product(values, repeat=len(values))])
    else:
        rng = np.random.default_rng([seed, 29])
        drawn = [values[rng.integers(0, len(values), (_RESAMPLES, len(values)))].mean(axis=1) for values in groups]
        means = np.mean(drawn, axis=0)
    low, high = np.quantile(means, [0.025, 0.975], method="inverted_cdf")
    return float(low), float(high)


def by_seed(tables: Sequence[dict[int, float]]) -> Array:
    """The mean over several sizes of one target of each seed's difference, [seeds], for the seeds that all have.

    The sizes of a seed share its examples: taken for draws of their own they would make an interval too narrow.
    """
    shared = sorted(set.intersection(*(set(one) for one in tables)))
    return np.array([np.mean([one[seed] for one in tables]) for seed in shared])


def record_of(gaps: Sequence[Array], verdicts: Sequence[str]) -> Record:
    """The record over targets.

    Args:
      gaps: the differences of each, [seeds] each.
      verdicts: of each target and size.
    """
    low, high = bootstrap(gaps)
    mean = float(np.mean([values.mean() for values in gaps]))
    return Record(
        mean, low, high, verdicts.count("win"), verdicts.count("tie"), verdicts.count("loss"), min(map(len, gaps))
    )
