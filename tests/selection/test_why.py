"""Why one record was chosen or not: from Python, and from the folder of a run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tsds
from tests.command.run import texts
from tests.search.data import clustered
from tsds.cli import app
from tsds.errors import InputError
from tsds.why_command import why_saved

POOL = [{"text": text, "id": f"r{i}"} for i, text in enumerate(texts(60))]
TARGET = [{"text": text, "id": f"t{i}"} for i, text in enumerate(texts(20, seed=1)[::4])]


def test_what_became_of_each_record() -> None:
    pool = [*POOL, {"text": POOL[0]["text"].upper(), "id": "copy"}, {"text": " ", "id": "empty"}]
    pool[-2]["text"] = POOL[3]["text"]
    leak = " ".join(f"word{i}" for i in range(20))
    pool.append({"text": f"so {leak} then", "id": "leak"})
    chosen = tsds.select(pool, TARGET, size=4, method="kde", exclude=[leak])
    row = int(chosen.indices[0])
    found = chosen.why(row)
    assert (found.row, found.id, found.count) == (row, f"r{row}", 1) and found == chosen.why(f"r{row}")
    at = int(np.searchsorted(chosen.rows, row))
    assert (found.probability, found.distance) == (chosen.probabilities[0], chosen.answer.distance[at])
    assert found.target is not None and found.target_text == TARGET[found.target]["text"]
    assert str(found).startswith(f"row {row}, id r{row}: chosen\n") and f"(id t{found.target})" in str(found)
    missed = chosen.why(int(np.setdiff1d(chosen.rows, chosen.indices)[0]))
    assert missed.count == 0 < missed.probability and "was not drawn; on average" in missed.reason
    assert chosen.why("copy").copy_of == 3 and "exact copy of row 3" in chosen.why("copy").reason
    assert chosen.why(61).reason == "left out: the record has no text"
    assert chosen.why("leak").reason.startswith("dropped by --exclude")
    for wrong, said in ((63, "row 63 is none of the 63"), (-1, "row -1"), ("x", "has the id 'x'"), (True, "by True")):
        with pytest.raises(InputError, match=said):
            chosen.why(wrong)
    twice = tsds.select([*POOL, POOL[2]], TARGET, size=4, on_error="skip")
    assert twice.why(60).reason == "left out: row 2 has the same id"


@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_without_mass_the_nearest_target_is_named_and_how_far_it_reaches(metric: str) -> None:
    pool, targets = clustered(200, 8), clustered(5, 8, seed=9)
    pool[5] = pool[2]
    chosen = tsds.select(pool, targets, size=15, metric=metric)
    distances = tsds.nearest_neighbors(pool, targets, len(pool), metric=metric)
    by_row = np.full((5, len(pool)), np.nan)
    np.put_along_axis(by_row, distances.indices, distances.distances, 1)
    assert chosen.why(5).copy_of == 2
    for row in np.setdiff1d(np.arange(len(pool)), [*chosen.rows, 5])[:40].tolist():
        found = chosen.why(row)
        assert found.target == by_row[:, row].argmin() and found.distance == by_row[:, row].min()
        assert found.reach is not None and found.distance >= found.reach and found.reason.startswith("no mass: target")
    rule = tsds.select(pool, targets, size=15, metric=metric, method="random")
    assert rule.why(int(np.setdiff1d(np.arange(5), rule.rows)[0])).reason == "no mass: method random took others"


def test_vectors_that_are_gone_leave_what_was_listed(tmp_path: Path) -> None:
    gone = tsds.select(POOL, TARGET, size=4)
    kept = tsds.select(POOL, TARGET, size=4, store=tmp_path / "store")
    rows = np.setdiff1d(np.arange(len(POOL)), gone.rows).tolist()
    unknown = [row for row in rows if gone.why(row).target is None]
    assert unknown and "farther from every target" in gone.why(unknown[0]).reason
    assert kept.why(unknown[0]).distance is not None


def test_what_a_folder_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = tsds.select(POOL, TARGET, size=4, method="kde")
    chosen.save(tmp_path / "run")
    row, none = int(chosen.indices[0]), int(np.setdiff1d(np.arange(60), chosen.rows)[0])
    for name in (f"r{row}", str(row)):
        (found,) = why_saved(tmp_path / "run", [name])
        held = chosen.why(row)
        assert (found.row, found.id, found.reason, str(found.target_id)) == (row, f"r{row}", "chosen", held.target_id)
        assert (found.probability, found.distance, found.rank) == (held.probability, held.distance, held.rank)
        assert found.target_text == held.target_text
    app(["why", str(tmp_path / "run"), str(none), f"r{none}", "nobody", "--json"], standalone_mode=False)
    lines = json.loads(capsys.readouterr().out)["records"]
    said = (
        f"no mass: not among the {len(chosen.rows)} candidates that the plan uses; farther from every target than these"
    )
    assert all(line["reason"].startswith(said) and line["probability"] == 0 for line in lines)
    assert [line["row"] for line in lines] == [none, None, None] and lines[2]["reason"].endswith("has this id")
    (tmp_path / "run" / "report.html").unlink()
    assert why_saved(tmp_path / "run", [str(row)])[0].target_text is None
    tsds.select(clustered(50, 8), clustered(5, 8), size=5, method="random").save(tmp_path / "plain")
    for name in ("50", "r1", "-1"):
        with pytest.raises(InputError, match=f"no record of the pool is '{name}'"):
            why_saved(tmp_path / "plain", [name])
    reasons = {one.reason for one in why_saved(tmp_path / "plain", map(str, range(50)))}
    assert reasons == {
        "chosen",
        "no mass: method random took others, or it is a copy of one, without text, or excluded",
    }
    with pytest.raises(InputError, match="holds no run"):
        why_saved(tmp_path, ["1"])
