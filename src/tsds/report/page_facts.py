"""What the page shows beyond the facts of the screen: plain JSON values. Texts lie in one list, named by place."""

from __future__ import annotations

from typing import TypedDict

Place = list[float]  # x, y in the plane of the map
Turn = list[str]  # role or field, text


class RecordFact(TypedDict):
    """One record of the pool that is shown somewhere."""

    row: int
    id: str | int
    group: str | None
    text: int  # place in `texts`
    tokens: int | None  # None where there are no texts
    copies: int  # exact copies, itself included


class NearFact(TypedDict):
    """A near-duplicate of a chosen record."""

    record: int  # place in `records`
    distance: float
    probability: float
    count: int  # how often it was chosen itself


class ChosenFact(TypedDict):
    """One chosen record and why it was."""

    record: int
    probability: float
    count: int
    density: float | None  # None where the method uses none
    target: int  # place in `targets`
    distance: float
    rank: int  # 0: the target's nearest; -1 where the method is a rule
    at: Place | None
    near: list[NearFact] | None  # None: not looked for
    near_total: int


class TargetRow(TypedDict):
    """One target and how well the pool serves it."""

    row: int
    id: str | int
    task: str | None
    weight: float
    nearest: float
    reach: float
    candidates: int
    chosen: int
    text: int
    at: Place | None
    nearest_record: int | None


class Stop(TypedDict):
    """One stop of the slider: a row of `tsds path`, with its most probable candidates."""

    neighbors: float
    penalty: float
    alpha: float
    transport_cost: float
    support: int
    effective_size: float
    largest: float
    sources: list[tuple[str, float]]  # largest first, of those that are among the largest at any stop
    top: list[tuple[int, float]]  # place in `records`, probability
    here: bool


class Share(TypedDict):
    """One value of a field."""

    name: str
    pool: float
    target: float | None
    chosen: float


class FieldShift(TypedDict):
    """How often each value of a field occurs in pool, targets and chosen."""

    field: str
    values: list[Share]
    more: int  # values that are not listed
    pool_records: int  # of how many records the shares are
    pool_total: int
    chosen_records: int


class Lengths(TypedDict):
    """Histograms of the lengths in tokens, as shares."""

    edges: list[float]
    pool: list[float]
    target: list[float] | None
    chosen: list[float]


class Histogram(TypedDict):
    """Counts between edges."""

    edges: list[float]
    counts: list[int]


class Cluster(TypedDict):
    """Near-duplicates of each other."""

    record: int  # the one that stands for them
    records: int  # how many, exact copies counted
    chosen: int
    mass: float  # what they have together
    mass_alone: float | None  # what they would have if near-duplicates did not share a weight


class PoolMap(TypedDict):
    """A sample of the pool in the plane."""

    x: list[float]
    y: list[float]
    record: list[int | None]  # place in `records` of those whose text is here
    total: int
    spread: list[float]  # share of the variance on each axis


class TargetPlaces(TypedDict):
    """Targets in the plane that are not listed in `targets`."""

    x: list[float]
    y: list[float]


class ComparedFact(TypedDict):
    """One method's score in a comparison, with its interval."""

    method: str
    metric: str
    about: str  # what the metric is, and which way is better
    mean: float
    low: float
    high: float


class HeldOut(TypedDict):
    """The cost on held-out targets at one strength, with its interval."""

    neighbors: float
    cost: float
    low: float
    high: float


class Explorer(TypedDict):
    """All of it."""

    text_limit: int  # characters that a text is cut to
    texts: list[str | list[Turn]]
    records: list[RecordFact]
    chosen: list[ChosenFact]  # the first ten are those of the screen
    chosen_total: int
    targets: list[TargetRow]  # worst served first
    targets_worst: int  # so many of them are the worst of all; the rest are here because a chosen record serves them
    nearest: Histogram  # distances of all targets to their nearest candidates
    stops: list[Stop]
    map: PoolMap | None
    map_targets: TargetPlaces
    shift: list[FieldShift]
    lengths: Lengths | None
    clusters: list[Cluster]
    clusters_complete: bool
    held_out: list[HeldOut]
    comparison: list[ComparedFact] | None
