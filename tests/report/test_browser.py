"""The page in a real Chromium: it works, it says what `tsds path` says, it sends nothing, and no text of it runs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tsds
from tests.command.run import texts
from tests.command.run import tsds as command
from tests.report.browser import MISSING, browser, complaints, open_page, requests
from tsds.demo import pool_path, target_path
from tsds.report.data import facts_of
from tsds.report.explorer import explorer
from tsds.report.page import write_page
from tsds.report.page_facts import Explorer
from tsds.report.saved import renew

if MISSING and not os.environ.get("TSDS_ALL_TESTS"):
    pytest.skip(MISSING, allow_module_level=True)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "demo"
    done = command("demo", "--out", out, "--quiet")
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture
def demo(driver: Any, folder: Path) -> Iterator[Any]:
    """The demo's page, freshly opened; nothing may have been complained of or sent when a test is over."""
    complaints(driver)
    requests(driver)
    open_page(driver, folder / "report.html")
    yield driver
    assert complaints(driver) == []
    assert set(requests(driver)) == {(folder / "report.html").as_uri()}


def _facts(driver: Any) -> Explorer:
    return json.loads(driver.execute_script("return document.getElementById('explorer').textContent"))  # type: ignore[no-any-return]


def _set_slider(driver: Any, stop: int) -> None:
    script = (
        "const s = document.getElementById('strength'); s.value = arguments[0]; s.dispatchEvent(new Event('input'))"
    )
    driver.execute_script(script, stop)


def _all(driver: Any, selector: str) -> list[str]:
    script = "return [...document.querySelectorAll(arguments[0])].map((node) => node.textContent)"
    return list(driver.execute_script(script, selector))


NUMBERS = """
  const found = [...document.querySelectorAll("[data-value]")];
  return Object.fromEntries(found.map((n) => [n.dataset.key, [n.dataset.value, n.textContent]]));"""
SHARES = """
  const found = [...document.querySelectorAll("[data-source]")];
  return found.map((n) => [n.dataset.source, Number(n.dataset.share)]);"""
TOP = """
  const found = [...document.querySelectorAll(".top li")];
  return found.map((n) => [Number(n.dataset.row), Number(n.dataset.p)]);"""


def test_the_slider_shows_what_the_path_command_prints(demo: Any) -> None:
    given = ["--pool", pool_path(), "--target", target_path(), "--size", "5%", "--points", 40, "--method", "auto"]
    done = command("path", *given, "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["path"]
    lines = [line.split() for line in command("path", *given).stdout.splitlines()[1:]]
    printed = [words for words in lines if words and words[0][0].isdigit() and len(words) > 7]
    assert len(printed) == len(rows)
    slider = demo.find_element("id", "strength")
    assert int(slider.get_attribute("max")) == len(rows) - 1
    columns = ["neighbors", "penalty", "alpha", "transport_cost", "support", "effective_size", "largest"]
    for stop, row in enumerate(rows):
        _set_slider(demo, stop)
        shown = demo.execute_script(NUMBERS)
        for at, key in enumerate(columns):
            assert float(shown[key][0]) == row[key], key
            text = float(shown[key][1].replace(",", ""))
            assert text == pytest.approx(float(printed[stop][at].replace(",", "")), rel=1e-9), (stop, key)
        shares = dict(row["sources"])
        for name, share in demo.execute_script(SHARES):
            assert share == shares.get(name, 0)
        assert ("The strength in use" in demo.find_element("css selector", ".badge").text) == row["here"]


def test_the_candidates_at_a_stop_are_the_most_probable_of_a_selection_there(demo: Any) -> None:
    _set_slider(demo, 12)
    s = float(demo.execute_script("return document.querySelector('[data-key=neighbors]').dataset.value"))
    chosen = tsds.select(str(pool_path()), str(target_path()), size="5%", neighbors=s)
    top = demo.execute_script(TOP)
    probability = dict(zip(chosen.rows.tolist(), chosen.answer.probability.tolist(), strict=True))
    assert [p for _, p in top] == pytest.approx(sorted(probability.values(), reverse=True)[: len(top)], rel=1e-5)
    assert all(probability[row] == pytest.approx(p, rel=1e-5) for row, p in top) and len(top) == 12


def test_the_slider_works_by_keyboard(demo: Any) -> None:
    slider = demo.find_element("id", "strength")
    before = int(slider.get_attribute("value"))
    slider.send_keys("\ue012\ue012")  # arrow left, twice
    assert int(slider.get_attribute("value")) == before - 2
    assert "Less diverse" in demo.find_element("css selector", ".badge").text
    demo.find_element("css selector", ".badge button").send_keys("\ue007")
    assert int(slider.get_attribute("value")) == before


def test_search_finds(demo: Any) -> None:
    facts = _facts(demo)
    texts_of = [facts["texts"][facts["records"][c["record"]]["text"]] for c in facts["chosen"]]
    targets = [facts["texts"][facts["targets"][c["target"]]["text"]] for c in facts["chosen"]]
    both = [" ".join(part for _, part in [*a, *b]).lower() for a, b in zip(texts_of, targets, strict=True)]  # type: ignore[misc]
    wanted = sum("apple" in text for text in both)
    assert 0 < wanted < len(both)
    demo.find_element("css selector", "input[type=search]").send_keys("APPLE")
    assert demo.find_element("css selector", ".count").text.startswith(f"{wanted} of 200 records")
    assert all("apple" in text.lower() for text in _all(demo, ".record"))


def test_sort_sorts(demo: Any) -> None:
    from selenium.webdriver.support.ui import Select

    order = Select(demo.find_element("css selector", "select[aria-label^=order]"))
    for name, direction in (("near", 1), ("far", -1)):
        order.select_by_value(name)
        distances = [direction * float(text) for text in _all(demo, ".record [data-key=distance]")]
        assert len(distances) == 12 and distances == sorted(distances)
    demo.find_element("css selector", ".records .more").click()
    assert len(_all(demo, ".record")) == 24


def _point_at_a_target(driver: Any) -> tuple[Any, float, float, str]:
    """A place on the map where a target is told of: the canvas, the place, and what is told."""
    canvas = driver.find_element("css selector", ".map canvas")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", canvas)
    script = """
      const canvas = arguments[0], r = canvas.getBoundingClientRect();
      for (let y = 4; y < r.height; y += 6) for (let x = 4; x < r.width; x += 6) {
        canvas.dispatchEvent(new PointerEvent("pointermove", {clientX: r.left + x, clientY: r.top + y}));
        const tip = document.querySelector(".tip b.target");
        if (tip && !document.querySelector(".tip").hidden) return [x, y, tip.textContent];
      }
      return null;"""
    return (canvas, *driver.execute_script(script, canvas))


def test_a_click_on_a_target_in_the_map_filters_the_list(demo: Any) -> None:
    from selenium.webdriver import ActionChains

    canvas, x, y, told = _point_at_a_target(demo)
    name = told.split(",")[0].removeprefix("target ")
    offset = (x - canvas.size["width"] / 2, y - canvas.size["height"] / 2)
    ActionChains(demo).move_to_element_with_offset(canvas, *offset).click().perform()
    facts = _facts(demo)
    served = [c for c in facts["chosen"] if str(facts["targets"][c["target"]]["id"]) == name]
    assert f"serve target {name}" in demo.find_element("css selector", ".chip").text
    assert demo.find_element("css selector", ".count").text.startswith(f"{len(served)} of 200 records")
    assert len(_all(demo, ".record")) == min(12, len(served))
    demo.find_element("css selector", ".chip").click()
    assert demo.find_element("css selector", ".count").text == "200 records"


def test_a_lasso_round_everything_lists_everything(demo: Any) -> None:
    from selenium.webdriver import ActionChains

    canvas = demo.find_element("css selector", ".map canvas")
    demo.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", canvas)
    w, h = canvas.size["width"] - 2, canvas.size["height"] - 2
    drag = ActionChains(demo, duration=20).move_to_element_with_offset(canvas, -w // 2, 0).click_and_hold()
    for dx, dy in ((0, -h / 2), (w, 0), (0, h), (-w, 0), (0, -h / 2)):
        drag = drag.move_by_offset(int(dx), int(dy))
    drag.release().perform()
    assert "200 records in the marked area" in demo.find_element("css selector", ".chip").text


def test_the_map_works_by_keyboard(demo: Any) -> None:
    canvas = demo.find_element("css selector", ".map canvas")
    canvas.send_keys("\ue014")  # arrow right
    assert demo.find_element("css selector", ".tip b").text.startswith("chosen")
    canvas.send_keys("\ue007")
    assert _all(demo, ".chip")
    canvas.send_keys("\ue00c")  # escape
    assert not _all(demo, ".chip")


@pytest.mark.parametrize("width", [360, 1600])
def test_it_fits_its_window(folder: Path, tmp_path: Path, width: int) -> None:
    with browser(tmp_path, width) as driver:
        open_page(driver, folder / "report.html")
        assert driver.execute_script("return document.documentElement.scrollWidth") == width
        assert complaints(driver) == []


def test_sections_are_in_order_and_headings_name_them(demo: Any) -> None:
    heads = ["How strongly to diversify", "Why these", "How well the pool serves the targets"]
    assert _all(demo, "h2") == [*heads, "How the chosen differ from the pool", "Settings, certificate and time"]
    ranks = {c["rank"]: text for c, text in zip(_facts(demo)["chosen"], _all(demo, "[data-key=rank]"), strict=False)}
    assert ranks[0] == "nearest" and ranks.get(1, "2nd nearest") == "2nd nearest"
    assert "tsds demo --out" in demo.find_element("css selector", ".command pre").text


def test_a_comparison_and_held_out_costs_are_drawn(driver: Any, tmp_path: Path) -> None:
    chosen = tsds.select(texts(200), texts(8, seed=1), size=20)
    page = explorer(chosen)
    s = [stop["neighbors"] for stop in page["stops"]]
    page["held_out"] = [{"neighbors": x, "cost": 1 + x, "low": x, "high": 2 + x} for x in (s[0], s[20], s[-1])]
    chosen.save(tmp_path / "run")
    write_page(facts_of(chosen), page, tmp_path / "run" / "report.html")
    scores = [
        {"method": m, "metrics": {"near": {"mean": x, "low": x - 1, "high": x + 1}}}
        for m, x in (("kde", 3), ("random", 1))
    ]
    (tmp_path / "run" / "compare.json").write_text(json.dumps(scores))
    renew(tmp_path / "run")
    complaints(driver)
    open_page(driver, tmp_path / "run" / "report.html")
    assert _all(driver, "#comparison svg .name") == ["kde", "random"]
    assert len(_all(driver, "#comparison svg .whisker")) == 2 and len(_all(driver, "#path .band.target")) == 1
    _set_slider(driver, 20)
    held = float(driver.execute_script("return document.querySelector('[data-key=held_out]').dataset.value"))
    assert held == pytest.approx(1 + s[20])
    assert complaints(driver) == []


def test_a_selection_without_path_texts_and_sources_is_shown(driver: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    chosen = tsds.select(rng.normal(size=(60, 5)), rng.normal(size=(3, 5)), size=4, method="tv")
    chosen.report(tmp_path / "report.html")
    complaints(driver)
    open_page(driver, tmp_path / "report.html")
    assert _all(driver, "h2") == ["Why these", "How well the pool serves the targets", "Settings, certificate and time"]
    assert len(_all(driver, ".record")) == len(chosen.indices) and complaints(driver) == []
    whole = driver.execute_script("return document.getElementById('page').innerText")
    assert "token" not in whole and "longest" not in whole


def test_the_page_of_a_rule_has_no_strength_and_no_optimum(driver: Any, tmp_path: Path) -> None:
    tsds.select(texts(60), texts(3, seed=1), size=4, method="round-robin").report(tmp_path / "report.html")
    open_page(driver, tmp_path / "report.html")
    whole = driver.execute_script("return document.getElementById('page').innerText").lower()
    assert "a rule, not an optimum: nothing to prove" in whole
    assert "optimal" not in whole and "strength" not in whole and "certified" not in whole
    assert _all(driver, "[data-key=rank]") == []  # it keeps no lists to have a place in
    assert complaints(driver) == []


RUN = "window.owned=1;document.title='owned'"
HOSTILE = [
    f"<script>{RUN}</script>",
    f"</script><script>{RUN}</script><script>",
    f"<!--<script>{RUN}</script>-->",
    f'<img src="http://127.0.0.1:9/a.png" onerror="{RUN}">',
    f"<svg onload=\"{RUN}\"><a href=\"javascript:{RUN}\">x</a></svg>",
    f"<a href=\"javascript:{RUN}\">link</a> javascript:{RUN}",
    "<iframe srcdoc=\"<script>parent.owned=1</script>\"></iframe><style>@import 'http://127.0.0.1:9/b.css';</style>",
    "<link rel=stylesheet href=http://127.0.0.1:9/c.css><base href=http://127.0.0.1:9/><meta http-equiv=refresh content=0;url=http://127.0.0.1:9/>",
    f"\u2028{RUN}\u2029 \\u003cscript\\u003e {{{{constructor.constructor('{RUN}')()}}}} ${{{RUN}}}",
    "\u202eright to left\u202c \u200bzero\u200d width\ufeff \u0000 null \x1b[31m bell \x07",
    "@@SCRIPT@@ @@FACTS@@ ]]> --> */ '\"`",
    "x" * 1_000_000,
]  # fmt: skip


EVERY_CHOICE = """
  for (const pick of document.querySelectorAll("select"))
    for (const at of [pick.options.length - 1, 0]) { pick.selectedIndex = at; pick.dispatchEvent(new Event("change")); }
"""


def _hostile_page(path: Path) -> None:
    several = [(h, i, words) for h in HOSTILE for i, words in enumerate(texts(12))]
    names = [{"id": f"{h[:200]}{i}", "source": h[:300], "kind": h[:70]} for h, i, _ in several]
    turns = [
        [{"role": h[:300], "content": f"{h} {words}"}, {"role": "assistant", "content": h}] for h, _, words in several
    ]
    chats = [{**one, "messages": messages} for one, messages in zip(names, turns, strict=True)]
    plain = [{**one, "id": f"{one['id']}p", "text": f"{h} {w}"} for one, (h, _, w) in zip(names, several, strict=True)]
    target = {
        h[:50] + str(i): [{"id": f"{h[:100]}", "text": f"{h} {texts(1, seed=3)[0]}"}] for i, h in enumerate(HOSTILE)
    }
    chosen = tsds.select(chats + plain, target, size=120)
    page = explorer(chosen)
    page["comparison"] = [
        {"method": h[:300], "metric": HOSTILE[1], "about": h[:300], "mean": 1, "low": 0, "high": 2} for h in HOSTILE[:9]
    ]
    facts = facts_of(chosen, "tsds '" + "".join(HOSTILE[:11]) + "\ud800'")
    write_page(facts, page, path)


def test_no_hostile_text_runs_or_loads_anything(driver: Any, tmp_path: Path) -> None:
    path = tmp_path / "hostile.html"
    _hostile_page(path)
    assert path.stat().st_size < 3_000_000
    complaints(driver)
    requests(driver)
    open_page(driver, path)
    driver.execute_script("for (const b of document.querySelectorAll('.more, .prose + .link, summary')) b.click()")
    driver.execute_script(EVERY_CHOICE)
    assert len(_all(driver, "select[aria-label^=task] option")) > 2
    assert all(" of " in text for text in _all(driver, ".serves .aim"))
    _point_at_a_target(driver)
    for stop in range(0, 40, 8):
        _set_slider(driver, stop)
    whole = driver.execute_script("return document.getElementById('page').innerText")
    assert driver.execute_script("return window.owned") is None
    assert "records chosen for" in driver.title and "owned" not in driver.title
    assert _all(driver, "#page :is(script, iframe, img, a, link, base, style, meta, object, embed)") == []
    for text in (
        f"<script>{RUN}</script>",
        '<img src="http://127.0.0.1:9/a.png"',
        "</script><script>",
        "⟨202E⟩right to left",
        "␀ null",
        "@@SCRIPT@@",
    ):
        assert text in whole, text
    assert "\u202e" not in whole and "\x00" not in whole
    assert set(requests(driver)) == {path.as_uri()}
    assert complaints(driver) == []


def test_hostile_texts_fit_a_narrow_window(tmp_path: Path) -> None:
    _hostile_page(tmp_path / "hostile.html")
    with browser(tmp_path / "profile", 360) as driver:
        open_page(driver, tmp_path / "hostile.html")
        driver.execute_script("for (const b of document.querySelectorAll('.more, .prose + .link, summary')) b.click()")
        assert driver.execute_script("return document.documentElement.scrollWidth") == 360


def test_the_guard_above_sees_a_text_that_runs(driver: Any, tmp_path: Path) -> None:
    """The same signs on a page that does let texts run: they are what tells the two apart."""
    (tmp_path / "bad.html").write_text("<title>bad</title>" + HOSTILE[0] + HOSTILE[3], encoding="utf-8")
    requests(driver)
    driver.get((tmp_path / "bad.html").as_uri())
    driver.implicitly_wait(1)
    assert driver.execute_script("return window.owned") == 1 and driver.title == "owned"
    assert any("127.0.0.1" in url for url in requests(driver))
    complaints(driver)
