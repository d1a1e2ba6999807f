"""The text of a target: where its own options say, else as that of the pool's records, else by its layout."""

from __future__ import annotations

from dataclasses import dataclass

from tsds.errors import InputError
from tsds.records.blocks import Record
from tsds.records.text import TextSpec


@dataclass(frozen=True)
class TargetText(TextSpec):
    """A TextSpec whose errors advise the options of targets."""

    def text_of(self, record: Record) -> str:
        """As that of TextSpec."""
        try:
            return super().text_of(record)
        except InputError as error:
            problem, remedy = error.problem, error.remedy or ""
            lacking = None if isinstance(record, str) else self.lacking(record)
            if lacking is not None:
                problem = f"field {lacking!r} is missing, and {problem}"
            for option in ("text-field", "template"):
                remedy = remedy.replace(f"--{option}", f"--target-{option}")
            raise InputError(problem, remedy=remedy) from error


def target_text(pool: TextSpec, field: str | None, template: str | None) -> TargetText:
    """Where the text of a target is.

    Args:
      pool: where that of the pool's records is; it holds for targets that have the fields it names, and the text of
        others is found by their layout.
      field, template: of the targets themselves, instead.

    Raises:
      InputError: if both are given, or the template is malformed.
    """
    if field is not None or template is not None:
        return TargetText(field, template)
    return TargetText(pool.field, pool.template, or_found=True)
