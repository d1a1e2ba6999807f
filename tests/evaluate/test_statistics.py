"""The statistics against cases worked out by hand, and the measures against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import ttest_1samp
from sklearn.metrics import f1_score

from tsds.comparing.measures import Measure
from tsds.evaluate.answers import answer_in, exact_match, normal, token_f1
from tsds.evaluate.cells import Cell, Place
from tsds.evaluate.classifier import f1
from tsds.evaluate.markdown import markdown
from tsds.evaluate.results import plot
from tsds.evaluate.statistics import Interval, Paired, bootstrap, by_seed, interval95, record_of, said_by_seed
from tsds.evaluate.tables import Outcome, Table, tables_of


def test_the_bootstrap_by_hand() -> None:
    # Two values: the means are -1, 1, 3 with chances 1/4, 1/2, 1/4.
    assert bootstrap(np.array([-1.0, 3.0])) == (-1, 3)
    # Of 0, 0, 0, 4 the mean of four draws is the number of fours: chances .316, .422, .211, .047, .004.
    assert bootstrap(np.array([0.0, 0, 0, 4])) == (0, 3)
    # Six are drawn by chance: of five zeros and a six the number of sixes, chances .335, .402, .201, .054, .008.
    assert bootstrap(np.array([0.0, 0, 0, 0, 0, 6])) == (0, 3)


def test_what_a_seed_does_to_all_targets_is_drawn_once_for_all() -> None:
    """The noise of a model that serves every target does not go away with the number of targets."""
    luck = {seed: float(x) for seed, x in enumerate(np.random.default_rng(1).normal(size=5))}
    apart = [{seed + 5 * i: x for seed, x in luck.items()} for i in range(8)]
    assert said_by_seed([luck] * 8) == pytest.approx(list(luck.values()))
    spread = [Interval.of(said_by_seed(groups)).error for groups in ([luck] * 8, apart)]
    assert spread[1] / spread[0] == pytest.approx(8**-0.5)  # had each target a model of its own
    # Seeds that some targets lack make it no narrower: the standard error is that of many such means.
    held = [(0, 1, 2, 3, 4), (0, 1, 2, 3), (0, 1, 2), (0, 1, 4)]
    found = []
    for draw in np.random.default_rng(2).normal(size=(2000, 5)):
        found.append(Interval.of(said_by_seed([{s: float(draw[s]) for s in seeds} for seeds in held])))
    error = np.sqrt(np.mean([one.error**2 for one in found]))
    assert error == pytest.approx(np.std([one.mean for one in found]), rel=0.05)
    # One of two targets lacks the seed 2: twice as far off zero on 0 and 1, by the root of 3 * 2 / (2 * 1).
    off = 3**0.5 / 2
    assert said_by_seed([{1: 3.0, 0: 1.0}, {0: 4.0, 1: 5.0, 2: 6.0}]) == pytest.approx([3 - off, 3.5 + off, 4])


def test_pairs_are_paired_by_seed() -> None:
    mine, theirs = {0: 0.5, 1: 0.7, 2: 0.9}, {2: 0.8, 1: 0.6, 0: 0.4, 7: 0.0}
    found = Paired.of(mine, theirs, lower=False)
    assert found is not None
    assert (found.pairs, found.ahead) == (3, 3)
    assert (found.mean, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))
    assert found.verdict(lower=False) == "win" and found.verdict(lower=True) == "loss"
    assert Paired.of({0: 1.0}, {1: 1.0}, lower=True) is None
    gaps = {0: 0.5, 1: 0.6, 2: 0.1}  # all above zero, but three draws do not tell: t says 0.4 +- 0.66
    few = Paired.of(gaps, dict.fromkeys(gaps, 0.0), lower=False)
    student = ttest_1samp([*gaps.values()], 0).confidence_interval()
    assert few is not None and few.low < 0 and few.verdict(lower=False) == "tie"
    assert (few.low, few.high) == pytest.approx((student.low, student.high), rel=1e-3)
    alone = Paired.of({0: 1.0}, {0: 0.0}, lower=False)
    assert alone is not None and alone.verdict(lower=False) == "tie"  # one pair decides nothing


def test_the_record_weighs_groups_the_same() -> None:
    found = record_of([{0: 1.0, 1: 1.0}, {0: -3.0}], ["win", "tie"])
    assert found.mean == -1 and (found.wins, found.ties, found.losses) == (1, 1, 0)
    assert (found.low, found.high, found.seeds) == (-1, -1, 1)


def test_the_interval_over_all_targets_holds_the_truth_of_a_few_seeds() -> None:
    # Means of the targets by seed 1, 2, 6: 3 +- 4.303 * sqrt(7 / 3); the bootstrap says 1 to 6.
    found = record_of([{0: 0.0, 1: 2.0, 2: 4.0}, {0: 2.0, 1: 2.0, 2: 8.0}], ["tie", "tie"])
    reach = 4.303 * math.sqrt(7 / 3)
    assert (found.mean, found.low, found.high) == pytest.approx((3, 3 - reach, 3 + reach))
    # Where one target has two seeds only, as much as two say; here said by three: 3, 3 - d, 3 + d.
    d = math.sqrt(3 * 2 / (2 * 1)) / 2
    found = record_of([{0: 2.0, 1: 2.0, 2: 2.0}, {0: 3.0, 1: 5.0}], ["tie", "tie"])
    assert (found.low, found.high) == pytest.approx((3 - 12.706 * d / 3**0.5, 3 + 12.706 * d / 3**0.5))
    # Of 38 zeros and two ones the bootstrap reaches farther up, to five in forty, and Student's t farther down.
    low, high = interval95(np.repeat([0.0, 1.0], [38, 2]), 40)
    assert low == pytest.approx(0.05 - 2.0227 * math.sqrt(0.05 * 0.95 / 39), rel=1e-3) and high == 5 / 40
    draws = np.random.default_rng(7).normal(size=(400, 3, 5))
    records = [record_of([dict(enumerate(seeds.tolist())) for seeds in targets], []) for targets in draws]
    assert np.mean([one.low <= 0 <= one.high for one in records]) > 0.93  # by the bootstrap alone 0.84


def test_sizes_of_a_seed_are_not_draws_of_their_own() -> None:
    """Three sizes that say the same make an interval as wide as one does."""
    gaps = {0: -1.0, 1: 3.0, 2: 1.0}
    assert by_seed([gaps]) == by_seed([gaps] * 3) == gaps
    assert by_seed([gaps, {0: 3.0, 2: 2.0, 7: 0.0}]) == {0: 1, 2: 1.5}
    assert by_seed([gaps, {9: 1.0}]) == {}


def test_what_is_no_number_is_not_measured() -> None:
    cells = {
        place: Cell(place, {"loss": value})
        for seed, value in enumerate((1.0, math.nan, math.inf))
        for method in ("random", "auto")
        if (place := Place("a", "plain", "1%", "tokens", method, seed))
    }
    (table,) = tables_of(cells)
    assert table.of("auto", "loss") == {0: 1.0}
    cells[place] = Cell(place, {"loss": 2.0})  # the last of auto
    found = Outcome("instruction", {"loss": Measure("loss", "", True)}, ["random", "auto"], tables_of(cells), {})
    assert "| random | 1.0000 (1 of 2 seeds) |" in markdown(found)
    assert plot(found) is not None


def test_answer_tokens_are_counted_or_told_from_lengths() -> None:
    """Cells of before did not count them: 1,200 tokens, of texts of 40 with answers of 10."""
    facts = {"loss": 1.0, "tokens": 1200.0, "text_tokens": 40.0, "reply_tokens": 10.0}
    places = [Place("a", "plain", "1%", "tokens", method, 0) for method in ("random", "auto", "none")]
    values = [facts, {**facts, "trained_tokens": 1234.0}, {"loss": 1.0, "tokens": 0.0}]
    cells = {place: Cell(place, one) for place, one in zip(places, values, strict=True)}
    (table,) = tables_of(cells)
    assert [table.of(place.method, "trained_tokens") for place in places] == [{0: 300.0}, {0: 1234.0}, {}]
    measures = {"loss": Measure("loss", "", True)}
    page = markdown(Outcome("instruction", measures, ["random", "auto", "none"], [table], {}))
    assert "| answer tokens trained |" in page and "| 1,234 |" in page


def test_one_seed_is_given_no_interval() -> None:
    def page(*seeds: int) -> str:
        values = {name: {"loss": {s: x + s / 8 for s in seeds}} for name, x in (("random", 2.0), ("auto", 1.5))}
        tables = [Table(target, "plain", "1%", "tokens", values) for target in ("a", "b")]
        return markdown(Outcome("instruction", {"loss": Measure("loss", "", True)}, list(values), tables, {}))

    alone = [line for line in page(0).splitlines() if line.startswith("| auto")]
    assert alone == [
        *["| auto | 1.5000 | -0.5000 |"] * 2,
        "| auto | random | plain, equal tokens | -0.5000 | 0 / 2 / 0 |",
    ]
    assert "1 seed\n" in page(0) and "-0.5000 [-0.5000, -0.5000] | 2 / 0 / 0" in page(0, 1)


def test_f1_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth, said = rng.integers(0, 5, 200), rng.integers(0, 6, 200)
    found = f1(truth, said, 9)
    assert found["micro_f1"] == pytest.approx(f1_score(truth, said, average="micro"))
    assert found["macro_f1"] == pytest.approx(f1_score(truth, said, average="macro"))


@pytest.mark.parametrize(
    ("words", "answer", "said"),
    [
        ("It takes 2/2=1 bolt, so 3 in all.\nThe answer is 3.", "3", "3"),
        ("first 4 then 1,200", "1200", "1,200"),
        ("I think the answer is (B) or (C)", "(B)", "(B)"),
        ("Well, no. Yes would be odd.", "yes", "no"),
        ("The answer is the red cube.\nMore words.", "red cube", "the red cube"),
        ("", "3", ""),
        ("   \n", "words", ""),
    ],
)
def test_the_answer_is_found_in_what_was_said(words: str, answer: str, said: str) -> None:
    assert answer_in(words, answer) == said


def test_answers_are_compared_without_dress() -> None:
    assert exact_match("1,200.", "1200") == 1 and exact_match("$18", "18") == 1 and exact_match("3.0", "3") == 1
    assert exact_match("17", "18") == 0 and exact_match("", "18") == 0
    assert token_f1("the red big cube", "red cube") == pytest.approx(2 * 2 / 5)
    assert exact_match("", "A") == 0 == token_f1("", "A") and exact_match("a", "A") == 1  # no article there
    assert exact_match("", "]") == 0 and exact_match("]", "]") == 1
    assert token_f1("", "x") == 0 and normal("The  Cat,") == "cat"
