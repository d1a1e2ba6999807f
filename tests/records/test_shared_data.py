"""The real pools of the benchmark: read in full, a sample written back byte for byte."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest

from tsds.records import Pool

DATA = Path(os.environ.get("TSDS_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.mark.parametrize("name", ["domain", "instruct"])
def test_a_real_pool(name: str, tmp_path: Path) -> None:
    path = DATA / name / "pool.jsonl.gz"
    if not path.exists():
        pytest.skip(f"no benchmark data at {DATA}: set TSDS_SHARED_DATA")
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    pool = Pool.open(path)
    count = 0
    for batch in pool.batches():
        record = json.loads(lines[batch.rows[0]])
        turns = [message["content"] for message in record.get("messages", [])]
        assert batch.texts[0] == (record.get("text") or "\n".join(turns))
        assert (batch.ids[0], batch.groups[0]) == (record["id"], record["source"])
        assert batch.tokens[0] == (len(batch.texts[0].encode()) + 3) // 4
        count += len(batch)
    assert pool.tally.read == len(lines) and pool.tally.bad == 0
    assert count == len(lines) - pool.tally.empty
    rows = np.sort(np.random.default_rng(0).choice(len(lines), 750, replace=False))
    assert pool.write(rows, tmp_path).read_bytes() == b"".join(lines[row] for row in rows)
