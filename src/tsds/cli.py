"""The command: arguments to calls, results to the screen, errors to one line and an exit code."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

import typer

from tsds import options as opt
from tsds.errors import InputError, TsdsError
from tsds.evaluate.command import evaluate_app
from tsds.screen import Screen

app = typer.Typer(
    name="tsds",
    help="Select the finetuning data that serves your task.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
#: Options that may be followed by several values, as a shell's glob gives them.
_MANY = (
    "--pool", "--target", "--exclude", "--embeddings", "--target-embeddings", "--methods", "--test", "--targets",
    "--sizes", "--conditions", "--equal",
)  # fmt: skip


@app.command()
def select(
    pool: opt.Sources,
    target: opt.Targets,
    size: opt.Size,
    out: opt.Place,
    method: opt.Method = "auto",
    alpha: opt.Alpha = None,
    scale: opt.Scale = None,
    neighbors: opt.Neighbors = None,
    effective_size: opt.EffectiveSize = None,
    capacity: opt.Capacity = None,
    bandwidth: opt.Bandwidth = "auto",
    metric: opt.Metric = "l2",
    encoder: opt.Encoder = "hash",
    transform: opt.Transform = None,
    device: opt.Device = "auto",
    engine: opt.Engine = "local",
    workers: opt.Workers = None,
    memory: opt.Memory = None,
    search: opt.Search = "exact",
    index: opt.Index = None,
    store: opt.Store = None,
    store_precision: opt.Precision = "float16",
    sampling: opt.Sampling = None,
    seed: opt.Seed = 0,
    copies: opt.Copies = "collapse",
    exclude: opt.Exclude = None,
    text_field: opt.TextField = None,
    template: opt.Template = None,
    id_field: opt.IdField = None,
    group_field: opt.GroupField = None,
    tokens_field: opt.TokensField = None,
    weight_field: opt.WeightField = None,
    target_weights: opt.TargetWeights = "uniform",
    task_weights: opt.TaskWeights = None,
    embeddings: opt.Embeddings = None,
    target_embeddings: opt.TargetEmbeddings = None,
    on_error: opt.OnError = "fail",
    format: opt.Format = None,
    overwrite: opt.Overwrite = False,
    resume: opt.Resume = False,
    dry_run: opt.DryRun = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Select from a pool the records that serve a target, and write them to a folder."""
    given = locals()
    settings = _settings(given)
    screen = Screen(json=json, quiet=quiet)
    sources, tasks = _paths(pool), _tasks(target)
    from tsds.checkpoint import resumable
    from tsds.output import begun_with, write_run
    from tsds.places import check_vacant, reserved
    from tsds.searching import working
    from tsds.selection import run

    if dry_run:
        from tsds.forecast import forecast

        check_vacant(out, overwrite=overwrite)
        screen.forecast(forecast(sources, tasks, settings))
        return
    with (
        resumable(out, begun_with(sources, tasks, settings), resume=resume, overwrite=overwrite) as checkpoint,
        reserved(out, overwrite=overwrite) as scratch,
    ):
        with screen.progress() as listener, working(settings, listener, checkpoint) as stages:
            selection = run(sources, tasks, settings, stages=stages)
            facts = write_run(selection, scratch, format=format, command=_command(), engine=stages.engine)
        files = sorted(path.name for path in scratch.iterdir())
    screen.selected(facts, out, files)


@app.command()
def path(
    pool: opt.Sources,
    target: opt.Targets,
    size: opt.Size = "1%",
    points: opt.Points = 16,
    reach: opt.Reach = 8.0,
    method: opt.Method = "kde",
    alpha: opt.Alpha = None,
    scale: opt.Scale = None,
    neighbors: opt.Neighbors = None,
    effective_size: opt.EffectiveSize = None,
    bandwidth: opt.Bandwidth = "auto",
    metric: opt.Metric = "l2",
    encoder: opt.Encoder = "hash",
    transform: opt.Transform = None,
    device: opt.Device = "auto",
    engine: opt.Engine = "local",
    workers: opt.Workers = None,
    memory: opt.Memory = None,
    search: opt.Search = "exact",
    index: opt.Index = None,
    store: opt.Store = None,
    store_precision: opt.Precision = "float16",
    seed: opt.Seed = 0,
    copies: opt.Copies = "collapse",
    exclude: opt.Exclude = None,
    text_field: opt.TextField = None,
    template: opt.Template = None,
    id_field: opt.IdField = None,
    group_field: opt.GroupField = None,
    weight_field: opt.WeightField = None,
    target_weights: opt.TargetWeights = "uniform",
    task_weights: opt.TaskWeights = None,
    embeddings: opt.Embeddings = None,
    target_embeddings: opt.TargetEmbeddings = None,
    on_error: opt.OnError = "fail",
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Show the regularization path: what each strength of diversity would select, from one search."""
    settings = _settings(locals())
    screen = Screen(json=json, quiet=quiet)
    from tsds.report.path_table import path_table
    from tsds.selection import run

    with screen.progress() as listener:
        selection = run(_paths(pool), _tasks(target), settings, listener, reach=reach)
    screen.path(path_table(selection, points))


@app.command()
def compare(
    pool: opt.Sources,
    target: opt.Targets,
    size: opt.Size,
    out: opt.Out,
    methods: opt.Methods = None,
    folds: opt.Folds = 5,
    draws: opt.Draws = 1,
    bandwidth: opt.Bandwidth = "auto",
    metric: opt.Metric = "l2",
    encoder: opt.Encoder = "hash",
    transform: opt.Transform = None,
    device: opt.Device = "auto",
    engine: opt.Engine = "local",
    workers: opt.Workers = None,
    memory: opt.Memory = None,
    search: opt.Search = "exact",
    index: opt.Index = None,
    store: opt.Store = None,
    store_precision: opt.Precision = "float16",
    seed: opt.Seed = 0,
    copies: opt.Copies = "collapse",
    exclude: opt.Exclude = None,
    text_field: opt.TextField = None,
    template: opt.Template = None,
    id_field: opt.IdField = None,
    group_field: opt.GroupField = None,
    tokens_field: opt.TokensField = None,
    weight_field: opt.WeightField = None,
    target_weights: opt.TargetWeights = "uniform",
    task_weights: opt.TaskWeights = None,
    embeddings: opt.Embeddings = None,
    target_embeddings: opt.TargetEmbeddings = None,
    on_error: opt.OnError = "fail",
    overwrite: opt.Overwrite = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Compare methods on targets that they have not seen; a comparison that was stopped goes on."""
    settings = _settings(locals())
    screen = Screen(json=json, quiet=quiet)
    from tsds.compare.saved import compare_to

    with screen.progress() as listener:
        found = compare_to(
            out, _paths(pool), _tasks(target), settings, methods, folds=folds, draws=draws, overwrite=overwrite,
            command=_command(), listener=listener,
        )  # fmt: skip
    screen.compared(found, out)


@app.command()
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
    from tsds.engines import engine_named
    from tsds.records import TextSpec
    from tsds.settings import check_choice

    check_choice("store_precision", precision)
    found = engine_named(engine, workers, gpus=device.startswith("cuda"))
    with contextlib.closing(found), screen.progress() as listener:
        written = embed_records(
            _paths(given), _tasks(target) if target else None, out, encoder, seed, TextSpec(text_field, template),
            device=device, precision=precision, engine=found, on_error=on_error, listener=listener,
        )  # fmt: skip
    screen.embedded(written)


@app.command()
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
    of_store = [one for one in _paths(pool) if isinstance(one, Path) and is_store(one)]
    if of_store and len(pool) > 1:
        raise InputError("is a store, and more is named", path=of_store[0], remedy="tsds index STORE, alone")
    if of_store and (transform or store):
        flag = "--transform" if transform else "--store"
        raise InputError(f"{flag} is for a pool, and a store is given", remedy=f"tsds index POOL {flag} ...")
    given["encoder"] = encoder or "hash"
    nothing = dict.fromkeys(("task_weights", "exclude", "embeddings", "target_embeddings"))
    settings = _settings(given | nothing | {"size": 1, "bandwidth": "0"})
    screen = Screen(json=json, quiet=quiet)
    with screen.progress() as listener:
        if of_store:
            screen.indexes(index_store(of_store[0], kind, encoder, settings, out, listener))
        else:
            screen.facts(index_pool(_paths(pool), kind, settings, out, listener))


store_app = typer.Typer(no_args_is_help=True, help="Look into an embedding store, check it, tidy it.")
app.add_typer(store_app, name="store")


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


app.add_typer(evaluate_app, name="evaluate")


@app.command()
def demo(
    out: opt.Out = Path("demo-out"),
    overwrite: opt.Overwrite = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Select for a real task from a small real pool that comes with the package: grade-school mathematics."""
    from tsds.demo import pool_path, target_path

    select([str(pool_path())], [str(target_path())], "5%", str(out), overwrite=overwrite, json=json, quiet=quiet)


@app.command()
def report(
    folder: opt.Folder,
    compare: opt.Compared = None,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Write the page of a run that a folder holds anew, and show its summary again."""
    from tsds.report.saved import renew

    facts = renew(folder, compare)
    Screen(json=json, quiet=quiet).selected(facts, folder, sorted(p.name for p in folder.iterdir()))


@app.command()
def methods(json: opt.Json = False) -> None:
    """List the methods of selection."""
    from tsds.methods import METHODS

    Screen(json=json).listing({name: method.line for name, method in METHODS.items()})


@app.command()
def encoders(json: opt.Json = False) -> None:
    """List the encoders of texts."""
    from tsds.embeddings.encoders import ENCODERS

    Screen(json=json).listing({name: entry.line for name, entry in ENCODERS.items()})


@app.callback()
def _root(version: opt.Version = False) -> None:
    pass


def main() -> NoReturn:
    """Run the command; any failure is one line and an exit code, 2 for bad input and 1 for a run that failed."""
    signal.signal(signal.SIGTERM, _terminate)
    arguments = spread(sys.argv[1:])
    debug = "--debug" in arguments
    try:
        app(arguments, standalone_mode=True)
    except TsdsError as error:
        if debug:
            raise
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt as stop:
        _fail(f"interrupted; nothing was written{stop}", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has gone: no further complaint
        sys.exit(1)
    except MemoryError:
        _fail("out of memory (a smaller pool, or a machine with more)", 1)
    except Exception as error:
        if debug:
            raise
        _fail(f"unexpected {type(error).__name__}: {error} (--debug shows where; please report it)", 1)
    sys.exit(0)


def spread(arguments: list[str]) -> list[str]:
    """`--pool a b` as `--pool a --pool b`, for the options that take several values."""
    out: list[str] = []
    flag: str | None = None
    for argument in arguments:
        if argument.startswith("-") and argument != "-":
            flag = argument if argument in _MANY else None
            fresh = True
            out.append(argument)
        elif flag is not None and not fresh:
            out += [flag, argument]
        else:
            fresh = False
            out.append(argument)
    return out


def _fail(message: str, code: int) -> NoReturn:
    print("tsds: " + " ".join(message.split()), file=sys.stderr)
    sys.exit(code)


def _terminate(number: int, frame: Any) -> NoReturn:
    raise KeyboardInterrupt


def _settings(given: dict[str, Any]) -> Any:
    from dataclasses import fields

    from tsds.settings import Settings

    names = {one.name for one in fields(Settings)}
    chosen = {name: value for name, value in given.items() if name in names}
    chosen["bandwidth"] = _bandwidth(given["bandwidth"])
    chosen["task_weights"] = _task_weights(given["task_weights"])
    for name in ("exclude", "embeddings"):
        chosen[name] = _paths(given[name]) if given[name] else None
    chosen["target_embeddings"] = _tasks(given["target_embeddings"]) if given["target_embeddings"] else None
    return Settings(**chosen)


def _bandwidth(value: str) -> float | str:
    try:
        return value if value == "auto" else float(value)
    except ValueError:
        raise InputError(f"--bandwidth is {value!r}", remedy="a number, 0, or auto") from None


def _task_weights(value: str | None) -> dict[str, float]:
    weights = {}
    for part in (value or "").split(","):
        name, _, number = part.partition("=")
        if not part.strip():
            continue
        try:
            weights[name.strip()] = float(number)
        except ValueError:
            raise InputError(f"--task-weights has {part!r}", remedy="NAME=2,NAME=1") from None
    return weights


def _paths(sources: list[str]) -> list[Path | str]:
    from tsds.records import is_remote

    return [source if is_remote(source) else Path(source) for source in sources]


def _tasks(sources: list[str]) -> Any:
    """Files, or tasks by name where they are given as NAME=FILE."""
    named = [_named(source) for source in sources]
    if not any(name for name, _ in named):
        return _paths(sources)
    tasks: dict[str, list[Path | str]] = {}
    for name, file in named:
        if name is None:
            raise InputError(f"the target {file} has no name and others have", remedy="NAME=FILE for each")
        tasks.setdefault(name, []).extend(_paths([file]))
    return tasks


def _named(source: str) -> tuple[str | None, str]:
    name, equals, file = source.partition("=")
    if equals and name and file and "/" not in name and not Path(source).exists():
        return name, file
    return None, source


def _command() -> str:
    return shlex.join(["tsds", *sys.argv[1:]])
