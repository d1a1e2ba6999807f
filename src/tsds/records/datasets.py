"""Records as a `datasets.Dataset`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsds.errors import InputError
from tsds.records.pool import Pool


def to_dataset(pool: Pool | None, rows: NDArray[np.int64]) -> Any:
    """The records at these positions, ascending, as a `datasets.Dataset`.

    Raises:
      InputError: if there are no records, or the package `datasets` is missing.
    """
    if pool is None:
        raise InputError("the pool is an array of embeddings and has no records", remedy="use .indices")
    try:
        import datasets
    except ImportError:
        raise InputError("a dataset needs the package datasets", remedy="pip install datasets") from None
    records = [record if isinstance(record, dict) else {"text": record} for record in pool.records(rows)]
    schema = pool.shards[0].schema() if len(pool.shards) == 1 else None
    features = None
    if schema is not None and not isinstance(schema, (list, tuple, bytes, str)):
        features = datasets.Features.from_arrow_schema(schema)
    return datasets.Dataset.from_list(records, features=features)
