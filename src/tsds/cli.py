"""The command: arguments to calls, results to the screen, errors to one line and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

import typer

from tsds import options as opt
from tsds.arguments import check_paths, command_line, paths_of, settings_of, spread, tasks_of
from tsds.comparing.command import compare
from tsds.errors import TsdsError, check_utf8
from tsds.evaluate.command import evaluate_app
from tsds.interrupts import Interrupted
from tsds.screen import Screen
from tsds.store_command import embed, index, store_app
from tsds.verbs import Verbs
from tsds.why_command import why

#: UsageError, of click or of the click that typer brings.
_WrongUsage: Any = typer.BadParameter.__base__

app = typer.Typer(
    name="tsds",
    cls=Verbs,
    help="Select the finetuning data that serves your task.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


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
    target_text_field: opt.TargetTextField = None,
    target_template: opt.TargetTemplate = None,
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
    settings = settings_of(given)
    screen = Screen(json=json, quiet=quiet)
    sources, tasks = paths_of(pool), tasks_of(target)
    from tsds.begun import begun_with
    from tsds.checkpoint import forget_finished, resumable
    from tsds.output import check_fits, check_format, write_run
    from tsds.places import check_vacant, reserved
    from tsds.records import is_vectors
    from tsds.searching import working
    from tsds.selecting import run

    if format is not None:
        check_format(format, vectors=is_vectors(sources))
    forget_finished(out)
    begun = begun_with(sources, tasks, settings)
    inputs = [one["name"] for one in begun["files"]]
    check_vacant(out, overwrite=overwrite, inputs=inputs)  # before what an earlier run has left is looked at
    if format is not None and not is_vectors(sources):
        check_fits(format, sources, settings)
    if dry_run:
        from tsds.forecast import forecast

        screen.forecast(forecast(sources, tasks, settings))
        return
    with (
        resumable(out, begun, resume=resume, overwrite=overwrite) as checkpoint,
        reserved(out, overwrite=overwrite, inputs=inputs) as scratch,
    ):
        with screen.progress() as listener, working(settings, listener, checkpoint) as stages:
            selection = run(sources, tasks, settings, stages=stages)
            facts = write_run(selection, scratch, format=format, command=command_line(), engine=stages.engine)
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
    target_text_field: opt.TargetTextField = None,
    target_template: opt.TargetTemplate = None,
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
    settings = settings_of(locals())
    screen = Screen(json=json, quiet=quiet)
    from tsds.report.path_table import path_note, path_table
    from tsds.selecting import run

    note = path_note(settings.method)
    with screen.progress() as listener:
        selection = run(paths_of(pool), tasks_of(target), settings, listener, reach=reach)
    screen.path(path_table(selection, points), note)


app.command()(compare)
app.command()(embed)
app.command()(index)
app.command()(why)
app.add_typer(store_app, name="store")
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
    """Run the command; a failure is one line and an exit code: 2 bad input, 1 a run that failed, 130 one stopped."""
    signal.signal(signal.SIGTERM, _terminate)
    arguments = spread(sys.argv[1:])
    debug = "--debug" in arguments
    try:
        for argument in arguments:
            check_utf8(argument)
        check_paths(arguments)
        code = app(arguments, prog_name="tsds", standalone_mode=False)
    except _WrongUsage as error:
        _fail_usage(error)
    except typer.Abort:  # standard input has ended
        _fail("aborted", 1)
    except TsdsError as error:
        if debug and not isinstance(error, Interrupted):
            raise
        _fail(_noted(str(error), error), error.exit_code)
    except KeyboardInterrupt:  # before a verb has begun
        _fail("interrupted", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has gone: no further complaint
        sys.exit(1)
    except MemoryError as error:
        _fail(_noted("out of memory (a smaller pool, or a machine with more)", error), 1)
    except Exception as error:
        if debug:
            raise
        what = f"unexpected {type(error).__name__}: {error} (--debug shows where; please report it)"
        _fail(_noted(what, error), 1)
    sys.exit(code if isinstance(code, int) else 0)


def _fail_usage(error: Any) -> NoReturn:
    message = error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError":  # no failure: the message is the help, if it is not printed yet
        if message:
            print(message, file=sys.stderr)
        sys.exit(error.exit_code)
    remedy = f" ({error.ctx.command_path} --help)" if error.ctx else ""
    _fail(message.rstrip(".") + remedy, error.exit_code)


def _noted(message: str, error: BaseException) -> str:
    """The message, and what was noted on the way about what is left of the run."""
    return "; ".join([message, *getattr(error, "__notes__", [])])


def _fail(message: str, code: int) -> NoReturn:
    print("tsds: " + " ".join(message.split()), file=sys.stderr)
    sys.exit(code)


def _terminate(number: int, frame: Any) -> NoReturn:
    raise KeyboardInterrupt
