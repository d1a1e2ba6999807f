"""Records in, records out: many files of many formats seen as one numbered stream, and written back unchanged."""

from tsds.records.batches import Tally, TextBatch
from tsds.records.blocks import Record
from tsds.records.counting import count_records
from tsds.records.dialogue import Dialogue, Turn
from tsds.records.duplicates import IdHashes, repeated
from tsds.records.files import atomic_file, checksum_of, sha256_of, user_cache
from tsds.records.formats import FORMATS, Format, writable
from tsds.records.glimpse import Glimpse, glimpse
from tsds.records.objects import Texts, arrow_table, is_dataset, is_frame
from tsds.records.paths import STORE_MARK, is_store
from tsds.records.pool import Part, Pool
from tsds.records.reading import Shorter
from tsds.records.remote import Elsewhere, is_remote
from tsds.records.shards import Shard
from tsds.records.sources import Sources, array_files, file_facts, is_vectors, not_here, repeatable
from tsds.records.target_text import target_text
from tsds.records.text import FOUND, TextSpec, fields_read

__all__ = [
    "FORMATS",
    "FOUND",
    "STORE_MARK",
    "Dialogue",
    "Elsewhere",
    "Format",
    "Glimpse",
    "IdHashes",
    "Part",
    "Pool",
    "Record",
    "Shard",
    "Shorter",
    "Sources",
    "Tally",
    "TextBatch",
    "TextSpec",
    "Texts",
    "Turn",
    "array_files",
    "arrow_table",
    "atomic_file",
    "checksum_of",
    "count_records",
    "fields_read",
    "file_facts",
    "glimpse",
    "is_dataset",
    "is_frame",
    "is_remote",
    "is_store",
    "is_vectors",
    "not_here",
    "repeatable",
    "repeated",
    "sha256_of",
    "target_text",
    "user_cache",
    "writable",
]
