"""Records as a `datasets.Dataset`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsds.errors import InputError
from tsds.records.pool import Pool
from tsds.records.shards import own_format


def to_dataset(pool: Pool | None, rows: NDArray[np.int64]) -> Any:
    """The records at these positions, ascending, as a `datasets.Dataset`.

    Its columns are those of all tables together, or of the records where these are no tables; what lacks one has null.

    Raises:
      InputError: if there are no records, their values fit no columns, or the package `datasets` is missing.
    """
    if pool is None:
        raise InputError("the pool is an array of embeddings and has no records", remedy="use .indices")
    try:
        import datasets
    except ImportError:
        raise InputError("a dataset needs the package datasets", remedy="pip install datasets") from None
    import pyarrow as pa

    records = [record if isinstance(record, dict) else {"text": record} for record in pool.records(rows)]
    schema = _schema(pool)
    features = None if schema is None else datasets.Features.from_arrow_schema(schema)
    names = schema.names if schema is not None else list(dict.fromkeys(name for record in records for name in record))
    columns = {name: [record.get(name) for record in records] for name in names}
    try:
        return datasets.Dataset.from_dict(columns, features)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        problem = f"the records can't be made a dataset: {error}"
        raise InputError(
            problem, remedy="a column holds values of one type; .records() gives them as they are"
        ) from error


def _schema(pool: Pool) -> Any:
    """The columns of a pool of tables whose columns agree; None of any other."""
    import pyarrow as pa

    _, schema = own_format(pool.shards)
    if not isinstance(schema, pa.Schema):
        return None
    # What `datasets` notes of its columns, as the names of classes, holds for all only where all have the same.
    alike = all(shard.schema().metadata == schema.metadata for shard in pool.shards)
    return schema if alike else schema.remove_metadata()
