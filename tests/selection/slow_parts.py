"""The command, with parts so small that a pool of a thousand records has many, each a little slower than it is.

The name of all that is kept for a run that goes on is written to $TSDS_DONE; $TSDS_SLOW is how many seconds each takes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tsds import census, checkpoint, corpus, encoding, proposals, stages
from tsds.checkpoint import Checkpoint
from tsds.cli import main
from tsds.density import search
from tsds.embeddings import scan

ROWS, DIM = 200, 256
keep, atomic = Checkpoint.keep, corpus.atomic_file


def told(name: str) -> None:
    """One more thing is done."""
    with Path(os.environ["TSDS_DONE"]).open("a") as file:
        file.write(name + "\n")
    time.sleep(float(os.environ["TSDS_SLOW"]))


def keep_and_tell(self: Checkpoint, name: str, arrays: Mapping[str, Any]) -> None:
    keep(self, name, arrays)
    told(name)


@contextmanager
def write_and_tell(path: Path) -> Iterator[Any]:
    with atomic(path) as file:
        yield file
    told(f"{path.parent.name}/{path.name}")


Checkpoint.keep = keep_and_tell  # type: ignore[method-assign]
corpus.atomic_file = write_and_tell  # type: ignore[assignment]
checkpoint.LEAST_ROWS = census.LEAST_ROWS = stages.LEAST_ROWS = encoding.LEAST_ROWS = 1
corpus.PART_ROWS = ROWS
proposals.BLOCK_BYTES = search.BLOCK_BYTES = scan.BLOCK_BYTES = ROWS * 4 * DIM
search.PART_ROWS = scan._SPAN_ROWS = ROWS

if __name__ == "__main__":
    main()
