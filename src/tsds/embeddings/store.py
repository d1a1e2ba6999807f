"""The store: vectors on disk, found again by the content of the texts and by what encoded them.

    STORE/
      tsds-store.json              what this folder is
      SPACE/                       one for each encoder, as its fingerprint tells it from others, and precision
        space.json                 encoder, fingerprint, dimensions, precision
        NAME.npy  NAME.keys.npy    the vectors of some thousand texts, and the digests of those texts
        NAME.json                  its entry: rows, checksums
      index/                       of nearest neighbours, if one was built
      warm-ups/                    what encoders have trained on pools, if one does
      .tsds-scratch-*              what `tsds embed` needs while it goes on

Nothing is changed once written. A run looks up the texts it needs, cuts those that are missing into shards, and adds
them in order: a run that was killed goes on at the shard it was at, a pool that grew costs its new records only. Two
runs on one store share the work by a lock on the shard at hand, which the system lets go when a run dies; without the
lock (some network folders) both do the work and write the same bytes.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import orjson

from tsds.embeddings.encoders import Encoder, Role
from tsds.embeddings.shards import Precision
from tsds.embeddings.space import SPACE, Space
from tsds.errors import InputError
from tsds.records import STORE_MARK, atomic_file, is_store, user_cache


def default_store() -> Path:
    """Where vectors go that were not asked to go elsewhere: $TSDS_STORE, or the user's cache."""
    return user_cache("store", "TSDS_STORE")


class Store:
    """A folder of vectors.

    Args:
      folder: made if it is not there.
      precision: of the vectors that are added; those in another are not seen.

    Raises:
      InputError: if the folder is something else.
    """

    def __init__(self, folder: Path, precision: Precision = "float16") -> None:
        self.folder, self.precision = folder.expanduser(), precision
        mark = self.folder / STORE_MARK
        if not mark.is_file():
            # Hidden files may be another run's, which is making the same store; it may have finished meanwhile.
            other = self.folder.exists() and (
                not self.folder.is_dir() or any(not path.name.startswith(".") for path in self.folder.iterdir())
            )
            if other and not mark.is_file():
                raise InputError("is no embedding store", path=folder, remedy="name a new folder")
            with atomic_file(mark) as file:
                file.write(orjson.dumps({"format": 1}, option=orjson.OPT_APPEND_NEWLINE))

    @classmethod
    def existing(cls, folder: Path) -> Store:
        """A store that must be there already."""
        if not is_store(folder):
            raise InputError("is no embedding store", path=folder, remedy="tsds embed makes one")
        return cls(folder)

    def spaces(self) -> list[Space]:
        """All spaces of the store, by name."""
        found = []
        for path in sorted(self.folder.glob(f"*/{SPACE}")):
            facts = orjson.loads(path.read_bytes())
            found.append(Space(path.parent, facts["encoder"], facts["fingerprint"], facts["dtype"]))
        return found

    def space(self, spec: str, encoder: Encoder, role: Role) -> Space:
        """The space of an encoder, made if it is not there."""
        fingerprint = encoder.fingerprint(role)
        digest = hashlib.blake2b(f"{fingerprint}\0{self.precision}".encode(), digest_size=8).hexdigest()
        space = Space(self.folder / f"{spec.partition(':')[0]}-{digest}", spec, fingerprint, self.precision)
        if not (space.folder / SPACE).is_file():
            facts = {"encoder": spec, "fingerprint": fingerprint, "dtype": self.precision}
            with atomic_file(space.folder / SPACE) as file:
                file.write(orjson.dumps(facts, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        return space
