"""What a model wrote is read as a person would: the answer in it, whatever is around."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from tests.evaluate import small
from tsds.evaluate.answers import answer_in, best, exact_match, token_f1
from tsds.evaluate.data import read


@pytest.mark.parametrize(
    ("words", "answer", "said"),
    [
        ("The answer is:\n5", "5", "5"),
        ("The answer is:\n\nyes, it is", "yes", "yes"),
        ("**The answer is:**\n(B)", "(B)", "(B)"),
        ("Answer: -5", "-5", "-5"),
        ("The answer is: Paris.", "Paris", "Paris"),
        ("x = 10-5", "5", "5"),
        ("so f(2)-3, 20%-4", "4", "4"),
        ("in 2010-2015", "2015", "2015"),
        ("from 3 to -5", "-5", "-5"),
        ("-5", "-5", "-5"),
        ("It is .5", "0.5", ".5"),
        ("It is -.25", "-.25", "-.25"),
        ("1,234.50 in all.", "1234.5", "1,234.50"),
        ("B", "(B)", "(B)"),
        ("b) the second", "(B)", "(b)"),
        ("The answer is B.", "(B)", "(B)"),
        ("A cat is (B)", "(B)", "(B)"),
        ("A cat sat", "(A)", ""),
        ("I think so", "(I)", ""),
        ("(B)", "B", "B"),
        ("y\nas f(x) is", "y", "y"),
        ("The answer is y = 2", "y", "y = 2"),
    ],
)
def test_the_answer_is_found(words: str, answer: str, said: str) -> None:
    assert answer_in(words, answer) == said


def test_numbers_are_equal_however_they_are_written() -> None:
    assert exact_match(".5", "0.5") == exact_match("-0.5", "-.5") == exact_match(".0", "0") == 1
    assert exact_match(".5", "5") == exact_match("-.5", ".5") == exact_match("3.10", "3.1") == 0


def test_of_several_answers_any_is_right(tmp_path: Path) -> None:
    given = [["ok", "yes"], "ok", 5.0, [5, "five"], None, []]
    small.lines(tmp_path / "t.jsonl", [{"text": "t", "answer": answer} for answer in given])
    answers = [one.answers for one in read(tmp_path / "t.jsonl", "t")]
    assert answers == [("ok", "yes"), ("ok",), ("5",), ("5", "five"), (), ()]
    assert best(exact_match, "Yes, it is", answers[0]) == 1 == best(exact_match, "five", answers[3])
    assert best(exact_match, "no", answers[0]) == 0 and best(token_f1, "It is five", answers[3]) == pytest.approx(0.5)
