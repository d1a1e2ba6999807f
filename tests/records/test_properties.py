"""What must hold of any records, cut and stored in any way."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.records.forms import zstd
from tsds.records import Pool, files

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | words, lambda v: st.lists(v, max_size=3)
)
records = st.dictionaries(words, values, max_size=3).flatmap(
    lambda rest: words.map(lambda text: {**rest, "text": text})
)


@st.composite
def lines_and_rows(draw: st.DrawFn) -> tuple[list[bytes], bytes, list[int], list[int]]:
    """JSON lines as stored, the file they make with blank lines between, and rows with counts."""
    end = st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\n \r\n", b" \t\n"])
    lines, content = [], b""
    drawn = draw(st.lists(records, min_size=1, max_size=12))
    for k, record in enumerate(drawn):
        record.pop("id", None)
        line = json.dumps(record, ensure_ascii=draw(st.booleans())).encode()
        after = draw(end) if k < len(drawn) - 1 else draw(end | st.just(b""))
        content += line + after
        lines.append((line + after).split(b"\n")[0])
    rows = sorted(draw(st.sets(st.integers(0, len(lines) - 1), min_size=1)))
    return lines, content, rows, draw(st.lists(st.integers(1, 3), min_size=len(rows), max_size=len(rows)))


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
@quick
@given(case=lines_and_rows(), suffix=st.sampled_from(["jsonl", "jsonl.gz", "jsonl.zst"]))
def test_chosen_lines_keep_their_bytes(chunk: int, case: tuple[Any, ...], suffix: str) -> None:
    lines, content, rows, counts = case
    squeeze = {"jsonl": bytes, "jsonl.gz": gzip.compress, "jsonl.zst": zstd}[suffix]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_CHUNK", max(chunk, 3))
        path = Path(folder) / f"p.{suffix}"
        path.write_bytes(squeeze(content))
        pool = Pool.open(path)
        written = pool.write(rows, folder, counts=counts).read_bytes()
        assert list(pool.records(rows)) == [json.loads(lines[row]) for row in rows]
    assert written == b"".join((lines[row] + b"\n") * n for row, n in zip(rows, counts, strict=True))


@quick
@given(
    texts=st.lists(words, min_size=1, max_size=20).filter(lambda texts: any(text.strip() for text in texts)),
    cuts=st.lists(st.integers(0, 20), max_size=4),
    size=st.integers(1, 7),
)
def test_shards_are_one_pool(texts: list[str], cuts: list[int], size: int) -> None:
    lines = [json.dumps({"text": text, "id": i}) + "\n" for i, text in enumerate(texts)]
    ends = sorted(min(cut, len(lines)) for cut in cuts)
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.jsonl"
        whole.write_text("".join(lines))
        parts = []
        for k, (start, end) in enumerate(zip([0, *ends], [*ends, len(lines)], strict=True)):
            part = Path(folder) / f"part{k}.jsonl.gz"
            part.write_bytes(gzip.compress("".join(lines[start:end]).encode()))
            parts.append(part)
        one, many = Pool.open(whole), Pool.open(parts)
        columns = []
        for pool in (one, many):
            batches = list(pool.batches(size))
            tokens = np.concatenate([batch.tokens for batch in batches])
            flat = [(row, t, i) for b in batches for row, t, i in zip(b.rows.tolist(), b.texts, b.ids, strict=True)]
            columns.append((flat, tokens.tolist(), pool.tally))
        assert columns[0] == columns[1]
        rows = [row for row, *_ in columns[0][0]]
        assert rows == [i for i, text in enumerate(texts) if text.strip()] and [i for *_, i in columns[0][0]] == rows
        assert one.write(rows, folder, "a").read_bytes() == many.write(rows, folder, "b").read_bytes()


@quick
@given(
    table=st.integers(1, 3).flatmap(
        lambda n: st.lists(st.lists(words, min_size=n, max_size=n), min_size=1, max_size=8)
    ),
    delimiter=st.sampled_from([",", "\t"]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_csv_values_come_back(table: list[list[str]], delimiter: str, end: str) -> None:
    header = ["text", "n", "more"][: len(table[0])]
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([header, *table])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("p.csv" if delimiter == "," else "p.tsv")
        path.write_bytes(buffer.getvalue().encode())
        pool = Pool.open(path)
        expected = [dict(zip(header, row, strict=True)) for row in table]
        assert list(pool.records(range(len(table)))) == expected
        written = pool.write(range(len(table)), folder)
        with written.open(newline="", encoding="utf-8") as file:
            assert list(csv.DictReader(file, delimiter=delimiter)) == expected


@quick
@given(drawn=st.lists(records, min_size=1, max_size=8), form=st.sampled_from(["jsonl", "json"]))
def test_objects_and_files_give_the_same_stream(drawn: list[dict[str, Any]], form: str) -> None:
    for record in drawn:
        for name in ("id", "source", "dataset", "subset"):
            record.pop(name, None)
    drawn.append({"text": "one that is not blank"})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"p.{form}"
        path.write_text(json.dumps(drawn) if form == "json" else "\n".join(map(json.dumps, drawn)))
        (stored,), (held,) = Pool.open(path).batches(), Pool.open(drawn).batches()
        assert stored.texts == held.texts and stored.rows.tolist() == held.rows.tolist()
        assert Pool.open(drawn).write(range(len(drawn)), folder).read_bytes().count(b"\n") == len(drawn)
