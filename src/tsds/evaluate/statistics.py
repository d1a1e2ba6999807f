"""Means, intervals, paired bootstrap, wins, ties and losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tsds.arrays import Array
from tsds.comparing.statistics import Interval, t95

__all__ = ["Interval", "Paired", "Record", "bootstrap", "by_seed", "interval95", "record_of", "said_by_seed"]

#: Up to this many resamples all are gone through; beyond it as many are drawn.
_RESAMPLES = 10_000


@dataclass(frozen=True)
class Paired:
    """The difference of two methods on the same seeds.

    Attributes:
      mean: of the differences.
      low, high: 95 % interval, as `interval95`.
      pairs: how many.
      ahead: in how many the first is better.
    """

    mean: float
    low: float
    high: float
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
        low, high = interval95(gaps, len(seeds))
        ahead = int((gaps < 0).sum() if lower else (gaps > 0).sum())
        return cls(float(gaps.mean()), low, high, len(seeds), ahead)

    def verdict(self, *, lower: bool) -> str:
        """ "win" or "loss" where the interval leaves out zero, else "tie"; one pair alone decides nothing."""
        if self.pairs < 2 or self.low <= 0 <= self.high:
            return "tie"
        return "win" if (self.high < 0) == lower else "loss"


@dataclass(frozen=True)
class Record:
    """How a method did against another over several targets and sizes.

    Attributes:
      mean, low, high: of the differences, each target weighing the same; the interval as `interval95`.
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


def interval95(values: Array, seeds: int) -> tuple[float, float]:
    """The 95 % interval of the mean: as far as the paired bootstrap reaches, or Student's t where that reaches farther.

    Of five normal seeds the bootstrap alone holds the truth in 84 of 100 cases, of three in 76. That of t relies on
    their being normal.

    Args:
      values: [seeds].
      seeds: how many count for the freedom of t: the fewest of a target; of one the interval is the mean itself.
    """
    mean = float(values.mean())
    if seeds < 2:
        return mean, mean
    low, high = bootstrap(values)
    reach = t95(seeds - 1) * Interval.of(values).error
    return min(low, mean - reach), max(high, mean + reach)


def bootstrap(values: Array, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of the mean, resampling seeds; of few all resamples are gone through, every way to take n of n.

    Args:
      values: [seeds].
    """
    n = len(values)
    if n**n <= _RESAMPLES:
        means = values[np.indices((n,) * n).reshape(n, -1)].mean(axis=0)
    else:
        rng = np.random.default_rng([seed, 29])
        means = values[rng.integers(0, n, (_RESAMPLES, n))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975], method="inverted_cdf")
    return float(low), float(high)


def said_by_seed(groups: Sequence[Mapping[int, float]]) -> Array:
    """What each seed says of the mean of the groups' means, [seeds]; their mean is that.

    An arm that doesn't look at the target is one model a seed for all of them, whose luck is in every group: a seed is
    one draw, of all groups that have it. Of groups of the same seeds it says the mean over them. Where some lack seeds,
    deviations from a group's mean are weighted so that the variance of the mean comes out right, whether groups share
    all their seeds, some or none.

    Args:
      groups: differences by seed.
    """
    seeds = sorted(set().union(*groups))
    n = len(seeds)
    said = np.full(n, np.mean([np.mean(list(one.values())) for one in groups]))
    for one in groups:
        k = len(one)
        if k > 1:
            values = np.array(list(one.values()))
            weight = np.sqrt(n * (n - 1) / (k * (k - 1))) / len(groups)
            said[np.searchsorted(seeds, list(one))] += weight * (values - values.mean())
    return said


def by_seed(tables: Sequence[dict[int, float]]) -> dict[int, float]:
    """The mean over several sizes of one target of each seed's difference, for the seeds that all have.

    The sizes of a seed share its examples: taken for draws of their own they would make an interval too narrow.
    """
    shared = sorted(set.intersection(*(set(one) for one in tables)))
    return {seed: float(np.mean([one[seed] for one in tables])) for seed in shared}


def record_of(gaps: Sequence[Mapping[int, float]], verdicts: Sequence[str]) -> Record:
    """The record over targets.

    Args:
      gaps: the differences of each, by seed.
      verdicts: of each target and size.
    """
    said = said_by_seed(gaps)
    mean = float(said.mean())
    fewest = min(map(len, gaps))
    low, high = interval95(said, fewest)
    return Record(mean, low, high, verdicts.count("win"), verdicts.count("tie"), verdicts.count("loss"), fewest)
