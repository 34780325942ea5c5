"""How the kernels of this step are compiled, and shared between threads."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, TypeVar

import numba
import numpy as np
from threadpoolctl import ThreadpoolController

from scprism._compiled import compiled

__all__ = ["available_cores", "compiled", "in_threads", "one_thread_products", "spread", "worker_pool"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_PARTS = 16  # more parts than threads, so that a slow core does not hold up the others


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


_limiting = threading.Lock()


@contextmanager
def one_thread_products() -> Iterator[None]:
    """Keep each matrix product in this block on one thread: the tasks around the products run in parallel.

    The number of threads is the whole process's. Where blocks of several threads overlap, the first one sets it and
    puts it back; were each to put back what it found, the last would leave the limit of another for good.
    """
    if not _limiting.acquire(blocking=False):
        yield
        return
    try:
        with ThreadpoolController().limit(limits=1, user_api="blas"):
            yield
    finally:
        _limiting.release()


@contextmanager
def worker_pool(threads: int | None) -> Iterator[Executor | None]:
    """Yield a pool of `threads` threads (None: one a core), or no pool where one thread is enough."""
    n_threads = available_cores() if threads is None else threads
    if n_threads == 1:
        yield None
        return
    with ThreadPoolExecutor(n_threads) as pool:
        yield pool


def in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield ``function(item)`` for each item, in order, several at once.

    While one thread makes the next item, others work; at most a few items are held. There are as many threads as
    kernels may use.
    """
    n_threads = int(numba.config.NUMBA_NUM_THREADS)
    if n_threads == 1:
        yield from map(function, items)
        return
    with one_thread_products(), ThreadPoolExecutor(n_threads) as pool:
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * n_threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def spread(kernel: Callable[..., object], arguments: tuple[Any, ...], *, n_tasks: int, pool: Executor | None) -> None:
    """Call ``kernel(*arguments, start, stop)`` on parts of ``range(n_tasks)``; without a pool, in this thread.

    No two tasks write to the same place, so the result does not depend on the number of threads.
    """
    if pool is None or n_tasks < 2:
        kernel(*arguments, 0, n_tasks)
        return
    edges = np.linspace(0, n_tasks, min(_PARTS, n_tasks) + 1).astype(int)
    futures = [pool.submit(kernel, *arguments, int(a), int(b)) for a, b in pairwise(edges)]
    for future in futures:
        future.result()
