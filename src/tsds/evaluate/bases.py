"""The common base of all arms: made once for a model and a pool, kept in the user's cache, and found again."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson

from tsds.errors import InputError, RunError
from tsds.records import atomic_file, sha256_of, user_cache
from tsds.records.dialogue import turns_of
from tsds.scratch import owned, sweep

FACTS, STATE = "base.json", "state.pt"
#: The variable that says where bases are kept.
PLACE = "TSDS_BASES"


def bases_folder() -> Path:
    """Where bases are kept; TSDS_BASES says otherwise."""
    return user_cache("bases", PLACE)


def digest_of(texts: Sequence[str]) -> str:
    """Of all these texts in their order, and of their turns where they are chats: those are read in another way."""
    digest = hashlib.blake2b("\0".join(texts).encode("utf-8", "surrogatepass"), digest_size=16)
    for i, text in enumerate(texts):
        for turn in turns_of(text):
            digest.update(f"\0{i}\0{turn.role}\0{len(turn.content)}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def base_of(parts: tuple[Any, ...]) -> Path:
    """Where the base made of these parts is, or would be."""
    return bases_folder() / hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def is_there(parts: tuple[Any, ...]) -> bool:
    """Whether the base made of these parts is there already."""
    return (base_of(parts) / FACTS).is_file()


def kept_base(parts: tuple[Any, ...], make: Callable[[Path, Path], dict[str, Any]]) -> tuple[Path, dict[str, Any]]:
    """The base made of these parts: found, or made now; its folder, and facts: how it was made, a digest of it.

    Args:
      parts: all that the base depends on.
      make: writes the model to the first folder and returns facts about it; the second path is for its state while it
        is being made, which survives a kill.

    Raises:
      InputError: if what is kept is damaged.
      RunError: if it can't be written.
    """
    folder = base_of(parts)
    digest = folder.name
    if is_there(parts):
        try:
            kept: dict[str, Any] = {**orjson.loads((folder / FACTS).read_bytes())}
        except (ValueError, TypeError) as error:
            remedy = "remove the folder, and it is made again"
            raise InputError(f"{FACTS} is of no base: {error}", path=folder, remedy=remedy) from error
        return folder, {**kept, "digest": _digest_in(folder)}
    # Two runs that make the same base at once each write to a folder of their own; the state is that of who wrote last.
    scratch = bases_folder() / owned(f".{digest}-")
    state = bases_folder() / f".{digest}.{STATE}"
    try:
        sweep(bases_folder(), f".{digest}-")  # the state stays, to go on from
        scratch.mkdir(parents=True, exist_ok=True)
        facts = make(scratch, state)
        with atomic_file(scratch / FACTS) as file:
            file.write(orjson.dumps(facts, option=orjson.OPT_INDENT_2))
        if not folder.exists():
            scratch.rename(folder)
        state.unlink(missing_ok=True)
    except OSError as error:
        raise RunError(f"{folder}: can't be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder, {**facts, "digest": _digest_in(folder)}


def _digest_in(folder: Path) -> str:
    """Of the weights and the tokenizer; other files name versions of libraries and places on this machine."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted([*folder.glob("*.safetensors"), *folder.glob("tokenizer.json")]):
        digest.update(f"{path.name}\0{sha256_of(path)}\0".encode())
    return digest.hexdigest()
