"""Ordered work on a few threads: results come back in the order of the inputs, so sums have the same bits."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from threadpoolctl import threadpool_limits

In = TypeVar("In")
Out = TypeVar("Out")
_allowed: ContextVar[int | None] = ContextVar("threads", default=None)


def cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def allowed() -> int:
    """How many threads work that is done now may use."""
    return _allowed.get() or cores()


@contextmanager
def threads(count: int) -> Iterator[None]:
    """What happens inside uses so many threads: ours, and those of the libraries that we call."""
    token = _allowed.set(count)
    try:
        if count >= cores():
            yield
        else:
            with threadpool_limits(count):
                yield
    finally:
        _allowed.reset(token)


def map_ordered(work: Callable[[In], Out], items: Iterable[In]) -> Iterator[Out]:
    """work(item) for each item, on threads, yielded in order; at most one item per thread waits, so memory is bounded.

    BLAS is held to one thread meanwhile: many small products on many threads would fight over the cores. For the same
    reason, and as their threads know nothing of the bound out here, what `work` itself maps has one thread.
    """
    count = allowed()
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(count, initializer=_allowed.set, initargs=(1,)) as pool:
        waiting: deque[Future[Out]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
