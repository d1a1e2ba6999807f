"""The page and the summary: safe against hostile text, and complete. test_browser.py opens the page."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import numpy as np
import orjson
import pytest
from rich.console import Console
from scipy.spatial.distance import cdist

import tsds
from tests.command.run import texts
from tsds.errors import InputError
from tsds.report.data import facts_of
from tsds.report.explorer import explorer
from tsds.report.facts import Facts
from tsds.report.page import kept_facts, page_html
from tsds.report.plain import plain
from tsds.report.saved import renew
from tsds.report.summary import print_summary
from tsds.selection import Selection

HOSTILE = [
    "</script><script>document.title='owned'</script>",
    "<!-- <script> --> <img src=x onerror=\"document.title='owned'\">",
    "line\u2028separators\u2029 and \x1b[31mred\x1b[0m \u202eturned \x07bell [bold]markup[/bold] {braces} @@FACTS@@",
    "'\"`\\ ${document.title='owned'}",
]


@pytest.fixture(scope="module")
def chosen() -> Selection:
    pool = [{"text": f"{h} {t}", "source": h} for h in HOSTILE for t in texts(40)]
    target = [{"text": f"{h} {t}"} for h in HOSTILE for t in texts(3, seed=1)]
    return tsds.select(pool, target, size=30)


@pytest.fixture(scope="module")
def facts(chosen: Selection) -> Facts:
    return facts_of(chosen, "tsds select '<b>'")


@pytest.fixture(scope="module")
def page(chosen: Selection, facts: Facts) -> str:
    return page_html(facts, explorer(chosen))


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.inside: dict[str, str] = {}
        self._last = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._last = dict(attrs).get("id") or tag
        if dict(attrs).get("http-equiv"):
            self.inside["policy"] = dict(attrs)["content"] or ""

    def handle_data(self, data: str) -> None:
        self.inside[self._last] = self.inside.get(self._last, "") + data


def test_facts_come_back_and_no_tag_of_the_data_does(chosen: Selection, facts: Facts, page: str) -> None:
    parsed = _Tags()
    parsed.feed(page)
    assert orjson.loads(parsed.inside["facts"]) == orjson.loads(orjson.dumps(kept_facts(facts)))
    assert orjson.loads(parsed.inside["explorer"]) == orjson.loads(orjson.dumps(explorer(chosen)))
    assert parsed.tags.count("script") == 3 and "img" not in parsed.tags
    assert not re.search(
        r"(src|href)\s*=|url\(|@import|https?://(?!www\.w3\.org/2000/svg)", page.split('id="facts"')[0]
    )
    for tag, name in (("style", "style-src"), ("script", "script-src")):
        content = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)[-1]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}'" in parsed.inside["policy"]
    assert "innerHTML" not in page and "default-src 'none'" in parsed.inside["policy"]


def test_half_a_surrogate_pair_does_not_stop_the_page(chosen: Selection, facts: Facts) -> None:
    page_html({**facts, "command": "\ud800"}, explorer(chosen)).encode()  # type: ignore[typeddict-item]


def test_facts_are_read_back_from_a_saved_run(tmp_path: Path) -> None:
    chosen = tsds.select(texts(100), texts(3, seed=1), size=5)
    chosen.save(tmp_path / "run")
    parsed = _Tags()
    parsed.feed((tmp_path / "run" / "report.html").read_text(encoding="utf-8"))
    assert renew(tmp_path / "run") == orjson.loads(parsed.inside["facts"])
    assert orjson.loads(parsed.inside["facts"])["size"] == 5


def test_the_fields_that_texts_are_from_are_told(tmp_path: Path) -> None:
    pool = [{"instruction": text, "input": "here" if i else "", "output": "done"} for i, text in enumerate(texts(40))]
    chosen = tsds.select(pool, {"a": [{"prompt": "p", "answer": 1}], "b": ["bare text"]}, size=3)
    chosen.save(tmp_path / "run")
    run = orjson.loads((tmp_path / "run" / "run.json").read_bytes())
    assert run["pool"]["text_fields"] == ["instruction", "output", "input"]
    assert run["target"]["text_fields"] == ["prompt", "answer"]
    facts = renew(tmp_path / "run")
    del facts["target"]["text_fields"]  # type: ignore[misc]  # pages of earlier runs have none
    out = StringIO()
    print_summary(Console(file=out, width=200), facts)
    assert "40 records read from pool, text from instruction, output, input\n" in re.sub(" +\n", "\n", out.getvalue())
    assert out.getvalue().count("text from") == 1


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_summary_fits_and_acts_on_nothing(facts: Facts, width: int) -> None:
    out = StringIO()
    print_summary(Console(file=out, width=width, color_system=None), facts)
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert "30 of 160 records" in text
    assert width < 80 or "[bold]markup[/bold]" in text  # as it is, not as markup
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", text)


def test_a_method_that_was_not_asked_for_is_told() -> None:
    pool, target = texts(60), texts(4, seed=1)
    for options, told in (
        ({"neighbors": 3}, "a strength was given, so the method is kde, not auto"),
        ({"capacity": 4}, "a capacity was given, so the method is balanced, not auto"),
        ({"neighbors": 3, "method": "kde"}, None),
        ({}, None),
    ):
        facts = facts_of(tsds.select(pool, target, size=6, **options))  # type: ignore[arg-type]
        out = StringIO()
        print_summary(Console(file=out, width=300), facts)
        assert facts["method_why"] == told
        assert told in out.getvalue() if told else "so the method is" not in out.getvalue()


def test_a_rule_has_no_strength_and_no_optimum() -> None:
    for method, rule in (("round-robin", True), ("kde", False)):
        facts, out = facts_of(tsds.select(texts(60), texts(4, seed=1), size=6, method=method)), StringIO()
        print_summary(Console(file=out, width=300), facts)
        plan = next(line for line in out.getvalue().splitlines() if line.startswith("plan"))
        assert ("effective size 6; a rule, not an optimum" in plan) == rule and ("; optimal: " in plan) != rule
        assert ("\ndiversity " in out.getvalue()) != rule and facts["rule"] == rule


def test_plain() -> None:
    assert plain("a\x1b[31m\n  b\u202e c", 80) == "a[31m b c"
    assert plain("x" * 100, 10) == "x" * 9 + "…"


def test_nothing_to_show_is_no_failure() -> None:
    chosen = tsds.select(texts(30), texts(1, seed=1), size=3, method="tv")
    facts, out = facts_of(chosen), StringIO()
    assert facts["path"] == [] and facts["composition"] == []
    print_summary(Console(file=out), facts)
    for text in (page_html(facts, explorer(chosen)), out.getvalue()):
        assert "3 of 30 records chosen for 1 target" in text and "1 targets" not in text


@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_near_duplicates_and_their_mass_against_all_pairs(metric: Literal["l2", "cosine"]) -> None:
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(40, 12))
    pool = np.repeat(centres, [30] + [1] * 36 + [5] * 3, axis=0)
    pool += rng.normal(size=pool.shape) * 0.02
    target = centres[[0, 1, 2, 38]] + rng.normal(size=(4, 12)) * 0.1
    h = 0.4 if metric == "l2" else 0.02
    chosen = tsds.select(pool, target, size=12, bandwidth=h, neighbors=5, metric=metric)
    page, around = explorer(chosen), chosen.surroundings
    distance = cdist(pool, pool, "euclidean" if metric == "l2" else "cosine")
    np.testing.assert_array_equal(around.members, np.flatnonzero((distance[around.seeds] < h).any(axis=0)))
    np.testing.assert_array_equal(around.member_seed, distance[around.seeds][:, around.members].argmin(axis=0))
    np.testing.assert_allclose(around.member_distance, distance[around.seeds][:, around.members].min(axis=0), atol=1e-6)
    assert (distance[np.ix_(around.seeds, around.seeds)] + np.eye(len(around.seeds)) >= h).all() and around.complete
    largest = page["clusters"][0]
    assert largest["records"] == 30
    assert largest["mass"] == pytest.approx(chosen.weights[:30].sum(), rel=1e-9)
    assert largest["mass_alone"] is not None and largest["mass_alone"] > largest["mass"]
    uniform = tsds.select(pool, target, size=12, metric=metric, method="uniform", alpha=chosen.path.point(5).alpha)
    assert largest["mass_alone"] == pytest.approx(uniform.weights[:30].sum(), rel=0.02)
    for c in page["chosen"]:
        row = page["records"][c["record"]]["row"]
        assert c["near_total"] == (29 if row < 30 else 4 if row >= 66 else 0)
        assert c["near"] is not None and len(c["near"]) == min(5, c["near_total"])


def test_composition_and_lengths_against_a_count() -> None:
    names = [f"s{i % 3}" for i in range(90)]
    pool = [
        {"text": t, "source": s, "kind": "ab"[i > 30]} for i, (t, s) in enumerate(zip(texts(90), names, strict=True))
    ]
    target = [{"text": t, "kind": "a"} for t in texts(6, seed=2)]
    chosen = tsds.select(pool, target, size=15)
    page = explorer(chosen)
    assert page["chosen_total"] == len(page["chosen"]) == 15
    assert {page["records"][c["record"]]["row"] for c in page["chosen"]} == set(chosen.indices.tolist())
    source, kind = page["shift"]
    assert source["field"] == "source" and kind["field"] == "kind"
    assert {share["name"]: share["pool"] for share in source["values"]} == pytest.approx(
        dict.fromkeys(set(names), 1 / 3)
    )
    for share in kind["values"]:
        assert share["pool"] == pytest.approx(sum(one["kind"] == share["name"] for one in pool) / 90)
        assert share["target"] == (1.0 if share["name"] == "a" else 0.0)
        assert share["chosen"] == pytest.approx(sum(pool[i]["kind"] == share["name"] for i in chosen.indices) / 15)
    lengths = page["lengths"]
    assert lengths is not None and lengths["target"] is not None
    for shares in (lengths["pool"], lengths["chosen"], lengths["target"]):
        assert sum(shares) == pytest.approx(1)
    assert sum(page["nearest"]["counts"]) == len(target)


def test_a_page_of_many_long_texts_stays_small() -> None:
    """Three megabytes whatever the pool: texts are cut, lists are sampled, and the page says so."""
    long = "漢字<&>" * 400
    pool = [
        {"id": f"{long[:300]}{i}", "source": f"{long[:100]}{i % 300}", "text": f"{i} {t} {long}"}
        for i, t in enumerate(texts(3000))
    ]
    chosen = tsds.select(pool, [{"text": f"{t} {long}"} for t in texts(700, seed=1)], size=1500)
    page = explorer(chosen)
    assert page["text_limit"] < 1200 and page["chosen_total"] == 1500 and len(page["chosen"]) == 800
    assert len(page_html(facts_of(chosen), page).encode()) < 3_000_000


def test_a_pool_of_vectors_has_a_page_and_its_picture_waits_for_it() -> None:
    rng = np.random.default_rng(0)
    chosen = tsds.select(rng.normal(size=(300, 8)), rng.normal(size=(5, 8)), size=20)
    assert "surroundings" not in vars(chosen)  # nobody who wants no page pays for one
    page = explorer(chosen)
    facts, out = facts_of(chosen), StringIO()
    print_summary(Console(file=out), facts)
    assert facts["tokens"] is None and "token" not in out.getvalue()
    assert {record["tokens"] for record in page["records"]} == {None}
    assert page["lengths"] is None and page["shift"] == [] and page["map"] is not None and len(page["map"]["x"]) == 300


def test_places_in_the_plane_are_principal_components() -> None:
    """Against an eigendecomposition of the covariance, on data with two clear axes."""
    rng = np.random.default_rng(1)
    pool = rng.normal(size=(500, 6)) * [9, 5, 0.1, 0.1, 0.1, 0.1]
    around = tsds.select(pool, pool[:4] + 0.01, size=40, effective_size=60).surroundings
    centred = around.pool_at - around.pool_at.mean(axis=0)
    for axis in range(2):
        assert abs(np.corrcoef(centred[:, axis], pool[:, axis])[0, 1]) > 0.95
    assert 0.97 < sum(around.spread) <= 1


def test_the_page_is_written_anew_with_a_comparison(tmp_path: Path) -> None:
    tsds.select(texts(100), texts(3, seed=1), size=5).save(tmp_path / "run")
    before = (tmp_path / "run" / "report.html").read_bytes()
    renew(tmp_path / "run")
    assert (tmp_path / "run" / "report.html").read_bytes() == before
    score = {"mean": 2, "low": 1, "high": 3}
    measures = {"near": {"head": "nearest", "line": "how near", "lower": True}}
    nothing = {"mean": None, "low": None, "high": None}
    methods = [{"method": "kde", "metrics": {"near": score, "far": nothing}}]
    (tmp_path / "run" / "compare.json").write_bytes(orjson.dumps({"measures": measures, "methods": methods}))
    renew(tmp_path / "run")
    (drawn,) = re.findall(rb'"comparison":(\[[^]]*\])', (tmp_path / "run" / "report.html").read_bytes())
    about = "how near; less is better"
    assert orjson.loads(drawn) == [{"method": "kde", "metric": "nearest", "about": about, **score}]
    (tmp_path / "bad.json").write_text('{"methods": [{"name": "kde"}]}')
    for path, problem in ((tmp_path / "bad.json", "no comparison"), (tmp_path / "none.json", "can't be read")):
        with pytest.raises(InputError, match=problem):
            renew(tmp_path / "run", path)


def test_costs_on_held_out_targets_are_those_of_the_trials_with_the_sampling_taken(chosen: Selection) -> None:
    def trial(s: float, sampling: str, taken: bool = False, capacity: float | None = None) -> SimpleNamespace:
        return SimpleNamespace(neighbors=s, sampling=sampling, cost=s + 1, error=0.5, chosen=taken, capacity=capacity)

    # Repeats are of another kind than the path: their costs are not drawn on it.
    trials = [trial(9, "top"), trial(4, "top", True), trial(4, "systematic"), trial(6, "top", capacity=10.0)]
    tried = replace(chosen, answer=SimpleNamespace(**{**vars(chosen.answer), "trials": trials}))  # type: ignore[arg-type]
    expected = [{"neighbors": s, "cost": s + 1, "low": s, "high": s + 2} for s in (4, 9)]
    assert explorer(tried)["held_out"] == expected
    plain = replace(chosen, answer=SimpleNamespace(**{**vars(chosen.answer), "trials": ()}))  # type: ignore[arg-type]
    assert explorer(plain)["held_out"] == []


def test_tasks_are_counted_each() -> None:
    pool = texts(200, topics=4)
    chosen = tsds.select(
        pool, {"a": texts(8, seed=1)[::4], "b": texts(8, seed=1)[1::4]}, size=20, task_weights={"a": 3, "b": 1}
    )
    facts = facts_of(chosen)
    a, b = facts["tasks"]
    assert (a["name"], a["targets"], a["weight"], b["weight"]) == ("a", 2, 0.75, 0.25)
    assert a["chosen"] + b["chosen"] == 20 and a["chosen"] > b["chosen"]
    assert a["nearest"] == pytest.approx(chosen.answer.nearest[:2].mean())
    out = StringIO()
    print_summary(Console(file=out, width=80), facts)
    lines = [line.split() for line in out.getvalue().splitlines()]
    assert [line[1:4] for line in lines if line[:1] in (["a"], ["b"])] == [
        ["2", "75.0%", str(a["chosen"])],
        ["2", "25.0%", str(b["chosen"])],
    ]
