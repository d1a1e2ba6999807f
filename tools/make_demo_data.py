"""Build the sample data of `tsds demo` from the shared benchmark data: the same input gives the same bytes.

python tools/make_demo_data.py [--shared ../shared/data]
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
from pathlib import Path

OUT = Path(__file__).parents[1] / "src" / "tsds" / "demo"
#: Records of each source, and what its authors state: only licences that let a package carry it.
SOURCES = {
    "flan_cot_gsm8k": (500, "openai/grade-school-math, prompts of google-research/FLAN", "MIT, Apache-2.0"),
    "flan_cot_aqua": (300, "google-deepmind/AQuA, prompts of google-research/FLAN", "Apache-2.0"),
    "flan_cot_strategyqa": (300, "eladsegal/strategyqa, prompts of google-research/FLAN", "MIT, Apache-2.0"),
    "flan_cot_creak": (400, "yasumasaonoe/creak, prompts of google-research/FLAN", "MIT, Apache-2.0"),
    "commonsenseqa2": (600, "allenai/csqa2", "CC-BY-4.0"),
    "disfl_qa": (500, "google-research-datasets/Disfl-QA", "CC-BY-4.0"),
    "medquad": (500, "abachaa/MedQuAD", "CC-BY-4.0"),
    "pubmedqa": (300, "pubmedqa/pubmedqa", "MIT"),
    "scitldr": (400, "allenai/scitldr", "Apache-2.0"),
    "tatqa": (200, "NExTplusplus/TAT-QA", "CC-BY-4.0"),
}
TARGETS = 60


def read(path: Path) -> list[dict[str, object]]:
    """The records of a gzip'd JSON-lines file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def lines_of(records: list[dict[str, object]], fields: tuple[str, ...]) -> bytes:
    """These fields of the records as JSON lines."""
    rows = ({name: record[name] for name in fields} for record in records)
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def build(shared: Path, out: Path) -> None:
    """Write pool, target and credits."""
    rng = random.Random(0)
    records = read(shared / "instruct" / "pool.jsonl.gz")
    chosen = []
    for source, (count, _, _) in SOURCES.items():
        own = [i for i, record in enumerate(records) if record["source"] == source]
        chosen += rng.sample(own, count)
    pool = [records[i] for i in sorted(chosen)]
    with (out / "pool.jsonl.gz").open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write(lines_of(pool, ("id", "messages", "source")))
    target = read(shared / "instruct" / "targets" / "gsm8k" / "query.jsonl.gz")[:TARGETS]
    (out / "target.jsonl").write_bytes(lines_of(target, ("id", "messages")))
    credits = "".join(f"| {s} | {n} | {where} | {licence} |\n" for s, (n, where, licence) in SOURCES.items())
    (out / "README.md").write_text(HEAD + credits, encoding="utf-8")


HEAD = f"""# Sample data

What `tsds demo` selects from and for; other people's work, under the licences that they state.

- `pool.jsonl.gz`: {sum(n for n, _, _ in SOURCES.values()):,} chats from ten sources, as below.
- `target.jsonl`: {TARGETS} problems of grade-school mathematics with worked answers (openai/grade-school-math, MIT).

| source | records | repository | licence |
| --- | --- | --- | --- |
"""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("TSDS_SHARED_DATA", "../shared/data")))
    build(parser.parse_args().shared, OUT)
