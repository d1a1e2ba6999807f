"""Figures and the command's help for the documentation, into docs/figures: python tools/make_figures.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from typer.main import get_command

import tsds
from tsds.cli import app
from tsds.demo import pool_path, target_path

OUT = Path(__file__).parents[1] / "docs" / "figures"
CHOSEN, TARGET, POOL = "#0b7568", "#bd4f12", "#aeb8c0"


def main() -> None:
    """Draw everything."""
    OUT.mkdir(exist_ok=True)
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "tsds", "font.family": "sans-serif", "font.size": 10})
    save(plan_figure(), "plan")
    save(duplicates_figure(), "duplicates")
    chosen = tsds.select(str(pool_path()), str(target_path()), size="5%")
    along = tsds.select(str(pool_path()), str(target_path()), size="5%", method="kde")
    save(along.plot_path(), "path")
    save(chosen.plot_map(), "map")
    save(chosen.plot_shift(), "shift")
    (OUT / "command.md").write_text(command_help(), encoding="utf-8")


def save(figure: Figure, name: str) -> None:
    """As SVG on white, so that it reads on a dark page too."""
    figure.savefig(OUT / f"{name}.svg", facecolor="white", metadata={"Date": None})


def toy() -> tuple[Any, Any]:
    """A pool of clusters in the plane and three targets, one of them at the rim."""
    rng = np.random.default_rng(4)
    pool = rng.normal(size=(140, 2)) * [1.5, 1.0]
    return pool, np.array([[-1.2, 0.5], [0.7, -0.6], [2.6, 1.3]])


def plan_on(axes: Any, pool: Any, targets: Any, s: float, weights: Any = None) -> None:
    """The plan as lines from targets to candidates, their width the mass."""
    near = tsds.nearest_neighbors(pool, targets, len(pool))
    listed = None if weights is None else weights[near.indices]
    plan = tsds.transport.solve(near.distances, listed, neighbors=s, complete=True)
    mass = np.zeros(len(pool))
    np.add.at(mass, near.indices.ravel(), plan.mass.ravel())
    for i, k in np.argwhere(plan.mass > 0):
        ends = np.stack([targets[i], pool[near.indices[i, k]]])
        axes.plot(*ends.T, color=TARGET, linewidth=0.4 + 9 * plan.mass[i, k], alpha=0.45, solid_capstyle="round")
    axes.scatter(*pool.T, s=np.where(mass > 0, 14 + 260 * mass, 8), color=np.where(mass > 0, CHOSEN, POOL), zorder=3)
    axes.scatter(*targets.T, marker="D", s=46, color=TARGET, edgecolors="white", zorder=4)
    axes.set(xticks=[], yticks=[], aspect="equal")
    axes.spines[:].set_visible(False)


def plan_figure() -> Figure:
    """Little and much diversity on the same pool."""
    figure = Figure(figsize=(8, 3.1), layout="constrained")
    pool, targets = toy()
    for axes, s in zip(figure.subplots(1, 2), (2, 12), strict=True):
        plan_on(axes, pool, targets, s)
        axes.set_title(f"s = {s}", fontsize=11)
    return figure


def duplicates_figure() -> Figure:
    """Forty near-copies beside a target: each counts, or all share one weight."""
    figure = Figure(figsize=(8, 3.1), layout="constrained")
    pool, targets = toy()
    rng = np.random.default_rng(5)
    pool = np.concatenate([pool, targets[1] + [0.28, 0.16] + rng.normal(size=(40, 2)) * 0.02])
    gaps = np.square(pool[:, None] - pool[None]).sum(axis=2)
    density = np.maximum(0, 1 - gaps / 0.2**2).sum(axis=1)
    titles = ("every record counts", "near-duplicates share one weight")
    for axes, weights, title in zip(figure.subplots(1, 2), (None, 1 / density), titles, strict=True):
        plan_on(axes, pool, targets, 8, weights)
        axes.set_title(title, fontsize=11)
    return figure


def command_help() -> str:
    """Every verb with its options, as Markdown."""
    import click

    command: Any = get_command(app)
    parts = []
    verbs = [(f"tsds {name}", verb) for name, verb in command.commands.items()]
    while verbs:
        name, verb = verbs.pop(0)
        if hasattr(verb, "commands"):  # a verb of verbs: they come where it is
            verbs = [(f"{name} {inner}", one) for inner, one in verb.commands.items()] + verbs
            parts += [f"## {name}\n", (verb.help or "") + "\n"]
            continue
        with click.Context(verb, info_name=name) as context:
            rows = []
            for option in verb.get_params(context):
                record = option.get_help_record(context)
                if record is not None:
                    rows.append(
                        "| " + " | ".join(cell.replace("|", "\\|") for cell in (f"`{record[0]}`", record[1])) + " |"
                    )
        parts += [f"## {name}\n", (verb.help or "") + "\n", "| option | |\n| --- | --- |", *rows, ""]
    return "\n".join(parts)


if __name__ == "__main__":
    main()
