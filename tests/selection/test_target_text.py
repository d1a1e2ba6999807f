"""A target's text: where its own options say, else where the pool's do if it has the fields, else by its layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tsds
from tests.command.run import texts, write_jsonl
from tsds import cli
from tsds.begun import begun_with
from tsds.forecast import forecast
from tsds.report.data import facts_of
from tsds.report.explorer import explorer
from tsds.settings import Settings

POOL = [{"body": text, "reply": f"so {i}"} for i, text in enumerate(texts(60))]
TEXTS = texts(9, seed=1)
BODY, BOTH = {"text_field": "body"}, {"template": "{body}\n{reply}"}


def seen(target: list[Any], **options: Any) -> list[str]:
    """The targets' texts as they are read; the forecast must take them too."""
    forecast(POOL, target, Settings(size=5, **options))
    read = tsds.select(POOL, target, size=5, **options).inputs.texts
    assert read is not None
    return read.targets()


@pytest.mark.parametrize("asked", [BODY, BOTH], ids=str)
def test_it_is_found_where_the_pool_has_other_fields(asked: dict[str, str]) -> None:
    assert seen([{"text": text} for text in TEXTS], **asked) == TEXTS
    assert seen([{"question": text, "answer": "no"} for text in TEXTS], **asked) == [f"{text}\nno" for text in TEXTS]
    assert seen(TEXTS, **asked) == TEXTS
    there = [{"text": "other", "body": text, "reply": "r"} for text in TEXTS]
    assert seen(there, **asked) == [text if asked == BODY else f"{text}\nr" for text in TEXTS]


def test_its_own_options_go_first() -> None:
    target = [{"body": "other", "text": "another", "q": text, "a": {"is": "yes"}} for text in TEXTS]
    assert seen(target, **BOTH, target_text_field="q") == TEXTS
    assert seen(target, **BODY, target_template="{q}: {a.is}") == [f"{text}: yes" for text in TEXTS]
    answers = [{"text": text} for text in texts(60)]
    assert tsds.select(answers, target, size=5, target_text_field="q").inputs.targets.census["used"] == 9


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (BODY, "field 'body' is missing, and no text found; the record has id, answer (choose one with "
               "--target-text-field or several with --target-template)"),
        (BOTH, "field 'body' is missing, and no text found; the record has id, answer (choose one with "
               "--target-text-field or several with --target-template)"),
        ({"target_text_field": "q"}, "field 'q' is missing; the record has id, answer (choose one with "
                                     "--target-text-field or several with --target-template)"),
        ({"target_template": "{id} {q}"}, "field 'q' is missing; the record has id, answer (name another in "
                                          "--target-template, or leave such records out with --on-error skip)"),
        ({"target_text_field": "id", "target_template": "{id}"}, "a text field and a template are both given"),
    ],
    ids=str,
)  # fmt: skip
def test_the_error_names_what_was_asked_for_and_the_option_to_give(
    options: dict[str, str], said: str, tmp_path: Path
) -> None:
    target = write_jsonl(tmp_path / "t.jsonl", [{"id": 3, "answer": "x"}])
    asked = options if options in (BODY, BOTH) else {**BODY, **options}
    for made in (
        lambda: tsds.select(POOL, target, size=5, **asked),
        lambda: forecast(POOL, target, Settings(5, **asked)),
    ):
        with pytest.raises(tsds.InputError) as error:
            made()
        assert said in str(error.value)


def test_the_page_shows_a_found_chat_by_its_messages() -> None:
    chats = [[{"role": "user", "content": text}, {"role": "assistant", "content": "yes"}] for text in TEXTS]
    chosen = tsds.select(POOL, [{"messages": chat} for chat in chats], size=5, text_field="body")
    shown = [text for text in explorer(chosen)["texts"] if isinstance(text, list)]
    assert [turn[0] for turn in shown[0]] == ["user", "assistant"] and len(shown) == len(TEXTS)
    counted = facts_of(chosen)
    assert (counted["pool"]["text_fields"], counted["target"]["text_fields"]) == (["body"], ["messages"])


def test_the_verbs_have_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """select notes them in run.json, and what a run to be resumed must have had; path, compare and embed take them."""
    pool = write_jsonl(tmp_path / "p.jsonl", POOL)
    target = write_jsonl(tmp_path / "t.jsonl", [{"q": text, "a": "yes"} for text in TEXTS])
    files, own = ([str(pool)], [str(target)]), {"text_field": "body", "target_template": "{q} {a}"}
    cli.select(*files, "5", str(tmp_path / "out"), **own, quiet=True)
    run = json.loads((tmp_path / "out" / "run.json").read_bytes())
    assert (run["settings"]["target_template"], run["settings"]["target_text_field"]) == ("{q} {a}", None)
    assert begun_with(*files, Settings(5, **own))["settings"]["target_template"] == "{q} {a}"
    cli.path(*files, "5", **own, quiet=True)
    cli.compare(*files, "5", tmp_path / "compared", ["nearest"], **own, quiet=True)
    for asked, made in ((own, 9), (own, 0), (BODY | {"target_text_field": "q"}, 9)):
        capsys.readouterr()
        cli.embed(tmp_path / "store", files[0], target=files[1], **asked, json=True, quiet=True)
        assert json.loads(capsys.readouterr().out)["sources"]["target"]["made"] == made
