"""`tsds.select`, the main job from Python."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tsds.embeddings.vectors import refuse_masked
from tsds.errors import InputError, check_path
from tsds.records import Texts, arrow_table, is_dataset, is_frame
from tsds.records.chats import CHATS
from tsds.records.dialogue import is_turn
from tsds.records.paths import files_of, looks_like_path
from tsds.sampling import Sampling
from tsds.selecting import run
from tsds.selection import Selection
from tsds.settings import Settings
from tsds.stages import Listener

#: What to do where one example is taken for a file, or its fields for tasks; characters of it that are shown.
_ONE, _SHOWN = "one example? put it in a list: [...]", 60


def select(
    pool: Any,
    target: Any,
    *,
    size: str | int | float,
    method: str = "auto",
    alpha: float | None = None,
    scale: float | None = None,
    neighbors: float | None = None,
    effective_size: float | None = None,
    capacity: float | None = None,
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
    sampling: Sampling | None = None,
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
) -> Selection:
    """Select from a pool the records that serve a target.

    Args:
      pool: path or paths (jsonl, parquet, csv, txt, npy, ..., folders, globs), a list of str, dict or
        chats (lists of messages), a data frame, a `datasets.Dataset`, or an (n, d) array of embeddings.
      target: examples of the task, in any of these forms; several tasks as a dict of name to examples.
      size: examples (1000), a share of the pool ("1%" or 0.01), or tokens ("200k-tokens").
      method: "auto", or one of those that `tsds methods` lists.
      alpha, scale: the paper's alpha and C; or
      neighbors: s, the effective neighbours of a target; or
      effective_size: 1 / sum p^2. At most one; given one, "auto" is "kde" (name "balanced" to keep its cap). With none,
        "auto" chooses by held-out targets, "balanced" takes a twentieth of the size, and the others the least diversity
        that lets `size` be drawn without replacement.
      capacity: S of "balanced", how many effective candidates must share the mass; the size if not given. Given one,
        "auto" is "balanced".
      bandwidth: h, up to which records count as near-duplicates; "auto"; or 0 for exact copies only.
      metric: "l2", Euclidean between embeddings, or "cosine", 1 - cos.
      encoder: texts to embeddings: "hash", "sentence:NAME_OR_PATH", ... (`tsds encoders` lists them), or a function
        from a list of texts to an (n, d) array.
      transform: a map on top of the vectors: "normalize", "whiten", "pca:K", "target-subspace:K", several with commas.
      device: where an encoder with a model, and passes over the pool, compute: "cpu", "cuda", or "auto", a GPU if there
        is one.
      engine: what passes over the pool run on: "local", "ray" (the cluster this process is connected to, or one that
        is started), or "ray:ADDRESS". The result has the same bits.
      workers: cores to work on; all if None.
      memory: that each process may use, "4G" or a number of bytes; the blocks it works on are cut to fit.
      search: "exact"; by an index of the pool, "ivf" or "hnsw", built if it is not there, whose recall is measured in
        every run; or "auto", an index if there is one and it saves much.
      index: the folder of indexes; one in the user's cache if not given.
      store: a folder where vectors are kept and found again; encoders with a model have one in the user's cache.
      store_precision: of stored vectors.
      sampling: "shares" (the plan's mass gathered on so many candidates, every target keeping its share), "systematic"
        and "top" without replacement, "multinomial" with; the method's own if None.
      seed: of everything that is drawn; the same seed gives the same result.
      copies: "collapse" makes records of equal text or vector one candidate; "keep" does not.
      on_error: "fail" at the first unusable record, or "skip" and count such.
      text_field, template: where the text of a record is; found if neither is given.
      target_text_field, target_template: the same of the targets; where neither is given those of the pool hold for
        targets that have the fields, and the text of others is found.
      id_field, group_field, tokens_field: fields of the pool's ids, sources and lengths; ids are "id", and must differ,
        and with id_field="none" rows stand in for them.
      weight_field: field of the target records that weighs them.
      target_weights: "uniform", or "density": targets within the bandwidth of each other share their weight.
      task_weights: shares of the tasks; equal if not given.
      exclude: texts that must not be selected, nor parts of them (a test set): candidates that share a 13-gram with
        one, or equal it, are dropped.
      embeddings, target_embeddings: vectors to use instead of an encoder, a row for each record; those of several tasks
        as a dict.
      progress: told of the stages as they go.

    Raises:
      InputError: on unusable input, or settings that exclude each other; one line that says how to mend it.
      BudgetError: if more is asked for than there is.

    Example:
      >>> pool = ["two and two are four", "the cat sat", "a dog barked", "three times three is nine"]
      >>> tsds.select(pool, ["what is four times two?"], size=1).indices.tolist()
      [0]
    """
    settings = settings_of(locals())
    return run(records_of(pool, id_field), tasks_of(target, id_field), settings, progress)


def settings_of(given: Mapping[str, Any]) -> Settings:
    """The settings among the arguments of a call, by name: folders as paths, arrays as arrays.

    Raises:
      InputError: on a value that can't be.
    """
    names = {one.name for one in fields(Settings)}
    chosen, id_field = {name: value for name, value in given.items() if name in names}, given["id_field"]
    for name in ("index", "store"):
        if given[name] is not None:
            check_path(given[name])
            chosen[name] = Path(given[name])
    if given["task_weights"] is None:
        chosen["task_weights"] = {}
    chosen["exclude"] = _array(given["exclude"], "exclude", id_field)
    chosen["embeddings"] = _vectors(given["embeddings"], "embeddings", id_field)
    targets = given["target_embeddings"]
    chosen["target_embeddings"] = (
        {name: _vectors(one, f"target_embeddings of {name}", id_field) for name, one in targets.items()}
        if isinstance(targets, Mapping)
        else _vectors(targets, "target_embeddings", id_field)
    )
    return Settings(**chosen)


def records_of(pool: Any, id_field: str | None) -> Any:
    """A pool in any of its forms, tensors and the like as arrays."""
    return _array(pool, "pool", id_field)


def tasks_of(target: Any, id_field: str | None) -> Any:
    """The target, or the tasks of a dict, as `_array` gives them.

    Raises:
      InputError: if it is one example, a record or a text, not in a list.
    """
    # The splits of a DatasetDict are no tasks, nor a task: is_dataset refuses one.
    if not isinstance(target, Mapping) or is_dataset(target):
        if isinstance(target, str) and any(map(str.isspace, target)):
            _check_file(target)
        return _array(target, "target", id_field)
    tasks = {name: _array(one, str(name), id_field) for name, one in target.items()}
    for name, one in tasks.items():
        bare = one is None or (isinstance(one, (int, float, Mapping)) and not is_dataset(one))
        if bare or (name in CHATS and isinstance(one, list) and all(map(is_turn, one))):
            raise InputError(f"the field {name!r} of the target is no task: it holds no examples", remedy=_ONE)
        if isinstance(one, str) and one:
            _check_file(one, f", for the task {name!r}")
    return tasks


def _check_file(text: str, of: str = "") -> None:
    """Raise InputError, which takes it for an example too, if it stands for no file, nor has a name as of one."""
    if not looks_like_path(text):
        try:
            files_of([text])
        except InputError as error:
            shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
            remedy = f"{error.remedy}; {_ONE}" if error.remedy else _ONE
            raise InputError(f"{error.problem}{of}", path=shown, remedy=remedy) from error


def _array(source: Any, role: str, id_field: str | None) -> Any:
    """Tensors and the like as arrays, a list of lists of numbers too; texts, chats and data frames as records.

    A data frame of nothing but numbers is an array.

    Raises:
      InputError: if there is no array of it, ids are among its numbers, or its lists are neither vectors nor chats.
    """
    if is_frame(source):
        table = arrow_table(source, "the data frame")
        if not all(map(_is_numeric, table.schema.types)):
            return table
        named = [name for name in ("id", id_field) if name in table.schema.names]
        if named:
            remedy = "drop it: every column of a data frame of numbers is a dimension of the vectors"
            raise InputError(f"the data frame has a column {named[0]!r} among its numbers", path=role, remedy=remedy)
        return np.asarray(source)
    if hasattr(source, "__array__"):
        array = source if isinstance(source, np.ndarray) else _untied(source, role)
        return _of_rows(Texts(array.tolist()), role) if array.ndim == 1 and array.dtype.kind in "OUT" else array
    return _of_rows(source, role) if isinstance(source, Sequence) else source


def _vectors(source: Any, role: str, id_field: str | None) -> Any:
    """An array, or paths of files with one; raises InputError at anything else."""
    found = _array(source, role, id_field)
    paths = found if isinstance(found, (list, tuple)) else [found]
    if found is None or isinstance(found, np.ndarray) or all(isinstance(one, (str, PathLike)) for one in paths):
        return found
    remedy = "give an (n, d) array or tensor, a data frame of numbers, or files of vectors"
    raise InputError(f"no vectors can be read from a {type(source).__qualname__}", path=role, remedy=remedy)


def _untied(source: Any, role: str) -> NDArray[Any]:
    """A tensor or the like as an array: without its gradient, on this side of a device, bfloat16 as float32."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(source, torch.Tensor):
        source = source.detach().cpu()
        source = source.float() if source.dtype == torch.bfloat16 else source
    try:
        return np.asarray(source)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"there is no array of it: {error}", path=role, remedy="give a 2-d array of floats") from error


def _of_rows(rows: Sequence[Any], role: str) -> Any:
    """Lists of numbers as an array, lists of messages as records with messages; other rows as they are."""
    if not len(rows) or not isinstance(rows[0], (list, tuple, np.ndarray)):
        return rows
    if all(map(_is_chat, rows)) and any(map(len, rows)):
        return [{"messages": list(chat)} for chat in rows]
    refuse_masked(list(rows), role)
    try:
        return np.asarray(rows, dtype=None if isinstance(rows[0], np.ndarray) else np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(
            "the lists in it are neither vectors nor chats",
            path=role,
            remedy='vectors are as many numbers each, a chat is a list of {"role": ..., "content": ...}, '
            "other records are texts or dicts",
        ) from error


def _is_chat(row: Any) -> bool:
    return isinstance(row, (list, tuple)) and all(isinstance(one, dict) and "role" in one for one in row)


def _is_numeric(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))
