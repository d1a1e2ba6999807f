"""The text of a record: fields, templates, layouts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tsds.errors import InputError
from tsds.records import TextSpec, fields_read
from tsds.records.dialogue import turns_of
from tsds.records.text import parts_of

CHAT = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because."}]

CALL = {"name": "look", "arguments": '{"at": "ü"}'}
USE = {"type": "tool_use", "id": "1", "name": "look", "input": {}}


@pytest.mark.parametrize(
    ("record", "text"),
    [
        ("bare", "bare"),
        ({"text": "t", "messages": CHAT}, "t"),
        ({"text": None, "messages": CHAT}, "Why?\nBecause."),
        ({"messages": CHAT}, "Why?\nBecause."),
        ({"messages": []}, ""),
        ({"text": "", "messages": CHAT}, "Why?\nBecause."),
        ({"messages": [], "prompt": "a", "completion": "b"}, "a\nb"),
        ({"text": " \n", "instruction": "", "input": "", "output": "", "question": "q", "answer": 7}, "q\n7"),
        ({"prompt": "", "chosen": "", "completion": "c"}, "c"),  # nothing was asked
        ({"instruction": "", "input": "", "context": "x", "output": " ", "response": "r"}, "x\nr"),
        ({"text": " ", "messages": [], "prompt": ""}, " "),
        ({"text": "", "prompt": {"id": 3}}, ""),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image", "url": "u"}]}]},
            "a",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "see"}, None]}]}, "see"),
        ({"messages": [{"role": "assistant", "content": None, "tool_calls": []}, *CHAT]}, "Why?\nBecause."),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "1", "function": CALL}]}]}, 'look {"at": "ü"}'),
        ({"messages": [{"role": "assistant", "content": "", "tool_calls": [CALL, None]}]}, 'look {"at": "ü"}'),
        (
            {"messages": [{"content": "So:", "tool_calls": [{"function": {"name": "go"}}, CALL]}]},
            'So:\ngo\nlook {"at": "ü"}',
        ),
        ({"messages": [{"role": "assistant", "content": "Why?", "tool_calls": "[]"}]}, "Why?"),
        ({"messages": [{"role": "assistant", "tool_calls": json.dumps([{"function": CALL}])}]}, 'look {"at": "ü"}'),
        ({"messages": [{"role": "assistant", "function_call": CALL | {"arguments": {"at": "ü"}}}]}, 'look {"at": "ü"}'),
        ({"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}, "q\na"),
        ({"instruction": "i", "input": "", "output": "o"}, "i\no"),
        ({"instruction": "i", "input": "x", "output": "o"}, "i\nx\no"),
        ({"prompt": "p", "completion": "c"}, "p\nc"),
        ({"prompt": "p", "response": "r"}, "p\nr"),
        ({"prompt": CHAT[:1], "completion": CHAT[1:]}, "Why?\nBecause."),
        ({"question": "q", "answer": "a"}, "q\na"),
        ({"question": "q", "answer": 42}, "q\n42"),
        ({"input": "i", "output": "o"}, "i\no"),
        ({"instruction": "i", "context": "x", "response": "r"}, "i\nx\nr"),
        ({"instruction": "i", "input": "", "context": "x", "output": "", "response": "r"}, "i\nx\nr"),
        ({"instruction": "i", "input": "x", "context": "c", "output": "o", "response": "r"}, "i\nx\no"),
        ({"question": "q", "response": "r", "system_prompt": "s"}, "s\nq\nr"),
        ({"system": "s", "question": "q", "answer": "a", "response": "r"}, "s\nq\na"),
        ({"messages": [{"role": "assistant", "content": [USE | {"input": {"at": "ü"}}]}]}, 'look {"at": "ü"}'),
        ({"messages": [{"role": "user", "content": [{"type": "tool_result", "content": "found"}]}]}, "found"),
        (
            {"messages": [{"content": [{"type": "text", "text": "So:"}, USE, USE | {"input": None}]}]},
            "So:\nlook {}\nlook",
        ),
        ({"prompt": "p", "chosen": "c", "rejected": "r"}, "p\nc"),
        ({"system": "s", "question": "q", "chosen": "c", "rejected": "r"}, "s\nq\nc"),
        ({"chosen": "Human: p\nBot: c", "rejected": "Human: p\nBot: r"}, "Human: p\nBot: c"),
        ({"prompt": "Human: p\n", "chosen": "Human: p\nBot: c", "rejected": "Human: p\nBot: r"}, "Human: p\nBot: c"),
        ({"prompt": "Why?", "chosen": CHAT, "rejected": CHAT[:1]}, "Why?\nBecause."),
        ({"prompt": CHAT[:1], "chosen": CHAT[1:], "rejected": CHAT[1:]}, "Why?\nBecause."),
        ({"prompt": "Why?", "chosen": json.dumps(CHAT[1:]), "rejected": "[]"}, "Why?\nBecause."),
        ({"prompt": "p", "response": "r", "chosen": True}, "p\nr"),
        ({"prompt": "p", "completion": "c", "chosen": None}, "p\nc"),
        ({"prompt": "p", "answer": 4}, "p\n4"),
        ({"prompt": "p", "output": "o", "solution": "s"}, "p\no"),
        ({"prompt": "p", "solution": "s"}, "p\ns"),
        ({"prompt": "p", "completion": "c", "response": "r", "answer": "a"}, "p\nc\nr"),
        ({"prompt": "p", "completion": 5}, "p\n5"),
        ({"prompt": "", "completion": "c"}, "c"),
        ({"question": "q", "solution": "s"}, "q\ns"),
        ({"question": "q", "answer": "", "output": "o"}, "q\no"),
        ({"question": "q", "completion": "c"}, "q\nc"),
        ({"instruction": "i", "answer": "a"}, "i\na"),
        ({"instruction": "i", "input": "x", "completion": "c"}, "i\nx\nc"),
        ({"problem": "p", "solution": "s", "answer": "a"}, "p\ns"),
        ({"problem": "p", "answer": 3}, "p\n3"),
        ({"query": "q", "response": "r"}, "q\nr"),
        ({"query": "q", "answer": "a"}, "q\na"),
        ({"query": "q", "input": "i", "output": "o"}, "i\no"),
        ({"content": "c", "raw_content": "r"}, "c"),
        ({"content": {"id": 1}, "raw_content": "r"}, "r"),
        ({"document": "d", "query": "q", "answer": "a"}, "q\na"),
        ({"code": "c", "prompt": "", "completion": "", "content": ""}, "c"),
        ({"content": "x", "prompt": "", "completion": "c"}, "c"),
        ({"content": ""}, ""),
    ],
)
def test_layouts_are_found(record: object, text: str) -> None:
    assert TextSpec().text_of(record) == text


def test_each_field_of_a_layout_has_its_speaker() -> None:
    orca = {"system_prompt": "Be a pirate", "question": "2+2?", "response": "Arr, four"}
    dolly = {"instruction": "Name it", "context": "A blue sky", "response": "blue"}
    assert turns_of(TextSpec().text_of(orca)) == (
        ("system", "Be a pirate"),
        ("user", "2+2?"),
        ("assistant", "Arr, four"),
    )
    assert turns_of(TextSpec().text_of(dolly)) == (("user", "Name it\nA blue sky"), ("assistant", "blue"))
    pair = {"rejected": "5", "chosen": [{"role": "assistant", "content": "4"}], "prompt": "2+2?"}
    assert turns_of(TextSpec().text_of(pair)) == (("user", "2+2?"), ("assistant", "4"))
    assert parts_of(orca) == list(orca.items()) and parts_of(dolly) == list(dolly.items())
    assert parts_of({"question": "q", "answer": 42}) == [("question", "q"), ("answer", "42")]


SYSTEM = {"role": "system", "content": "s"}


@pytest.mark.parametrize("record", [
    {"system": "s", "messages": CHAT},
    {"system": [{"type": "text", "text": "s"}], "messages": json.dumps(CHAT)},
    {"system": "other", "messages": [SYSTEM, *CHAT]},
    {"system": "s", "conversations": [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "Because."}]},
    {"system": "other", "conversations": [{"from": "system", "value": "s"}, *CHAT]},
    {"system_prompt": "", "system": "s", "instruction": "Why?", "output": "Because."},
    {"system": "s", "prompt": "Why?", "completion": "Because."},
    {"system": "s", "prompt": CHAT[:1], "response": "Because."},
    {"system": "other", "prompt": [SYSTEM, CHAT[0]], "chosen": CHAT[1:]},
    {"system": "s", "chosen": CHAT},
    {"system": "s", "input": "Why?", "output": "Because."},
])  # fmt: skip
def test_what_the_system_says_is_read_once(record: dict[str, Any]) -> None:
    text = TextSpec().text_of(record)
    assert text == "s\nWhy?\nBecause."
    assert turns_of(text) == (("system", "s"), ("user", "Why?"), ("assistant", "Because."))
    parts = parts_of(record)
    assert parts is not None and [said for _, said in parts] == ["s", "Why?", "Because."]


def test_a_system_field_that_says_nothing_changes_nothing() -> None:
    for more in ({"system": ""}, {"system": None}, {"system": {"os": "linux"}}):
        assert turns_of(TextSpec().text_of({"messages": CHAT, **more})) == turns_of(
            TextSpec().text_of({"messages": CHAT})
        )
        assert turns_of(TextSpec().text_of({"prompt": "p", **more})) == ()
    transcript = {"messages": "User: Why?", "system": "s"}  # of no turns
    assert TextSpec().text_of(transcript) == "User: Why?" and parts_of(transcript) is None


def test_a_chat_stored_as_a_struct_of_lists_is_a_chat() -> None:
    lists = {"role": ["user", "assistant"], "content": ["Why?", "Because."]}
    for record in ({"messages": lists}, {"prompt": "", "chosen": lists}, {"prompt": CHAT[:1], "chosen": lists}):
        assert turns_of(TextSpec().text_of(record)) == (("user", "Why?"), ("assistant", "Because."))
    shares = {"from": ["human", "gpt"], "value": ["Why?", "Because."]}
    assert parts_of({"conversations": shares}) == [("human", "Why?"), ("gpt", "Because.")]
    assert TextSpec("chat").text_of({"chat": lists}) == TextSpec(template="{chat}").text_of({"chat": lists})
    assert TextSpec().text_of({"messages": {"role": [], "content": []}, "prompt": "p"}) == "p"
    for odd in ({"role": ["user"], "content": []}, {"role": ["user"], "content": "Why?"}, {"role": "user"}):
        with pytest.raises(InputError, match="'messages' holds dict"):
            TextSpec().text_of({"messages": odd})


def test_preferences_as_openai_has_them_are_read() -> None:
    record = {
        "input": {"messages": CHAT[:1], "tools": []},
        "preferred_output": CHAT[1:],
        "non_preferred_output": [{"role": "assistant", "content": "No."}],
    }
    assert turns_of(TextSpec().text_of(record)) == (("user", "Why?"), ("assistant", "Because."))
    assert parts_of(record) == [("user", "Why?"), ("assistant", "Because.")]


def test_what_a_model_thinks_and_the_roles_of_tools_are_read() -> None:
    thought = [
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "reasoning_content": "Hm.", "content": "Because."},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "So?"}, {"type": "text", "text": "Yes."}]},
    ]
    assert TextSpec().text_of({"messages": thought}) == "Why?\nHm.\nBecause.\nSo?\nYes."
    tools = [
        {"from": "human", "value": "a"},
        {"from": "function_call", "value": "b"},
        {"from": "observation", "value": "c"},
    ]
    text = TextSpec().text_of({"conversations": tools})
    assert [turn.role for turn in turns_of(text)] == ["user", "assistant", "tool"]


def test_a_chat_stored_as_json_text_is_a_chat() -> None:
    stored = {"messages": json.dumps(CHAT)}
    for spec in (TextSpec(), TextSpec("messages"), TextSpec(template="{messages}")):
        assert spec.text_of(stored) == "Why?\nBecause."
    for spec in (TextSpec(), TextSpec("messages")):
        assert len(turns_of(spec.text_of(stored))) == 2
        assert parts_of(stored, spec) == [("user", "Why?"), ("assistant", "Because.")]
    for text in ("[1] is a note", '["a", "b"]', '[{"n": 1}]', "[]"):
        assert TextSpec().text_of({"messages": text}) == text


def test_a_named_field_may_be_nested_or_a_chat() -> None:
    assert TextSpec("body").text_of({"body": "b", "text": "t"}) == "b"
    assert TextSpec("meta.parts.1").text_of({"meta": {"parts": ["a", "b"]}}) == "b"
    assert TextSpec("a.b").text_of({"a.b": "dotted name", "a": {"b": "path"}}) == "dotted name"
    assert TextSpec("chat").text_of({"chat": CHAT}) == "Why?\nBecause."
    assert TextSpec("body").text_of("bare text has no fields") == "bare text has no fields"


def test_a_template_fills_fields_in() -> None:
    record = {"q": "Q", "n": 3, "ok": True, "meta": {"tags": ["x", {"name": "y"}]}, "chat": CHAT, "empty": ""}
    assert TextSpec(template="{q}\\n{n}\\t{ok}").text_of(record) == "Q\n3\ttrue"
    assert TextSpec(template="{{{q}}}{empty}").text_of(record) == "{Q}"
    assert TextSpec(template="{meta.tags.0} {meta[tags][1][name]}").text_of(record) == "x y"
    assert TextSpec(template="{chat}").text_of(record) == "Why?\nBecause."
    assert TextSpec(template="{meta.tags.1}").text_of(record) == '{"name":"y"}'


@pytest.mark.parametrize(
    ("spec", "record", "words"),
    [
        (TextSpec(), {"id": 1, "body": "x"}, ["no text found", "id, body", "--text-field", "--template"]),
        (TextSpec(), {}, ["no text found", "no fields"]),
        (TextSpec(), {str(i): i for i in range(30)}, ["30 fields"]),
        (TextSpec(), {"text": None}, ["no text found", "text"]),
        (TextSpec(), {"text": 7}, ["'text' holds int"]),
        (TextSpec(), {"messages": [3]}, ["'messages' holds a int where a message is expected"]),
        (TextSpec("body"), {"id": 1, "text": "x"}, ["'body' is missing", "id, text", "--text-field"]),
        (TextSpec("body"), {"body": None}, ["'body' holds null"]),
        (TextSpec("body"), {"body": b"x"}, ["'body' holds bytes"]),
        (TextSpec(template="{a} {b}"), {"a": "x"}, ["'b' is missing", "has a"]),
        (TextSpec(template="{a}"), {"a": None}, ["'a'", "null", "--on-error skip"]),
        (TextSpec(template="{a.5}"), {"a": ["x"]}, ["'a.5' is missing"]),
    ],
)
def test_a_record_without_text_is_told_so(spec: TextSpec, record: dict[str, object], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        spec.text_of(record)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("template", ["no field", "", "{}", "{a", "a}", "{a!r}", "{a:>3}"])
def test_a_malformed_template_is_refused_at_once(template: str) -> None:
    with pytest.raises(InputError, match="template"):
        TextSpec(template=template)


def test_a_field_and_a_template_are_texts() -> None:
    for given in ({"field": ["a"]}, {"template": ["{a}"]}, {"field": 0}):
        with pytest.raises(InputError, match=r"the (text field|template) is .* \(one text is wanted"):
            TextSpec(**given)  # type: ignore[arg-type]


def test_a_field_and_a_template_exclude_each_other() -> None:
    with pytest.raises(InputError, match="keep one"):
        TextSpec("a", "{b}")


def test_the_fields_that_a_text_is_from() -> None:
    assert fields_read("bare") == fields_read("bare", TextSpec("a")) == ()
    assert fields_read({"text": "t", "messages": CHAT}) == ("text",)
    assert fields_read({"text": "", "answer": 4, "input": "", "question": "q", "id": 1}) == ("question", "answer")
    assert fields_read({"instruction": "i", "input": "", "output": "o", "system": "s"}) == (
        "system",
        "instruction",
        "output",
    )
    assert fields_read({"system": "s", "messages": [SYSTEM, *CHAT]}) == ("messages",)
    record = {"a.b": "x", "a": {"c": "y"}, "n": 0, "e": ""}
    assert fields_read(record, TextSpec("a.b")) == ("a.b",)
    assert fields_read(record, TextSpec(template="{a.c}{a.b}{e}{n}{a}")) == ("a", "a.b", "n")
    assert fields_read({"text": "t"}, TextSpec("body", or_found=True)) == ("text",)


def test_columns_name_all_fields_that_may_be_read() -> None:
    assert {"text", "messages", "instruction", "answer", "system", "preferred_output", "code"} <= TextSpec().columns
    assert TextSpec("a.b").columns == {"a", "a.b"}
    assert TextSpec(template="{a} {b.c}").columns == {"a", "b", "b.c"}
