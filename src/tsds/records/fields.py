"""What is needed of a record to judge it as a candidate: its text, id, group and length, each checked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, TypeGuard

from tsds.errors import InputError
from tsds.records.blocks import Record
from tsds.records.text import FOUND, TextSpec, absent, lookup, missing, top_level

#: What becomes of ids: read and checked, shown as they are, or left alone.
Ids = Literal["unique", "shown", "unread"]
#: As the field of ids: rows stand in for them, whatever a field `id` holds.
NO_ID = "none"
NO_IDS = f"--id-field {NO_ID} takes the rows for ids"
#: Where the source of a record is looked for.
GROUP_FIELDS = ("source", "dataset", "subset")
_BYTES_PER_TOKEN = 4


class Candidate(NamedTuple):
    """A record's text, its id (None if it has none), its group and its tokens."""

    text: str
    id: str | int | None
    group: str | None
    tokens: int


@dataclass(frozen=True)
class Fields:
    """Where a record's text, id, group and tokens are.

    Args:
      text: where its text is.
      id_field: its id; a field named `id` where there is one, if not given.
      group_field: its group; `source`, `dataset` or `subset` where there is one, if not given.
      tokens_field: its length in tokens; the bytes of its text over four, rounded up, if not given.
      ids: "unique" if each must be another; "shown" where they are but for a reader, and repeated or odd ones will do;
        "unread" where none is needed.
    """

    text: TextSpec = FOUND
    id_field: str | None = None
    group_field: str | None = None
    tokens_field: str | None = None
    ids: Ids = "unique"

    @cached_property
    def columns(self) -> frozenset[str]:
        """The top-level fields that may be looked at."""
        named = [name for name in (self.id_field or "id", self.group_field, self.tokens_field) if name]
        return self.text.columns | top_level(named) | frozenset(GROUP_FIELDS if self.group_field is None else ())

    def candidate(self, record: Record) -> Candidate | None:
        """What a record offers, or None if its text is empty or white space.

        Raises:
          InputError: without the place, which the caller knows, if a field is missing or of a wrong type.
        """
        text = self.text.text_of(record)
        if not text or text.isspace():
            return None
        try:
            size = len(text) if text.isascii() else len(text.encode())
        except UnicodeEncodeError as error:
            remedy = "it is no Unicode text; mend it, or leave such records out with --on-error skip"
            raise InputError("the text holds half of a surrogate pair", remedy=remedy) from error
        tokens = -(-size // _BYTES_PER_TOKEN)
        if isinstance(record, str):
            return Candidate(text, None, None, tokens)
        if self.tokens_field is not None:
            tokens = _tokens(record, self.tokens_field)
        return Candidate(text, self._id(record), self._group(record), tokens)

    def _id(self, record: dict[str, object]) -> str | int | None:
        if self.ids == "unread":
            return None
        if self.ids == "shown":
            value = record.get(self.id_field or "id")
            return value if _is_id(value) else None
        if self.id_field is None:
            value, name = record.get("id"), "id"
            if value is None:
                return None
        else:
            value, name = lookup(record, self.id_field), self.id_field
            if absent(value):
                raise missing(record, name, f"choose another with --id-field; {NO_IDS}")
        if _is_id(value):
            return value
        kind = "null" if value is None else type(value).__name__
        raise InputError(f"the id in field {name!r} is a {kind}", remedy=f"an id is text or a whole number; {NO_IDS}")

    def _group(self, record: dict[str, object]) -> str | None:
        if self.group_field is None:
            value = next((record[name] for name in GROUP_FIELDS if record.get(name) is not None), None)
            return value if isinstance(value, str) else str(value) if isinstance(value, int) else None
        value = lookup(record, self.group_field)
        if absent(value):
            raise missing(record, self.group_field, "choose another with --group-field")
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, int):
            return str(value)
        kind = type(value).__name__
        raise InputError(
            f"the group in field {self.group_field!r} is a {kind}", remedy="a group is text or a whole number"
        )


def _is_id(value: object) -> TypeGuard[str | int]:
    return isinstance(value, (str, int)) and not isinstance(value, bool)


def _tokens(record: dict[str, object], name: str) -> int:
    value = lookup(record, name)
    if absent(value):
        raise missing(record, name, "choose another with --tokens-field")
    if isinstance(value, str) and value.isdecimal():  # csv knows nothing but text
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**62:
        return value
    raise InputError(f"field {name!r} holds {value!r}, no number of tokens", remedy="a whole number, at least 1")
