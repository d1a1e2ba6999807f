"""`tsds why`: what the folder of a run tells of a record."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsds import options as opt
from tsds.errors import InputError
from tsds.screen import Screen

if TYPE_CHECKING:
    from tsds.explaining import Why


def why(
    folder: opt.Folder,
    records: opt.Names,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Tell why records were chosen by the run that a folder holds, or why not."""
    Screen(json=json).explained(why_saved(folder, records))


def why_saved(folder: Path, names: Sequence[str]) -> list[Why]:
    """Why these records were chosen or not, as far as selection.parquet, run.json and the page know.

    Args:
      names: ids, or rows; a number is an id where ids are numbers.

    Raises:
      InputError: if the folder holds no run, or the pool has no such record.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tsds.places import PAGE, RUN, TABLE, run_in
    from tsds.report.saved import page_of

    for name in (RUN, TABLE):
        if not (folder / name).is_file():
            raise InputError("holds no run", path=folder, remedy="name the folder that --out named")
    run = run_in(folder)
    try:
        table = pq.read_table(folder / TABLE)
    except pa.ArrowInvalid as error:
        raise InputError(f"can't be read: {error}", path=folder, remedy="run the selection again") from None
    page: Any = page_of(folder)[1] if (folder / PAGE).is_file() else None
    return [_of(table, run, page, name, folder) for name in names]


def _of(table: Any, run: dict[str, Any], page: Any, name: str, folder: Path) -> Why:
    import pyarrow as pa
    import pyarrow.compute as pc

    from tsds.explaining import Why, in_short, rank_of, reason_of

    rows, ids = table["row"], table["id"]
    whole = pa.types.is_integer(ids.type)
    by_row = whole and ids.equals(rows)  # records without ids
    number = int(name) if name.isdecimal() and len(name) < 19 else None
    read = int(run["pool"]["read"])
    if by_row and (number is None or number >= read):
        raise InputError(f"no record of the pool is {name!r}", path=folder, remedy=f"it has rows 0 to {read - 1}")
    at = -1 if whole and number is None else pc.index(ids, pa.scalar(number if whole else name, ids.type)).as_py()
    if at < 0 and not whole and number is not None:
        at = pc.index(rows, pa.scalar(number, rows.type)).as_py()
    if at < 0:
        reason = f"no mass: not among the {len(table):,} candidates that the plan uses; "
        if pc.max(table["rank"]).as_py() < 0:  # no lists: the method is a rule
            reason = f"no mass: method {run['settings']['method']} took others, or it is "
        else:
            reason += "farther from every target than these, "
        reason += "a copy of one, without text, or excluded"
        if by_row or (not whole and number is not None and number < read):
            return Why(number, None, 0, 0.0, reason)
        return Why(None, name, 0, 0.0, f"{reason}; or no record of the pool has this id")
    found = table.slice(at, 1).to_pylist()[0]
    target = _on_page(table, page, found["target"])
    text = target and in_short(page["texts"][target["text"]])
    return Why(
        row=found["row"],
        id=found["id"],
        count=found["count"],
        probability=found["probability"],
        reason=reason_of(found["count"], run["sampling"], found.get("inclusion")),
        density=found["density"],
        target=found["target"],
        target_id=found.get("target_id", target and target["id"]),
        target_text=None if target and text == f"target {target['row']}" else text,  # what the page has for a vector
        distance=found["distance"],
        rank=rank_of(found["rank"]),
    )


def _on_page(table: Any, page: Any, number: int) -> Any:
    """What the page shows of the target of that number, found by a chosen record that it serves; None if nothing."""
    import pyarrow.compute as pc

    served = set(table["row"].filter(pc.equal(table["target"], number)).to_pylist())
    for one in page["chosen"] if page is not None else ():
        if page["records"][one["record"]]["row"] in served:
            return page["targets"][one["target"]]
    return None
