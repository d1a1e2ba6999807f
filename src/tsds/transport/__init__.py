"""The transport problem and its exact solutions: pure NumPy on arrays, no I/O, usable with any neighbour search.

    minimise over gamma >= 0 with row sums mu:   <gamma, d> + penalty * G(gamma)

where G is the regularizer of KNN-KDE, KNN-Uniform or KNN-TV (Liu, Karbasi, Rekatsinas, NeurIPS 2024).
"""

from tsds.transport.path import PathPoint, RegularizationPath
from tsds.transport.penalty import penalty_from_alpha
from tsds.transport.plan import Plan, solve
from tsds.transport.rows import PenaltyCurve, penalty_curve, row_mass
from tsds.transport.total_variation import total_variation_mass

__all__ = [
    "PathPoint",
    "PenaltyCurve",
    "Plan",
    "RegularizationPath",
    "penalty_curve",
    "penalty_from_alpha",
    "row_mass",
    "solve",
    "total_variation_mass",
]
