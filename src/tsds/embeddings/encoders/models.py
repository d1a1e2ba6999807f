"""What encoders with a model share: finding it, telling it from others, its device, and batches that fit in memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from tsds.embeddings.encoders.protocol import Advance, Say, ignore
from tsds.embeddings.encoders.rendering import LONGEST
from tsds.errors import InputError, MissingExtra, RunError
from tsds.parallel import allowed, threads
from tsds.records import sha256_of

#: Files of a model that can change what it computes.
_PARTS = (".json", ".safetensors", ".bin", ".model", ".txt", ".jinja")
#: Tokens of a batch, padding included: on a CPU more gain nothing (benchmarks/embedding.py).
CPU_TOKENS, GPU_TOKENS = 4096, 65536


def need(package: str, feature: str, extra: str) -> None:
    """Raise MissingExtra if a package is not installed; does not import it."""
    if find_spec(package) is None:
        raise MissingExtra(feature, extra)


def model_folder(name: str, feature: str, extra: str) -> Path:
    """Where the files of a model are: the folder of that name, or the Hugging Face cache, filled if it is not there.

    Raises:
      InputError: if there is none, naming what was tried.
      MissingExtra: if the package that downloads is absent.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file() and not (path / "modules.json").is_file():
            raise InputError("the folder holds no model", path=path, remedy="a model's folder has a config.json")
        return path
    if path.exists() or name.startswith(("/", "./", "../", "~")):
        raise InputError("no such folder of a model", path=name, remedy="give a folder, or a name of the model hub")
    need("huggingface_hub", feature, extra)
    from huggingface_hub import snapshot_download

    patterns = [f"*{suffix}" for suffix in _PARTS if suffix != ".bin"]
    try:
        try:
            return Path(snapshot_download(name, allow_patterns=patterns, local_files_only=True))
        except (OSError, ValueError):
            return Path(snapshot_download(name, allow_patterns=patterns))
    except Exception as error:  # the hub's client raises a family of its own for each cause
        why = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
        raise InputError(
            f"the model {name!r} can't be had: {why}", remedy="give the folder of a model that was downloaded"
        ) from error


def model_fingerprint(folder: Path) -> str:
    """A digest of the files that make the model: equal only for the same weights, tokenizer and settings."""
    digest = hashlib.blake2b(digest_size=16)
    files = [p for p in sorted(folder.rglob("*")) if p.suffix in _PARTS and p.is_file()]
    if any(p.suffix == ".safetensors" for p in files):
        files = [p for p in files if p.suffix != ".bin"]
    for path in files:
        inside = path.relative_to(folder)
        if any(part.startswith((".", "onnx", "openvino", "checkpoint-")) for part in inside.parts):
            continue
        digest.update(str(inside).encode() + b"\0")
        digest.update(bytes.fromhex(sha256_of(path)))
    return digest.hexdigest()


def device_of(asked: str) -> str:
    """The device to compute on: a GPU where there is one, unless asked otherwise.

    Raises:
      InputError: if a GPU was asked for and there is none.
    """
    import torch

    there = torch.cuda.is_available()
    if asked.startswith("cuda") and not there:
        raise InputError(f"--device is {asked} and no GPU is seen", remedy="--device cpu")
    return ("cuda" if there else "cpu") if asked == "auto" else asked


def dtype_of(device: str) -> Any:
    """The numbers to compute in: bfloat16 or float16 on a GPU, float32 on a CPU."""
    import torch

    if device == "cpu":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def quiet_libraries() -> None:
    """No bars, advice or warnings of the model libraries on the screen: the command has its own; and bounded caches."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Of every new shape of a batch a CPU keeps what it has prepared for products in bfloat16, a thousand of them by
    # default: gigabytes, as hardly a batch has the shape of another. It is read once, when a model first computes.
    for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(name, "16")
    import transformers

    said: Any = transformers.logging
    said.set_verbosity_error()
    said.disable_progress_bar()


def in_batches(
    lengths: Sequence[int],
    work: Callable[[list[int]], NDArray[Any]],
    *,
    tokens: int,
    most: int = 256,
    advance: Advance = ignore,
    say: Say = ignore,
) -> NDArray[np.float32]:
    """Rows made of texts in batches of like length, long ones first, back in the order of the texts: [n, d].

    Which texts share a batch depends on the lengths alone. If memory runs out, the batch is halved, as are those after
    it.

    Args:
      lengths: [n], tokens of each text as the model reads it.
      work: positions of texts to their rows, [b, d].
      tokens: of a batch, padding included.
      most: texts of a batch.
      advance: told the number of texts done.
      say: told when memory ran out.

    Raises:
      RunError: if a single text does not fit in memory.
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    out: NDArray[np.float32] | None = None
    start = 0
    while start < len(order):
        longest = max(int(lengths[order[start]]), 1)
        batch = order[start : start + max(1, min(most, tokens // longest))]
        try:
            with threads(allowed()):  # once more: a model's libraries may have been loaded since the run began
                rows = work(batch.tolist())
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            free_memory()
            if len(batch) == 1:
                raise RunError(
                    f"out of memory at one text of {longest:,} tokens; limit the tokens (@max=512) or use --device cpu"
                ) from error
            most = max(1, len(batch) // 2)
            tokens = most * longest
            say(f"out of memory at {len(batch):,} texts of {longest:,} tokens: going on with {most:,}")
            continue
        if out is None:
            out = np.empty((len(order), rows.shape[1]), np.float32)
        out[batch] = rows
        start += len(batch)
        advance(len(batch))
    return np.empty((0, 0), np.float32) if out is None else out


def out_of_memory(error: BaseException) -> bool:
    """Whether this is a lack of memory, on whatever device."""
    if isinstance(error, MemoryError):
        return True
    words = str(error).lower()
    return "out of memory" in words or "can't allocate memory" in words or "not enough memory" in words


def free_memory() -> None:
    """Give back what the allocator of the GPU holds."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@dataclass(frozen=True)
class Config:
    """What a model's config.json says, read without loading it.

    Attributes:
      causal: whether it predicts the next token.
      layers: how many, if it says so.
      positions: the most tokens it reads, if it says so.
    """

    causal: bool
    layers: int | None
    positions: int | None


def read_config(folder: Path) -> Config:
    """The facts of a model that are needed before it is loaded."""
    try:
        found = orjson.loads((folder / "config.json").read_bytes())
    except FileNotFoundError:
        raise InputError("the folder has no config.json", path=folder, remedy="name a model") from None
    except orjson.JSONDecodeError as error:
        raise InputError(f"config.json is damaged: {error}", path=folder, remedy="download it again") from error
    text = found.get("text_config") or found
    names = " ".join(found.get("architectures") or [])
    causal = bool(text.get("is_decoder")) or "CausalLM" in names or "LMHead" in names
    layers = next((text[key] for key in ("num_hidden_layers", "n_layer", "num_layers") if key in text), None)
    positions = next((text[key] for key in ("max_position_embeddings", "n_positions", "n_ctx") if key in text), None)
    return Config(causal, layers, positions)


def reads_at_most(config: Config, asked: int | None) -> int:
    """Tokens kept of a text."""
    return min(asked or LONGEST, config.positions or LONGEST)


def load(kind: Any, folder: Path, **settings: Any) -> Any:
    """A model or tokenizer of transformers from a folder; code that comes with it is not run.

    Raises:
      InputError: if it can't be loaded.
    """
    try:
        return kind.from_pretrained(str(folder), local_files_only=True, **settings)
    except (OSError, ValueError, KeyError) as error:
        why = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise InputError(f"can't be loaded: {why}", path=folder, remedy="check the model's files") from error


def stack_of(model: Any, depth: int) -> Any:
    """The list of a model's layers; None where it can't be told from others."""
    import torch

    found = [m for m in model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == depth]
    return found[0] if len(found) == 1 else None


def padded(rows: Sequence[NDArray[np.int64]], fill: int) -> tuple[Any, Any]:
    """The same as `padded_rows`, as tensors."""
    import torch

    ids, mask = padded_rows(rows, fill)
    return torch.from_numpy(ids), torch.from_numpy(mask)


def padded_rows(rows: Sequence[NDArray[np.int64]], fill: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Token rows as one array, filled up at the right, and its mask: [b, t], [b, t]."""
    width = max(map(len, rows), default=0)
    ids = np.full((len(rows), width), fill, np.int64)
    mask = np.zeros((len(rows), width), np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)], mask[i, : len(row)] = row, 1
    return ids, mask
