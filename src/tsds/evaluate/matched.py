"""Random candidates that are like a selection from outside: of the same sources, of the same lengths, or both.

What a selection teaches more than these is not told by where its texts come from, or by how long they are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsds.arrays import Rows
from tsds.methods.baselines.lengths import at_lengths, by_length


def alike(
    tokens: NDArray[np.int64],
    group: NDArray[np.int32],
    rows: Rows,
    counts: NDArray[np.int64],
    like: str,
    rng: np.random.Generator,
) -> tuple[Rows, NDArray[np.int64]]:
    """Draw as many candidates as a selection has, with its sources or lengths.

    Args:
      tokens, group: [n], lengths of the candidates and index of their sources, -1 for those that name none.
      rows, counts: [b], the selection, and how often it has each.
      like: "source": from each source as many; "length": one of each length, or the nearest left over;
        "source-length": one of each length of the same source.

    Returns:
      Rows, ascending, and how often each: once, but where a source has fewer than the selection takes from it.
    """
    by = group if "source" in like else np.zeros(len(group), np.int32)
    drawn = []
    for one in np.unique(by[rows]):
        members = np.flatnonzero(by == one)
        mine = by[rows] == one
        wanted = np.sort(np.repeat(tokens[rows[mine]], counts[mine]))
        whole, rest = divmod(len(wanted), len(members))
        drawn.append(np.tile(members, whole))
        if "length" in like:
            order = members[by_length(tokens[members], rng)]
            few = np.sort(rng.choice(wanted, rest, replace=False))
            drawn.append(order[at_lengths(tokens[order], few, rng)])
        else:
            drawn.append(rng.choice(members, rest, replace=False))
    return np.unique(np.concatenate(drawn), return_counts=True)
