"""How much memory a process may use, and what that means for the blocks that it works on."""

from __future__ import annotations

import re

from tsds.errors import InputError

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
_ASKED = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]I?)?B?", re.IGNORECASE)
#: Blocks are not made smaller than this: below it the cost of each shows.
LEAST_BLOCK = 16 << 20
#: The program itself, and what a record of the pool takes while it is counted, chosen and sorted.
BASE_BYTES, RECORD_BYTES = 200_000_000, 150
#: Of an entry of the targets' lists, with the work on them; and entries a target that lists have, mostly.
ENTRY_BYTES, LISTED = 60, 512


def bytes_of(asked: str | int | None) -> int | None:
    """4G, 500M, 1.5GiB or a number of bytes; None if nothing is asked.

    Raises:
      InputError: if it can't be read.
    """
    if asked is None:
        return None
    match = _ASKED.fullmatch(str(asked).strip())
    if match is None or float(match[1]) == 0:
        raise InputError(f"--memory is {asked!r}", remedy="4G, 500M, or a number of bytes")
    return int(float(match[1]) * _UNITS[(match[2] or "").upper()])


def block_bytes(wanted: int, allowed: int | None) -> int:
    """The size of a block: as wanted, or an eighth of the memory allowed, since a few are there at once."""
    return wanted if allowed is None else max(LEAST_BLOCK, min(wanted, allowed // 8))


def check_room(allowed: int | None, candidates: int, targets: int, room: int = 0) -> None:
    """Raise InputError if a selection can't be made in the memory allowed.

    Args:
      allowed: bytes; None: as much as there is.
      candidates: records of the pool.
      targets: whose nearest candidates are listed.
      room: candidates a target that a method will list, if it can tell.
    """
    needed = selection_bytes(candidates, targets * max(room, LISTED)) + 4 * LEAST_BLOCK
    check_allowed(allowed, needed, "about {} GB are needed", "a smaller pool or fewer targets")


def selection_bytes(candidates: int, entries: int) -> int:
    """What a selection takes, but for the blocks that it works on.

    Args:
      candidates: records of the pool.
      entries: of the lists of all targets.
    """
    return BASE_BYTES + candidates * RECORD_BYTES + entries * ENTRY_BYTES


def check_allowed(allowed: int | None, needed: float, what: str, otherwise: str = "") -> None:
    """Raise InputError if more bytes are needed than are allowed.

    Args:
      what: they are for, with {} for how many GB.
      otherwise: what could be done instead of allowing more.
    """
    if allowed is not None and needed > allowed:
        more = f"--memory {-(-needed // 10**8) / 10:g}G"
        raise InputError(
            f"--memory allows {allowed / 1e9:.3g} GB and {what.format(f'{needed / 1e9:.3g}')}",
            remedy=f"{more}, or {otherwise}" if otherwise else more,
        )
