"""The figures for papers show the numbers of the selection."""

from __future__ import annotations

import sys
from io import BytesIO

import numpy as np
import pytest

import tsds
from tests.command.run import texts
from tsds.errors import InputError, MissingExtra
from tsds.selection import Selection


@pytest.fixture(scope="module")
def chosen() -> Selection:
    pool = [{"text": t, "source": f"s${i % 3}$"} for i, t in enumerate(texts(300))]
    return tsds.select(pool, texts(9, seed=1), size=20)


def test_the_path(chosen: Selection) -> None:
    sizes, cost = chosen.plot_path().axes
    x, y = sizes.lines[1].get_data()
    for at in (0, 50, 99):
        assert y[at] == pytest.approx(chosen.path.point(x[at]).effective_size)
        assert cost.lines[0].get_ydata()[at] == pytest.approx(chosen.path.point(x[at]).transport_cost)
    assert sizes.lines[2].get_xdata()[0] == chosen.answer.neighbors


def test_the_map(chosen: Selection) -> None:
    pool, targets, drawn = chosen.plot_map().axes[0].collections
    assert [len(part.get_offsets()) for part in (pool, targets, drawn)] == [300, 9, 20]
    at = np.searchsorted(chosen.surroundings.candidates, chosen.answer.rows[chosen.drawn.counts > 0])
    np.testing.assert_allclose(drawn.get_offsets(), chosen.surroundings.candidates_at[at])


def test_the_shift(chosen: Selection) -> None:
    sources, lengths = chosen.plot_shift().axes
    assert sum(bar.get_width() for bar in sources.patches[:3]) == pytest.approx(100)
    assert lengths.patches[0].get_data().values.sum() == pytest.approx(100)


def test_they_can_be_saved(chosen: Selection) -> None:
    for figure in (chosen.plot_path(), chosen.plot_map(), chosen.plot_shift()):
        for kind in ("png", "svg", "pdf"):
            out = BytesIO()
            figure.savefig(out, format=kind)
            assert len(out.getvalue()) > 1000


def test_what_has_no_figure_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = tsds.select(np.eye(9), np.eye(9)[:2], size=2, method="tv")
    with pytest.raises(InputError, match="no regularization path"):
        vectors.plot_path()
    with pytest.raises(InputError, match="neither sources nor lengths"):
        vectors.plot_shift()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match=r"pip install '\.\[plot\]'"):
        vectors.plot_map()
