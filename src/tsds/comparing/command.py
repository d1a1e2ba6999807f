"""`tsds compare`: arguments to one call."""

from __future__ import annotations

from tsds import options as opt
from tsds.arguments import command_line, paths_of, settings_of, tasks_of
from tsds.screen import Screen


def compare(
    pool: opt.Sources,
    target: opt.Targets,
    size: opt.Size,
    out: opt.OutOfComparison,
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
    overwrite: opt.Overwrite = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Compare methods on targets that they have not seen; a comparison that was stopped goes on."""
    settings = settings_of(locals())
    screen = Screen(json=json, quiet=quiet)
    from tsds.comparing.saved import compare_to

    with screen.progress() as listener:
        found = compare_to(
            out, paths_of(pool), tasks_of(target), settings, methods, folds=folds, draws=draws, overwrite=overwrite,
            command=command_line(), listener=listener,
        )  # fmt: skip
    screen.compared(found, out)
