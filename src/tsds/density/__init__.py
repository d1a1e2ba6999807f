"""Kernel density of the candidates over the whole pool."""

from __future__ import annotations

from tsds.density.kernel import euclidean_bandwidth, kernel_weight
from tsds.density.search import MARGINS, WANTED_RECALL, Density, DensitySearch, kernel_density

__all__ = [
    "MARGINS", "WANTED_RECALL", "Density", "DensitySearch", "euclidean_bandwidth", "kernel_density", "kernel_weight",
]  # fmt: skip
