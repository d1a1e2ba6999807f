"""The engine of a Ray cluster: one task a part, merged by tasks, so that the driver holds references only.

Parts are read where the task runs, from the same paths: a file system that all nodes see. The tree of merges is laid
down in the order of the parts as they are submitted; Ray works it off in whatever order results come, and computes
again what a lost worker or node took with it.
"""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tsds.engines.base import Advance, Item, Merge, Part, Span, Tree, Work
from tsds.errors import InputError, MissingExtra, RunError

try:
    import ray
except ImportError:
    raise MissingExtra("engine ray", "ray") from None

#: Parts submitted and not yet done, for each worker: enough that none waits, few enough that results don't pile up.
_AHEAD = 2
#: A part is tried again so often when the process or node it runs on is lost.
_RETRIES = 20
#: Seconds within which a cluster must answer.
_PATIENCE = 10


class RayEngine:
    """A Ray cluster: the one at an address, the one this process is connected to, or one started here.

    Args:
      address: of a cluster (`auto`, HOST:PORT, ray://HOST:PORT); None takes what is there or starts one.
      workers: tasks at once, each on one core; the cluster's cores if None.
      memory: bytes that each of them may use; Ray starts no more on a node than its memory holds.
      gpus: whether each task takes a GPU.

    Raises:
      InputError: if there is no cluster at the address.
    """

    here = False

    def __init__(
        self, address: str | None = None, workers: int | None = None, memory: int | None = None, *, gpus: bool = False
    ) -> None:
        self._ours = not ray.is_initialized()
        if self._ours:
            with _own_sigterm():
                _connect(address, workers)
        self.memory = memory
        self.name = f"ray:{address}" if address else "ray"
        there = ray.cluster_resources()  # type: ignore[no-untyped-call]
        if gpus and not there.get("GPU"):
            self.close()
            raise InputError("the Ray cluster has no GPU", remedy="--device cpu")
        self.workers = workers or max(1, int(there.get("GPU" if gpus else "CPU", 1)))
        self._gpus = 1 if gpus else 0

    def fold(
        self, name: str, work: Work[Part], merge: Merge[Part], context: Any, spans: Sequence[Span], advance: Advance
    ) -> Part:
        """See Engine."""
        shared = ray.put(context)
        tree = Tree(lambda a, b: _merged.options(name=f"{name}, merge").remote(merge, a, b))
        task: Any = _part.options(name=name, memory=self.memory, num_gpus=self._gpus)  # gives two references
        rows: dict[Any, int] = {}
        with _as_here(name):
            for span in spans:
                while len(rows) >= _AHEAD * self.workers:
                    _finish_one(rows, advance)
                done, part = task.remote(work, shared, span)
                rows[done] = span[1] - span[0]
                tree.add(part)
            while rows:
                _finish_one(rows, advance)
            root: Part = ray.get(tree.root())
        return root

    def each(self, name: str, work: Callable[[Any, Item], Part], context: Any, items: Iterable[Item]) -> Iterator[Part]:
        """See Engine."""
        shared = ray.put(context)
        task = _worked.options(name=name, memory=self.memory, num_gpus=self._gpus)
        waiting: deque[Any] = deque()
        with _as_here(name):
            for item in items:
                waiting.append(task.remote(work, shared, item))
                if len(waiting) >= _AHEAD * self.workers:
                    yield ray.get(waiting.popleft())
            while waiting:
                yield ray.get(waiting.popleft())

    def close(self) -> None:
        """Leave the cluster, and stop it if it was started here."""
        if self._ours:
            ray.shutdown()


def _connect(address: str | None, workers: int | None) -> None:
    """Join a cluster, or start one of so many cores."""
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address is not None:
        _check_answers(address)
    try:
        if address is None:
            try:
                ray.init(num_cpus=workers, include_dashboard=False, **quiet)
                return
            except ValueError:  # there is one, and it has the cores that it has
                pass
        ray.init(address=address, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        where = f"answers at {address}" if address else "can be joined or started here"
        raise InputError(f"no Ray cluster {where}: {error}", remedy="ray start --head starts one") from error


def _check_answers(address: str) -> None:
    """Raise InputError unless something listens there: Ray itself waits for minutes, and then ends the process."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:
        return  # "auto", or a name that Ray looks up
    try:
        socket.create_connection((host, int(port)), timeout=_PATIENCE).close()
    except (OSError, ValueError) as error:
        remedy = "ray start --head starts one"
        raise InputError(f"no Ray cluster answers at {address}: {error}", remedy=remedy) from error


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """What the program does at SIGTERM holds afterwards too: Ray would abort the process, with nothing tidied up."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if callable(before) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _as_here(name: str) -> Iterator[None]:
    """What a task raises is raised as if the work were done in this process."""
    try:
        yield
    except ray.exceptions.RayError as error:
        cause = error.cause if isinstance(error, ray.exceptions.RayTaskError) else error
        if not isinstance(cause, ray.exceptions.RayError):
            raise cause from None
        raise RunError(f"{name}: Ray gave up: {cause}") from error


def _finish_one(rows: dict[Any, int], advance: Advance) -> None:
    """Wait until one part is done; if it failed, the first in order that did says so, as on one machine."""
    done, _ = ray.wait(list(rows), num_returns=1, fetch_local=False)
    for ref in done:
        try:
            ray.get(ref)
        except ray.exceptions.RayError:
            for earlier in rows:
                ray.get(earlier)
            raise
        advance(rows.pop(ref))


@ray.remote(max_retries=_RETRIES)
def _worked(work: Any, context: Any, item: Any) -> Any:
    return _in_one_thread(work, context, item)


@ray.remote(max_retries=_RETRIES, num_returns=2)
def _part(work: Any, context: Any, span: Span) -> Any:
    """Nothing, in which an error would be told, and the result, which need not be fetched to know that there is one."""
    return None, _in_one_thread(work, context, span)


def _in_one_thread(work: Any, context: Any, item: Any) -> Any:
    from tsds.parallel import threads

    with threads(1):
        return work(context, item)


@ray.remote(max_retries=_RETRIES)
def _merged(merge: Any, a: Any, b: Any) -> Any:
    return merge(a, b)
