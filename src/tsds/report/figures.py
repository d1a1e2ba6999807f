"""Figures for papers, by matplotlib: the path, the map and the shift of a selection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tsds.errors import InputError, MissingExtra
from tsds.report.data import composition
from tsds.selection import Selection

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CHOSEN, _TARGET, _POOL, _INK = "#0b7568", "#bd4f12", "#aeb8c0", "#1b1f24"
_SOURCES, _BINS = 16, 24


def path_figure(selection: Selection, points: int = 100) -> Figure:
    """Effective sample size, candidates with mass and transport cost along the path, the strength in use marked.

    Raises:
      InputError: if the method has no path.
      MissingExtra: without matplotlib.
    """
    plt = _figures("plot_path")
    table = selection.path.table(points)
    s = [point.neighbors for point in table]
    figure = plt.Figure(figsize=(5.2, 4.2), layout="constrained")
    sizes, cost = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    sizes.plot(s, [point.support for point in table], color=_POOL, dashes=(4, 2), label="candidates with mass")
    sizes.plot(s, [point.effective_size for point in table], color=_CHOSEN, label="effective sample size")
    sizes.set(xscale="log", yscale="log", ylabel="candidates")
    sizes.legend(frameon=False)
    cost.plot(s, [point.transport_cost for point in table], color=_INK)
    cost.set(ylabel="transport cost", xlabel="effective neighbours of a target, s")
    here = selection.answer.neighbors
    for axes in (sizes, cost):
        if here is not None:
            axes.axvline(here, color=_TARGET, linewidth=1, linestyle=":")
        _plain(axes)
    return figure  # type: ignore[no-any-return]


def map_figure(selection: Selection) -> Figure:
    """Pool, chosen and targets in the plane of two principal axes; many candidates are a sample.

    Raises:
      MissingExtra: without matplotlib.
    """
    plt = _figures("plot_map")
    around = selection.surroundings
    taken = np.isin(around.candidates, selection.answer.rows[selection.drawn.counts > 0])
    figure = plt.Figure(figsize=(5.2, 4.6), layout="constrained")
    axes = figure.subplots()
    many = len(around.targets) > 400
    pool, targets = around.pool_at, around.targets_at
    axes.scatter(*pool.T, s=3, color=_POOL, alpha=0.6, linewidths=0, label="pool", rasterized=True)
    axes.scatter(
        *targets.T, s=5 if many else 22, marker="D", color=_TARGET, linewidths=0, label="targets", zorder=3 - many
    )
    axes.scatter(*around.candidates_at[taken].T, s=9, color=_CHOSEN, linewidths=0, label="chosen", zorder=2.5)
    first, second = around.spread
    axes.set(
        xlabel=f"first axis, {first:.1%} of the variance", ylabel=f"second axis, {second:.1%}", xticks=[], yticks=[]
    )
    axes.legend(frameon=False, markerscale=1.6)
    _plain(axes)
    return figure  # type: ignore[no-any-return]


def shift_figure(selection: Selection) -> Figure:
    """Shares of the sources and of the lengths, pool against chosen.

    Raises:
      InputError: if records have neither sources nor lengths, as vectors have not.
      MissingExtra: without matplotlib.
    """
    plt = _figures("plot_shift")
    census, groups = selection.inputs.candidates.census, composition(selection)[:_SOURCES]
    has_lengths = selection.inputs.candidates.records is not None
    if not groups and not has_lengths:
        raise InputError("a pool of vectors has neither sources nor lengths", remedy="see plot_map")
    heights = ([0.26 * len(groups) + 0.9] if groups else []) + ([2.2] if has_lengths else [])
    figure = plt.Figure(figsize=(5.2, sum(heights)), layout="constrained")
    panels = list(figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0])
    if groups:
        axes, y = panels.pop(0), np.arange(len(groups))
        axes.barh(y - 0.19, [100 * g["chosen_share"] for g in groups], 0.36, color=_CHOSEN, label="chosen")
        axes.barh(y + 0.19, [100 * g["pool_share"] for g in groups], 0.36, color=_POOL, label="pool")
        axes.set_yticks(y, [_short(g["name"]) for g in groups])
        axes.invert_yaxis()
        axes.set_xlabel("share, %")
        axes.legend(frameon=False, loc="lower right")
        _plain(axes)
    if panels:
        low, high = np.quantile(census.tokens, [0.001, 0.999])
        edges = np.geomspace(max(low, 1), max(high, low + 1, 2), _BINS + 1)
        chosen = np.repeat(census.tokens[selection.answer.rows], selection.drawn.counts)
        for tokens, color, name in ((census.tokens, _POOL, "pool"), (chosen, _CHOSEN, "chosen")):
            counts = np.histogram(np.clip(tokens, edges[0], edges[-1]), edges)[0]
            panels[0].stairs(100 * counts / max(len(tokens), 1), edges, color=color, label=name, fill=name == "pool")
        panels[0].set(xscale="log", xlabel="tokens", ylabel="share, %")
        panels[0].legend(frameon=False)
        _plain(panels[0])
    return figure  # type: ignore[no-any-return]


def _figures(feature: str) -> Any:
    try:
        import matplotlib.figure
    except ImportError:
        raise MissingExtra(feature, "plot") from None
    return matplotlib.figure


def _plain(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)


def _short(name: str) -> str:
    """A source's name without what matplotlib would read as mathematics."""
    return (name if len(name) <= 28 else name[:27] + "…").replace("$", r"\$")
