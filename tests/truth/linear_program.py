"""The transport problems as generic linear programs, solved by HiGHS: the truth that closed forms are held against."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import coo_matrix, identity, vstack

Array = NDArray[np.float64]


def optimum(
    d: Array, w: Array, penalty: float, mu: Array, regularizer: Literal["max", "tv"] = "max"
) -> tuple[float, Array]:
    """The optimal objective and a plan, for distances [m, n] in any order and candidate weights [n]."""
    m, n = d.shape
    share = w / w.sum()
    rows = np.repeat(np.arange(m), n)
    cells = np.arange(m * n)
    equal = coo_matrix((np.ones(m * n), (rows, cells)), shape=(m, m * n))
    if regularizer == "max":
        # t >= rho_j |gamma_ij / mu_i - w_j / W|, one t for all.
        slope = (1.0 / (mu[:, None] * w[None, :])).ravel()
        floor = np.tile(share / w, m)
        diagonal = coo_matrix((slope, (cells, cells)), shape=(m * n, m * n))
        minus = coo_matrix((-np.ones(m * n), (cells, np.zeros(m * n, dtype=int))), shape=(m * n, 1))
        upper = vstack([_beside(diagonal, minus), _beside(-diagonal, minus)])
        bound = np.concatenate([floor, -floor])
        cost = np.concatenate([d.ravel(), [penalty]])
        equal = _beside(equal, coo_matrix((m, 1)))
    else:
        # z_ij >= |gamma_ij - mu_i w_j / W|, half of their sum.
        floor = (mu[:, None] * share[None, :]).ravel()
        eye, minus = identity(m * n), -identity(m * n)
        upper = vstack([_beside(eye, minus), _beside(-eye, minus)])
        bound = np.concatenate([floor, -floor])
        cost = np.concatenate([d.ravel(), np.full(m * n, penalty / 2)])
        equal = _beside(equal, coo_matrix((m, m * n)))
    found = linprog(cost, A_ub=upper.tocsr(), b_ub=bound, A_eq=equal.tocsr(), b_eq=mu, method="highs")
    assert found.status == 0, found.message
    return float(found.fun), found.x[: m * n].reshape(m, n)


def objective(
    gamma: Array, d: Array, w: Array, penalty: float, mu: Array, regularizer: Literal["max", "tv"] = "max"
) -> float:
    """The objective's value at a given full plan [m, n], from its definition."""
    share = w / w.sum()
    cost = float((gamma * d).sum())
    if regularizer == "tv":
        return cost + penalty * 0.5 * float(np.abs(gamma - mu[:, None] * share).sum())
    return cost + penalty * float((np.abs(gamma / mu[:, None] - share) / w).max())


def _beside(a, b):  # type: ignore[no-untyped-def]
    from scipy.sparse import hstack

    return hstack([a, b])


def balanced_optimum(d: Array, w: Array, size: float, neighbors: float | None, mu: Array) -> float:
    """min <gamma, d> with row sums mu, column sums <= w / size, gamma_ij <= mu_i w_j / neighbors; NaN if infeasible."""
    m, n = d.shape
    cells = np.arange(m * n)
    equal = coo_matrix((np.ones(m * n), (cells // n, cells)), shape=(m, m * n))
    columns = coo_matrix((np.ones(m * n), (cells % n, cells)), shape=(n, m * n))
    upper = np.full(m * n, np.inf) if neighbors is None else (mu[:, None] * w / neighbors).ravel()
    found = linprog(
        d.ravel(), A_ub=columns.tocsr(), b_ub=w / size, A_eq=equal.tocsr(), b_eq=mu,
        bounds=np.column_stack([np.zeros(m * n), upper]), method="highs-ipm",
    )  # fmt: skip
    return float(found.fun) if found.status == 0 else float("nan")
