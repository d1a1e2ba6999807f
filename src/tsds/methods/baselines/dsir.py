"""dsir: importance resampling on hashed n-grams (Xie, Santurkar, Ma, Liang 2023, arXiv 2302.03169).

Words and word pairs are hashed to buckets; two bag-of-n-grams models, of the targets and of the pool, give every
candidate the log importance weight sum_b count_b log(p_target(b) / p_pool(b)); Gumbel noise is added and the largest
are taken, which is a draw without replacement in proportion to the weights. The published code has 10,000 buckets for
both kinds; here each kind has 2^13. It also counts punctuation marks as words, and by default leaves out texts of fewer
than 100 words; here nothing holds back short ones, which win: the weight of most texts, a sum, falls with their length.
Targets of weight zero are left out; other weights are ignored.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from tsds.arrays import Array
from tsds.embeddings.encoders.ngrams import Counts, blocks, count_ngrams
from tsds.errors import InputError
from tsds.methods.baselines.chosen import answer_of, best, with_mass
from tsds.methods.problem import Answer, Problem, Texts

_BITS = 13
_SMOOTHING = 1e-8  # as published: keeps a bucket that one side lacks from an infinite weight
_BLOCK = 512
_POOL = "dsir: n-grams of the pool"
#: Counts of the pool are kept up to so many bytes, for the next draw; what is beyond is counted anew each time.
_KEPT_BYTES = 1 << 30


def select(problem: Problem) -> Answer:
    """Gumbel top-B of the log importance weights."""
    if problem.texts is None:
        raise InputError("method dsir reads texts, and the pool is embeddings", remedy="give the pool as records")
    with problem.stages.stage("count n-grams", len(problem.pool)):
        if _POOL not in problem.shared:
            problem.shared[_POOL] = _PoolCounts(problem.texts)
        counted: _PoolCounts = problem.shared[_POOL]
        texts = problem.texts.targets()
        wanted = totals(_counted([[texts[i] for i in with_mass(problem)]]))
        weight = log_importance(counted, wanted, counted.totals)
    noise = np.random.default_rng([problem.seed, 1]).gumbel(size=len(weight))
    return answer_of(problem, best(weight + noise, problem.size), "drawn in proportion to n-gram importance")


def _counted(batches: Iterable[Sequence[str]]) -> Iterable[Counts]:
    return (count_ngrams(block, _BITS) for block in blocks(batches, _BLOCK))


class _PoolCounts:
    """The n-grams of a pool, block by block, as often as they are asked for.

    Args:
      texts: of the pool.

    Attributes:
      totals: [buckets], over all texts.
    """

    def __init__(self, texts: Texts) -> None:
        self._texts, self._kept, self._whole = texts, list[Counts](), True
        self.totals = totals(self._keeping())

    def __iter__(self) -> Iterator[Counts]:
        yield from self._kept
        if not self._whole:
            rest = itertools.islice(blocks(self._texts.pool(), _BLOCK), len(self._kept), None)
            yield from (count_ngrams(block, _BITS) for block in rest)

    def _keeping(self) -> Iterator[Counts]:
        held = 0
        for one in _counted(self._texts.pool()):
            if self._whole:
                small = one.compact()
                held += small.nbytes
                self._whole = held <= _KEPT_BYTES
                if self._whole:
                    self._kept.append(small)
            yield one


def totals(counted: Iterable[Counts]) -> Array:
    """Counts of each bucket over all texts, [buckets]."""
    total = np.zeros(2 << _BITS)
    for one in counted:
        total += np.bincount(one.bucket, weights=one.count, minlength=len(total))
    return total


def log_importance(counted: Iterable[Counts], target: Array, pool: Array) -> Array:
    """The log importance weight of each text.

    Args:
      counted: the texts' counts, block by block.
      target, pool: [buckets], counts of each bucket in the targets and in the pool.
    """
    ratio = np.log(target / target.sum() + _SMOOTHING) - np.log(pool / pool.sum() + _SMOOTHING)
    parts = [np.bincount(one.row, weights=one.count * ratio[one.bucket], minlength=one.texts) for one in counted]
    return np.concatenate(parts)
