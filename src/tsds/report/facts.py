"""The facts of a run that a person is shown: plain JSON values, the same for the screen and for the page."""

from __future__ import annotations

from typing import TypedDict


class Stage(TypedDict):
    """One step of the run."""

    name: str  # "read and encode the pool"
    seconds: float
    peak_mb: float  # largest resident memory of the process up to the end of the stage


class Counted(TypedDict):
    """How many records of the pool, or of the target, took part."""

    read: int
    used: int
    empty: int
    bad: int
    excluded: int  # dropped by --exclude
    copies: int  # exact copies, collapsed into the first of them
    shards: list[str]
    text_fields: list[str]  # that the texts of the first records are from; none of vectors and of bare texts


class Group(TypedDict):
    """One source of the pool, largest chosen share first."""

    name: str
    pool: int  # distinct candidates of it in the pool
    pool_share: float
    mass: float  # probability that the plan gives it
    chosen: int
    chosen_share: float
    lift: float | None  # chosen_share / pool_share


class TaskFact(TypedDict):
    """One of several tasks."""

    name: str
    targets: int
    weight: float  # its share of the mass, as asked for
    nearest: float  # mean distance of its targets' nearest candidates, by weight
    chosen: int  # for how many of the chosen one of its targets gives most of the mass


class Example(TypedDict):
    """One chosen record and the target it serves."""

    row: int
    id: str | int
    group: str | None
    probability: float
    count: int
    density: float  # near-duplicates in the pool, itself included, weighed by the kernel
    distance: float  # to that target
    rank: int  # 0: the target's nearest candidate; -1 where the method is a rule
    text: str  # shortened to some hundred characters
    target: int  # row of the target
    target_text: str


class TargetFact(TypedDict):
    """One target example and how well the pool serves it."""

    row: int
    id: str | int
    task: str | None
    weight: float
    nearest: float  # distance of the nearest candidate
    reach: float  # distance of the farthest candidate that gets mass from it
    candidates: int  # how many candidates get mass from it
    chosen: int  # how many chosen records have it as the target they serve most
    text: str


class PathRow(TypedDict):
    """One setting on the regularization path."""

    neighbors: float  # s
    penalty: float  # lambda
    alpha: float  # for the run's scale C
    transport_cost: float
    support: int  # candidates with mass
    effective_size: float
    largest: float  # max p


class Warning_(TypedDict):  # noqa: N801  (Warning is taken)
    """Something that matters, with what to do about it."""

    what: str
    remedy: str | None


class Strength(TypedDict):
    """How strongly the plan diversifies."""

    asked: str  # "auto", "alpha 0.6, scale 5", ...
    neighbors: float | None  # s; None for tv and where the whole pool gets mass
    penalty: float | None
    alpha: float | None
    scale: float
    why: str
    capped: bool


class Facts(TypedDict):
    """All of it."""

    version: str
    command: str | None  # as typed; None from Python
    method: str
    method_line: str  # one line about the method
    method_why: str | None  # why it is not the one asked for; None if it is
    encoder: str
    metric: str
    seed: int
    sampling: str
    size_asked: str
    size: int  # examples chosen, counting repeats
    tokens: int | None  # tokens of these; None where there are no texts
    distinct: int  # distinct candidates chosen
    support: int  # candidates with mass
    effective_size: float
    pool: Counted
    target: Counted
    strength: Strength
    bandwidth: float | None
    bandwidth_why: str | None
    near_duplicates: float | None  # mean number of other pool members within the bandwidth, over weighed candidates
    rule: bool  # whether the method is a rule, which has no strength and no optimum
    exact: bool  # whether the plan is proven optimal for its densities
    certificate: str  # why it is, or is not
    density_note: str | None  # exact, or approximate with its measured recall
    transport_cost: float
    stages: list[Stage]
    seconds: float
    warnings: list[Warning_]
    tasks: list[TaskFact]  # empty where there is but one
    composition: list[Group]  # empty where records have no source
    examples: list[Example]  # ten for the screen are the first ten; the page shows all
    targets: list[TargetFact]  # a few hundred at most, those served worst first
    targets_total: int
    path: list[PathRow]  # empty for methods without a path
