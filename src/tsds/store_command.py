"""The verbs around vectors that last: `tsds embed`, `tsds index`, `tsds store`."""

from __future__ import annotations

from pathlib import Path

import typer

from tsds import options as opt
from tsds.arguments import paths_of, settings_of, tasks_of
from tsds.errors import InputError
from tsds.interrupts import if_interrupted
from tsds.screen import Screen

store_app = typer.Typer(no_args_is_help=True, help="Look into an embedding store, check it, tidy it.")


def embed(
    out: opt.StoreOut,
    sources: opt.PoolArguments = None,
    pool: opt.PoolOption = None,
    target: opt.TargetOption = None,
    encoder: opt.Encoder = "hash",
    device: opt.Device = "auto",
    engine: opt.Engine = "local",
    workers: opt.Workers = None,
    precision: opt.Precision = "float16",
    seed: opt.Seed = 0,
    text_field: opt.TextField = None,
    template: opt.Template = None,
    target_text_field: opt.TargetTextField = None,
    target_template: opt.TargetTemplate = None,
    on_error: opt.OnError = "fail",
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Embed a pool into a store, where `select --store` finds it; when the pool grows, its new records are added."""
    given = [*(sources or []), *(pool or [])]
    if not given:
        raise InputError("no pool is given", remedy="tsds embed POOL --encoder ENCODER --out STORE")
    screen = Screen(json=json, quiet=quiet)
    from tsds.embedding import embed as embed_records
    from tsds.engines import engine_named, running
    from tsds.records import TextSpec, target_text
    from tsds.settings import check_choice, check_seed

    check_choice("store_precision", precision)
    check_seed(seed)
    found = engine_named(engine, workers, gpus=device.startswith("cuda"))
    going_on = if_interrupted("the same command goes on with the vectors that are kept")
    text = TextSpec(text_field, template)
    of_target = target_text(text, target_text_field, target_template)
    with going_on, running(found), screen.progress() as listener:
        written = embed_records(
            paths_of(given), tasks_of(target) if target else None, out, encoder, seed, text, of_target,
            device=device, precision=precision, engine=found, on_error=on_error, listener=listener,
        )  # fmt: skip
    screen.embedded(written)


def index(
    pool: opt.PoolOrStore,
    kind: opt.Kind = "ivf",
    out: opt.IndexOut = None,
    metric: opt.Metric = "l2",
    encoder: opt.EncoderOfIndex = None,
    transform: opt.Transform = None,
    device: opt.Device = "auto",
    workers: opt.Workers = None,
    memory: opt.Memory = None,
    store: opt.Store = None,
    store_precision: opt.Precision = "float16",
    seed: opt.Seed = 0,
    copies: opt.Copies = "collapse",
    text_field: opt.TextField = None,
    template: opt.Template = None,
    on_error: opt.OnError = "fail",
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Build the index of a pool, or of all that a store holds, for many tasks: `select --search ivf` finds it again."""
    given = locals()
    if not pool:
        raise InputError("no pool is given", remedy="tsds index POOL --kind ivf, or tsds index STORE")
    from tsds.index import KINDS
    from tsds.indexing import index_pool, index_store
    from tsds.records import is_store
    from tsds.suggestions import nearest_name

    if kind not in KINDS:
        raise InputError(f"unknown kind of index {kind!r}", remedy=nearest_name(kind, KINDS))
    of_store = [one for one in paths_of(pool) if isinstance(one, Path) and is_store(one)]
    if of_store and len(pool) > 1:
        raise InputError("is a store, and more is named", path=of_store[0], remedy="tsds index STORE, alone")
    if of_store and (transform or store):
        flag = "--transform" if transform else "--store"
        raise InputError(f"{flag} is for a pool, and a store is given", remedy=f"tsds index POOL {flag} ...")
    given["encoder"] = encoder or "hash"
    settings = settings_of(given | {"size": 1, "bandwidth": "0"})
    screen = Screen(json=json, quiet=quiet)
    with screen.progress() as listener:
        if of_store:
            screen.indexes(index_store(of_store[0], kind, encoder, settings, out, listener))
        else:
            screen.facts(index_pool(paths_of(pool), kind, settings, out, listener))


@store_app.command("ls")
def store_ls(folder: opt.StoreFolder, json: opt.Json = False, debug: opt.Debug = False) -> None:
    """List the encoders of a store: rows, dimensions, precision, size."""
    from tsds.embedding import listing

    Screen(json=json).spaces(listing(folder))


@store_app.command("verify")
def store_verify(folder: opt.StoreFolder, json: opt.Json = False, debug: opt.Debug = False) -> None:
    """Read every byte and compare checksums; exit code 1 if a shard is damaged."""
    from tsds.embedding import verify

    Screen(json=json).facts({"store": str(folder), "shards": verify(folder), "damaged": 0})


@store_app.command("gc")
def store_gc(
    folder: opt.StoreFolder, unused_days: opt.UnusedDays = None, json: opt.Json = False, debug: opt.Debug = False
) -> None:
    """Remove damaged shards and what killed runs left; no run may be adding to the store."""
    from tsds.embedding import collect_garbage

    Screen(json=json).facts(collect_garbage(folder, unused_days))
