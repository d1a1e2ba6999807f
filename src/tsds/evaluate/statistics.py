"""Means, intervals, paired bootstrap, wins, ties and losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from tsds.arrays import Array
from tsds.compare.statistics import Interval

__all__ = ["Interval", "Paired", "Record", "bootstrap", "by_seed", "record_of", "said_by_seed"]

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
        low, high = bootstrap(gaps)
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
      mean, low, high: of the differences, each target weighing the same; bootstrap over the seeds.
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


def bootstrap(values: Array, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of the mean, resampling seeds; of few all resamples are gone through, every way to take n of n.

    Args:
      values: [seeds].
    """
    n = len(values)
    if n**n <= _RESAMPLES:
        means = np.array([np.mean(one) for one in product(values, repeat=n)])
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
    low, high = bootstrap(said)
    return Record(
        mean, low, high, verdicts.count("win"), verdicts.count("tie"), verdicts.count("loss"), min(map(len, gaps))
    )
