"""The options of the command, each once: its type, its flag and its line of help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Exit, Option, echo

import tsds


def print_version(wanted: bool) -> None:
    """Print the version and stop, if that is wanted."""
    if wanted:
        echo(f"tsds {tsds.__version__}")
        raise Exit


Sources = Annotated[list[str], Option("--pool", help="Candidates: files, folders or globs; - is standard input.")]
Targets = Annotated[list[str], Option("--target", help="Examples of the task: FILE, or NAME=FILE for several tasks.")]
Size = Annotated[str, Option("--size", help="Examples (1000), a share of the pool (1%), or tokens (200k-tokens).")]
Out = Annotated[Path, Option("--out", help="Folder to write to; refused if it holds a run.")]
OutOfComparison = Annotated[
    Path,
    Option("--out", help="Folder to write to; refused if it holds a comparison, or a run of another pool or size."),
]
Place = Annotated[
    str, Option("--out", help="Folder or address to write to; refused if it holds a run, or files it would replace.")
]
Overwrite = Annotated[bool, Option("--overwrite", help="Replace the run that --out holds, or one that was stopped.")]
Resume = Annotated[bool, Option("--resume", help="Go on where a run to --out was stopped, if one was.")]
Format = Annotated[str | None, Option("--format", help="Of the selected records.", show_default="the pool's own")]

Method = Annotated[str, Option("--method", help="How to select; see `tsds methods`.")]
Alpha = Annotated[
    float | None, Option("--alpha", help="The paper's trade-off: 1 aligned, 0 diverse.", show_default="from the size")
]
Scale = Annotated[float | None, Option("--scale", help="The paper's C, with --alpha.", show_default="5")]
Neighbors = Annotated[float | None, Option("--neighbors", help="Instead of --alpha: effective neighbours a target.")]
EffectiveSize = Annotated[float | None, Option("--effective-size", help="Instead of --alpha: 1 / sum p^2 of the plan.")]
Capacity = Annotated[
    float | None,
    Option("--capacity", help="Of balanced: effective candidates that share the mass.", show_default="the size"),
]
Bandwidth = Annotated[str, Option("--bandwidth", help="Distance of near-duplicates: a number, 0, or auto.")]
Metric = Annotated[str, Option("--metric", help="l2 or cosine.")]
Encoder = Annotated[str, Option("--encoder", help="Texts to vectors; see `tsds encoders`.")]
EncoderOfIndex = Annotated[
    str | None, Option("--encoder", help="Texts to vectors; hash where none is named, of a store all that it has.")
]
Transform = Annotated[
    str | None,
    Option("--transform", help="On top of vectors: normalize, whiten, pca:K, target-subspace:K; or several."),
]
Device = Annotated[
    str,
    Option(
        "--device", help="Where models and passes over the pool compute: cpu, cuda, or auto: a GPU if there is one."
    ),
]
TrainingPrecision = Annotated[
    str,
    Option("--precision", help="To train in: float32, bfloat16, or auto: bfloat16 where the device is made for it."),
]
Engine = Annotated[str, Option("--engine", help="What passes over the pool run on: local, ray, or ray:ADDRESS.")]
Workers = Annotated[int | None, Option("--workers", help="Cores to work on.", show_default="all")]
Memory = Annotated[str | None, Option("--memory", help="Of each process: 4G, 500M.", show_default="what there is")]
Search = Annotated[str, Option("--search", help="Of the neighbours: exact, by an index (ivf, hnsw), or auto.")]
Index = Annotated[Path | None, Option("--index", help="Folder of indexes.", show_default="the user's cache")]
IndexOut = Annotated[
    Path | None, Option("--out", help="Folder of indexes.", show_default="the user's cache; of a store, in it")
]
Kind = Annotated[str, Option("--kind", help="ivf, or hnsw: slower to build, quicker for short lists.")]
Store = Annotated[
    Path | None,
    Option("--store", help="Where vectors are kept and found again.", show_default="the user's cache; hash: none"),
]
Precision = Annotated[str, Option("--store-precision", help="Of stored vectors: float16, float32 or int8.")]
Sampling = Annotated[
    str | None, Option("--sampling", help="shares, systematic, top or multinomial.", show_default="the method's")
]
Seed = Annotated[int, Option("--seed", help="The same seed gives the same result.")]
Copies = Annotated[str, Option("--copies", help="collapse records of equal text into one candidate, or keep them.")]
Exclude = Annotated[
    list[str] | None, Option("--exclude", help="Texts that must stay unseen: drops candidates that share a 13-gram.")
]

TextField = Annotated[str | None, Option("--text-field", help="Field of the text.", show_default="found")]
Template = Annotated[str | None, Option("--template", help="The text, with fields in braces: '{question}\\n{answer}'.")]
TargetTextField = Annotated[
    str | None,
    Option("--target-text-field", help="The same for the targets.", show_default="as the pool's, else found"),
]
TargetTemplate = Annotated[str | None, Option("--target-template", help="The same for the targets.")]
IdField = Annotated[
    str | None, Option("--id-field", help="Field of the id; none: the row is.", show_default="id, else the row")
]
GroupField = Annotated[str | None, Option("--group-field", help="Field of the source.", show_default="source")]
TokensField = Annotated[str | None, Option("--tokens-field", help="Field of the tokens.", show_default="bytes / 4")]
WeightField = Annotated[str | None, Option("--weight-field", help="Field that weighs the targets of a task.")]
TargetWeights = Annotated[str, Option("--target-weights", help="uniform, or density: targets much alike share.")]
TaskWeights = Annotated[str | None, Option("--task-weights", help="NAME=2,NAME=1.", show_default="equal")]
OnError = Annotated[str, Option("--on-error", help="At an unusable record: fail, or skip and count it.")]
Embeddings = Annotated[
    list[str] | None, Option("--embeddings", help="Own vectors of the pool: .npy, or .parquet:COLUMN.")
]
TargetEmbeddings = Annotated[list[str] | None, Option("--target-embeddings", help="The same for the targets.")]

PoolArguments = Annotated[list[str] | None, Argument(metavar="POOL...", help="Candidates: files, folders, globs.")]
PoolOrStore = Annotated[
    list[str] | None, Argument(metavar="POOL|STORE", help="Candidates: files, folders, globs; or an embedding store.")
]
PoolOption = Annotated[list[str] | None, Option("--pool", help="The same as an option.")]
TargetOption = Annotated[list[str] | None, Option("--target", help="Examples of the task, to be stored as targets.")]
StoreOut = Annotated[Path, Option("--out", help="The store, made if it is not there.")]
StoreFolder = Annotated[Path, Argument(metavar="STORE", help="Folder of the store.", show_default=False)]
UnusedDays = Annotated[float | None, Option("--unused-days", min=0, help="Also encoders unused for so many days.")]
Methods = Annotated[
    list[str] | None,
    Option("--methods", help="Those to compare, each with its settings: kde balanced:neighbors=30,sampling=top."),
]
Folds = Annotated[int, Option("--folds", help="The targets are split so; each part is held out once.")]
Draws = Annotated[int, Option("--draws", help="How often they are split anew; intervals stay as wide.")]
Points = Annotated[int, Option("--points", min=2, max=1000, help="Rows of the table.")]
Reach = Annotated[float, Option("--reach", min=1.0, help="How far beyond the strength that the size asks for.")]
Folder = Annotated[Path, Argument(help="The folder of a run.")]
Names = Annotated[list[str], Argument(metavar="ID_OR_ROW...", help="Records: ids, or rows of the pool, from 0.")]

Compared = Annotated[
    Path | None, Option("--compare", help="What `tsds compare` or `tsds evaluate` wrote.", show_default="in the folder")
]

EvaluationOut = Annotated[Path, Option("--out", help="Folder of cells and results; a grid that was stopped goes on.")]
Data = Annotated[
    Path | None,
    Option("--data", help="Folder with pool.* and targets/NAME/ that has train.* or query.*, and test.*."),
]
OnePool = Annotated[Path | None, Option("--pool", help="Instead of --data: the candidates.")]
NamedTargets = Annotated[
    list[str] | None, Option("--target", help="Instead of --data: NAME=FILE, examples to select by.")
]
NamedTests = Annotated[list[str] | None, Option("--test", help="Instead of --data: NAME=FILE, to measure on.")]
Model = Annotated[
    str | None,
    Option("--model", help="Name or folder of what is trained.", show_default="a small one that needs no network"),
]
TargetNames = Annotated[list[str] | None, Option("--targets", help="Those of --data.", show_default="all")]
Arms = Annotated[
    list[str] | None,
    Option(
        "--methods",
        help="As for compare; also none, in-domain, full, full-epoch, and random-source:as=METHOD (or length).",
        show_default="eleven",
    ),
]
Sizes = Annotated[list[str] | None, Option("--sizes", help="Each like --size.", show_default="0.5% 1% 5%")]
Seeds = Annotated[int | None, Option("--seeds", help="Each draws its own target examples.", show_default="5")]
Conditions = Annotated[
    list[str] | None,
    Option("--conditions", help="plain, skewed, near-duplicates[:1%x1000].", show_default="plain"),
]
Equal = Annotated[
    list[str] | None,
    Option("--equal", help="What is the same for all methods: tokens, examples.", show_default="both"),
]
Examples = Annotated[
    int | None,
    Option("--examples", help="Target examples of a draw.", show_default="1000; instruction: 100"),
]
TestRows = Annotated[int | None, Option("--test-rows", help="Rows of a test set, drawn at random.", show_default="all")]
Epochs = Annotated[float | None, Option("--epochs", help="How often an average selection goes by.", show_default="4")]
Rate = Annotated[float | None, Option("--rate", help="The highest learning rate.", show_default="by the model")]
BaseSteps = Annotated[
    int | None,
    Option(
        "--base-steps",
        help="Of the common base, at most, where the model needs one.",
        show_default="900; instruction: 2000",
    ),
]
BaseRate = Annotated[
    float | None,
    Option("--base-rate", help="Learning rate of the common base.", show_default="1e-4; instruction: 1e-3"),
]
Classifier = Annotated[
    str | None,
    Option(
        "--classifier",
        help="finetuned, or probe: a regression on the encoder as it is.",
        show_default="finetuned; --quick: probe",
    ),
]
Tuning = Annotated[str, Option("--tuning", help="full, lora, or auto: adapters from a hundred million weights.")]
Quick = Annotated[bool, Option("--quick", help="A small grid: twenty minutes on two cores.")]
CellEngine = Annotated[
    str, Option("--engine", help="local: cell after cell; ray, ray:ADDRESS: one on each core or GPU at once.")
]
Part = Annotated[str, Option("--part", help="2/4: the second of four parts, which may run at once.")]

DryRun = Annotated[bool, Option("--dry-run", help="Print what the run would need, and stop.")]
Json = Annotated[bool, Option("--json", help="One JSON object on standard output, all else on standard error.")]
Quiet = Annotated[bool, Option("--quiet", help="No progress and no summary.")]
Debug = Annotated[bool, Option("--debug", help="Show the traceback of an error.")]
Version = Annotated[bool, Option("--version", help="Print the version.", is_eager=True, callback=print_version)]
