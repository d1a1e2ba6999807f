"""Values as JSON that can lie in a page: nothing in it ends a script element or a line of script."""

from __future__ import annotations

from typing import Any

import orjson

#: What HTML or a script could read: as JSON escapes it means the same.
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def island(value: object) -> str:
    """The value as JSON text for a `<script type="application/json">`."""
    try:
        text = orjson.dumps(value).decode()
    except TypeError:  # half of a surrogate pair somewhere
        text = orjson.dumps(sound(value)).decode()
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return text


def sound(value: Any) -> Any:
    """Half surrogate pairs, which no file can hold, as the replacement character."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {key: sound(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [sound(one) for one in value]
    return value
