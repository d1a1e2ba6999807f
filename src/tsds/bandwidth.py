"""The bandwidth of the density: how near is a near-duplicate, in the encoder at hand?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsds.distances import from_squares, unit_rows
from tsds.embeddings.scan import Metric
from tsds.errors import InputError
from tsds.records.dialogue import Dialogue, turns_of

#: Edits of a text are near-duplicates up to this quantile of their distances (benchmarks/bandwidth.py).
QUANTILE = 0.95
#: At h = sqrt(2) d the kernel of a pair at distance d is one half.
HALF_WEIGHT = float(np.sqrt(2.0))


@dataclass(frozen=True)
class Bandwidth:
    """h, in the metric's units (0: only exact copies count as duplicates), and how it was found."""

    value: float
    why: str


def perturbed(text: str, rng: np.random.Generator) -> str:
    """A near-duplicate of a text by one to three edits: case, punctuation, white space, a dropped or moved word.

    Of a dialogue one turn is edited, the longer the likelier. An edit that would leave nothing is not made.
    """
    turns = turns_of(text)
    if turns:
        lengths = np.array([len(turn.content) for turn in turns])
        i = int(rng.choice(len(turns), p=lengths / lengths.sum()))
        edited = turns[i]._replace(content=perturbed(turns[i].content, rng))
        return Dialogue([*turns[:i], edited, *turns[i + 1 :]])
    for _ in range(int(rng.integers(1, 4))):
        words = text.split(" ")
        i = int(rng.integers(len(words)))
        kind = int(rng.integers(5))
        if kind == 0 and len(words) > 4:
            del words[i]
        elif kind == 1 and len(words) > 4 and i + 1 < len(words):
            words[i], words[i + 1] = words[i + 1], words[i]
        elif kind == 2:
            words[i] = words[i].swapcase()
        elif kind == 3:
            words[i] = words[i].rstrip(".,;:!?") if words[i][-1:] in ".,;:!?" else words[i] + ","
        else:
            words[i] += " "
        edit = " ".join(words)
        text = edit if edit.strip() else text  # an empty text is no near-duplicate of "."
    return text


def from_texts(
    texts: Sequence[str], encode: Callable[[Sequence[str]], NDArray[np.float32]], metric: Metric, seed: int = 0
) -> Bandwidth:
    """h from near-duplicates made of a sample of the pool's own texts.

    Two edited copies of each text are encoded; h is sqrt(2) times a high quantile of the distances between the two, so
    that even such a pair counts half. Pairs with a zero vector, texts in which the encoder sees nothing, don't count.

    Args:
      texts: a sample of the pool, some hundreds.
      encode: texts to vectors [n, d].
      metric: of the distances.
      seed: of the edits.

    Raises:
      InputError: if the encoder gives NaN or infinity.
    """
    rng = np.random.default_rng(seed)
    first = encode([perturbed(text, rng) for text in texts]).astype(np.float64)
    second = encode([perturbed(text, rng) for text in texts]).astype(np.float64)
    seen = first.any(axis=1) & second.any(axis=1)  # NaN is not zero
    if not seen.any():
        return Bandwidth(0.0, f"the encoder sees nothing in the {len(texts)} texts looked at: only exact copies count")
    first, second = first[seen], second[seen]
    squares = np.square(unit_rows(first, metric) - unit_rows(second, metric)).sum(axis=1)
    d = float(np.quantile(from_squares(squares, metric), QUANTILE))
    h = d * HALF_WEIGHT
    if not np.isfinite(h):
        raise InputError("the encoder gives NaN or infinity for edited texts", remedy="give --bandwidth a number")
    return Bandwidth(h, f"{QUANTILE:.0%} of edited copies of the pool's texts lie within {d:.3g} of each other")
