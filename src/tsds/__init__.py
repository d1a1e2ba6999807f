"""tsds: choose finetuning data by optimal transport from examples of your task to a pool of candidates."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tsds import transport
    from tsds.api import select
    from tsds.comparing.api import compare
    from tsds.errors import BudgetError, InputError, MissingExtra, RunError, TsdsError
    from tsds.neighbors import Neighbors, nearest_neighbors
    from tsds.selection import Selection

__version__ = version("tsds")

__all__ = [
    "BudgetError",
    "InputError",
    "MissingExtra",
    "Neighbors",
    "RunError",
    "Selection",
    "TsdsError",
    "__version__",
    "compare",
    "nearest_neighbors",
    "select",
    "transport",
]

#: Where each public name lives; imported when it is first used, so that `import tsds` is quick.
_HOMES = {
    "BudgetError": "tsds.errors",
    "InputError": "tsds.errors",
    "MissingExtra": "tsds.errors",
    "Neighbors": "tsds.neighbors",
    "RunError": "tsds.errors",
    "Selection": "tsds.selection",
    "TsdsError": "tsds.errors",
    "compare": "tsds.comparing.api",
    "nearest_neighbors": "tsds.neighbors",
    "select": "tsds.api",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name == "transport":
        return import_module("tsds.transport")
    raise AttributeError(f"module 'tsds' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
