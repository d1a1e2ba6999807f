"""What must stay unseen is read as the pool is: its field or template, else by its own layout; and skipping."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tsds
from tests.command.run import texts, write_jsonl
from tsds.embeddings.encoders.ngrams import MAX_CHARACTERS
from tsds.leakage import RUN, Guard, digests
from tsds.records.dialogue import Dialogue, Turn

POOL = texts(120)
TARGET = [{"body": text, "t": text, "text": "x"} for text in texts(6, seed=1)]
RECORDS = [{"body": text, "t": "q " + text, "text": f"short {i}"} for i, text in enumerate(POOL)]
#: Rows of the pool that must go.
SECRET = [3, 40, 77]


def left(exclude: Any, **options: Any) -> tuple[set[int], tsds.Selection]:
    """The rows that are no candidates."""
    chosen = tsds.select(RECORDS, TARGET, size=5, exclude=exclude, **options)
    census = chosen.inputs.candidates.census
    gone = set(range(len(POOL))) - set(census.rows.tolist())
    assert census.excluded == len(gone)
    return gone, chosen


@pytest.mark.parametrize(
    ("options", "record"),
    [
        ({"text_field": "body"}, lambda text: {"body": text, "text": "nothing of the pool"}),
        ({"text_field": "body"}, lambda text: {"text": text}),
        ({"text_field": "body"}, lambda text: {"question": "", "answer": text}),
        ({"template": "q {body}"}, lambda text: {"body": text, "text": "nothing of the pool"}),
        ({"template": "{body}"}, lambda text: {"text": text}),
        ({}, lambda text: {"text": text}),
    ],
)
def test_its_texts_are_those_asked_for_or_its_own(options: dict[str, str], record: Any, tmp_path: Path) -> None:
    unseen = [record(POOL[row]) for row in SECRET]
    if not options:
        unseen = [{"text": f"short {row}"} for row in SECRET]
    gone, _ = left(write_jsonl(tmp_path / "test.jsonl", unseen), **options)
    assert gone == set(SECRET)


@pytest.mark.parametrize("on_error", ["fail", "skip"])
@pytest.mark.parametrize("odd", [7, [1], None, 1.5, True])
def test_its_ids_do_not_matter(odd: Any, on_error: Any, tmp_path: Path) -> None:
    unseen = write_jsonl(tmp_path / "test.jsonl", [{"body": POOL[row], "id": odd} for row in SECRET])
    gone, _ = left(unseen, text_field="body", id_field="t", on_error=on_error)
    assert gone == set(SECRET)


def test_its_unusable_records_refuse_or_are_left_out_and_counted(tmp_path: Path) -> None:
    unseen = write_jsonl(tmp_path / "test.jsonl", [{"body": POOL[row]} for row in SECRET])
    unseen.write_text("{oops}\n" + unseen.read_text())
    with pytest.raises(tsds.InputError, match=r"test\.jsonl, line 1: malformed JSON"):
        left(unseen, text_field="body")
    gone, chosen = left(unseen, text_field="body", on_error="skip")
    assert gone == set(SECRET)
    (line,) = [what for what, _ in chosen.warnings if "--exclude" in what]
    assert "1 records of --exclude were left out as unusable" in line and "test.jsonl, line 1" in line


def test_long_texts_are_seen_to_their_ends() -> None:
    """What is shared may lie anywhere in a candidate or in a test text, across the places where they are cut too."""
    told = [f"Word{i}" for i in range(250_000)]
    long = " ".join(told)
    assert len(long) > 2 * MAX_CHARACTERS
    cut = len(long[:MAX_CHARACTERS].split())
    parts = [" ".join(told[at : at + RUN]).upper() for at in (9, cut - 7, 150_000, len(told) - RUN)]
    guard = Guard([parts], overlapping=True)
    some = ["short", "x" * 2 * MAX_CHARACTERS + "! " + parts[1], long]
    assert guard.leaks(some, digests(some)).tolist() == [False, True, True]
    few = [*parts, " ".join(told[9 : 8 + RUN]), "other words"]
    assert Guard([[long]], overlapping=True).leaks(few, digests(few)).tolist() == [True] * 4 + [False] * 2


def test_a_short_question_with_another_answer_is_a_leak() -> None:
    def chat(*said: str) -> Dialogue:
        return Dialogue([Turn("assistant" if i % 2 else "user", text) for i, text in enumerate(said)])

    long = " ".join(f"w{i}" for i in range(RUN))
    tests = [chat("Do hamsters eat any birds?", "no"), chat("Go on.", "well"), chat(long, "yes"), "a plain text"]
    pool = [
        chat("do HAMSTERS eat any birds", "That depends on many things."),
        chat("Hello there, who are you?", "A hamster.", "Do -- hamsters -- eat -- any -- birds ?!", "Yes."),
        chat("Go on", "I will not."),
        chat(long.upper(), "no, never"),
        chat("Do hamsters eat any birds or fish?", "no"),
        chat("Who eats what?", "Do hamsters eat any birds?"),
        "Do hamsters eat any birds?",
        chat("a plain text", "indeed"),
    ]
    for least, short in ((1, True), (3, False)):
        guard = Guard([tests[:2], tests[2:]], overlapping=True, least=least)
        assert guard.leaks(pool, digests(pool)).tolist() == [True, True, short, True] + [False] * 4
    assert not Guard([tests], overlapping=False).leaks(pool, digests(pool)).any()

    def record(question: str, answer: str) -> dict[str, Any]:
        return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}

    records = [record(f"What is it that {text}?", text) for text in POOL]
    records += [record("go on", "so"), record("do hamsters eat any birds", "of course")]
    unseen = [record("Go on!", "then"), record("Do hamsters eat any birds?", "no")]
    chosen = tsds.select(records, POOL[:3], size=5, exclude=unseen)
    assert set(range(len(records))) - set(chosen.inputs.candidates.census.rows.tolist()) == {len(records) - 1}
