"""`tsds.compare`, the comparison of methods from Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from tsds.api import records_of, settings_of, tasks_of
from tsds.comparing.comparison import Comparison
from tsds.comparing.comparison import compare as compared
from tsds.stages import Listener


def compare(
    pool: Any,
    target: Any,
    *,
    size: str | int | float,
    methods: Sequence[str] | None = None,
    folds: int = 5,
    draws: int = 1,
    bandwidth: float | Literal["auto"] = "auto",
    metric: Literal["l2", "cosine"] = "l2",
    encoder: str | Callable[..., Any] = "hash",
    transform: str | None = None,
    device: str = "auto",
    engine: str = "local",
    workers: int | None = None,
    memory: str | int | None = None,
    search: Literal["exact", "ivf", "hnsw", "auto"] = "exact",
    index: str | Path | None = None,
    store: str | Path | None = None,
    store_precision: Literal["float16", "float32", "int8"] = "float16",
    seed: int = 0,
    copies: Literal["collapse", "keep"] = "collapse",
    on_error: Literal["fail", "skip"] = "fail",
    text_field: str | None = None,
    template: str | None = None,
    target_text_field: str | None = None,
    target_template: str | None = None,
    id_field: str | None = None,
    group_field: str | None = None,
    tokens_field: str | None = None,
    weight_field: str | None = None,
    target_weights: Literal["uniform", "density"] = "uniform",
    task_weights: Mapping[str, float] | None = None,
    exclude: Any = None,
    embeddings: Any = None,
    target_embeddings: Any = None,
    progress: Listener | None = None,
) -> Comparison:
    """Compare methods on targets that they have not seen: the targets are split into folds, each held out in turn.

    Args:
      pool, target, size: as for `tsds.select`, and so is all that is not named here; it is common to all methods.
      methods: names, each with settings of its own if wanted: "balanced:neighbors=30,sampling=top"; if not given, all
        that need neither sources nor texts.
      folds: parts that the targets are split into.
      draws: how often they are split anew, with another seed for what is drawn.

    Raises:
      InputError: on unusable input, unknown methods, or fewer targets than folds.
      BudgetError: if more is asked for than there is.

    Example:
      >>> pool = ["two and two are four", "the cat sat", "a dog barked", "three times three is nine"]
      >>> target = ["what is four times two?", "is two times two four?"]
      >>> found = tsds.compare(pool, target, size=1, methods=["nearest", "random"], folds=2)
      >>> [row["method"] for row in found.table()], found.best
      (['nearest', 'random'], 'nearest')
    """
    settings = settings_of(locals())
    names = [methods] if isinstance(methods, str) else methods
    sources = records_of(pool, id_field), tasks_of(target, id_field)
    return compared(*sources, settings, names, folds=folds, draws=draws, listener=progress)
