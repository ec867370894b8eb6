"""Where tasks run: in this process, in others of this computer (joblib's loky), on a Dask cluster.

Every engine gives each task's outcomes once, as it finishes, in whatever order; no engine changes what they are.

A process that is killed loses what it was at, not what it had finished:
    - loky then gives up all its processes.  Tasks without outcomes run again in new ones; the second time in a row
      those that may have been running are run point by point, each alone, so that the point that kills its process
      (for want of memory, say) is found and reported, and the rest goes on.
    - Dask runs a lost task on another worker, and gives up after as many dead workers as its scheduler allows
      (distributed.scheduler.allowed-failures, 3); the points of such a task are then tried one by one.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Protocol

from bitsim.errors import InputError
from bitsim.exploration.task import Outcome, Task, run, split

BACKENDS = ("local", "dask")
CONNECT_S = 10
DASK_LOGGERS = ("distributed", "distributed.client")
WATCH_S = 1.0
_KILLED = "its worker process was killed (out of memory?)"


class EngineLostError(RuntimeError):
    """The engine is gone before all tasks ran; what finished is stored."""


class Engine(Protocol):
    """Runs tasks."""

    def outcomes(self, tasks: Sequence[Task]) -> Iterator[list[Outcome]]:
        """Outcomes of each task as it finishes.  Raises EngineLostError if the engine is lost."""

    def close(self) -> None:
        """Let go of processes and connections."""


def make_engine(backend: str, jobs: int, scheduler: str | None) -> Engine:
    """The engine of `backend`.  Raises InputError for what is not allowed, not installed or not reached."""
    faults = []
    if backend not in BACKENDS:
        faults.append(f"--backend: {backend!r} is unknown, allowed: {', '.join(BACKENDS)}")
    if jobs < 1:
        faults.append(f"--jobs: {jobs}, allowed: 1 or more")
    if backend == "dask" and not scheduler:
        faults.append("--backend dask: needs --scheduler ADDRESS, e.g. tcp://127.0.0.1:8786")
    if backend == "local" and scheduler:
        faults.append("--scheduler: is of --backend dask")
    if faults:
        raise InputError(faults)
    if backend == "dask":
        return DaskEngine(str(scheduler))
    return SerialEngine() if jobs == 1 else LocalEngine(jobs)


class SerialEngine:
    """One task after the other, in this process."""

    def outcomes(self, tasks: Sequence[Task]) -> Iterator[list[Outcome]]:
        """See Engine."""
        return map(run, tasks)

    def close(self) -> None:
        """Nothing is held."""


class LocalEngine:
    """`jobs` processes of this computer."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def outcomes(self, tasks: Sequence[Task]) -> Iterator[list[Outcome]]:
        """See Engine."""
        waiting = dict(enumerate(tasks))
        crashes = 0
        while waiting:
            try:
                for number, found in self._parallel(list(waiting.items())):
                    crashes = 0
                    del waiting[number]
                    yield found
            except _process_died():
                crashes += 1
                if crashes > 1:
                    # joblib hands out tasks in order, at most twice as many as there are processes beforehand.
                    for number in list(waiting)[: 3 * self.jobs]:
                        yield from map(self._alone, split(waiting.pop(number)))

    def _alone(self, task: Task) -> list[Outcome]:
        """A task of one point, in a process that runs nothing else."""
        try:
            ((_, found),) = self._parallel([(0, task)])
        except _process_died():
            return [Outcome(point, None, (_KILLED,)) for point in task.points]
        return found

    def _parallel(self, numbered: list[tuple[int, Task]]) -> Iterator[tuple[int, list[Outcome]]]:
        import joblib

        pool = joblib.Parallel(n_jobs=self.jobs, backend="loky", batch_size=1, return_as="generator_unordered")
        yield from pool(joblib.delayed(_numbered)(number, task, os.getpid()) for number, task in numbered)

    def close(self) -> None:
        """End the processes, which joblib would keep for a next call."""
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor().shutdown(wait=True)


class DaskEngine:
    """An existing Dask cluster.  Its workers need the same bitsim and, for a part of a trace, the trace's files."""

    def __init__(self, scheduler: str) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise InputError("--backend dask: Dask is not installed: pip install 'bitsim-accel[cluster]'") from None
        # A scheduler that is lost is told in one line by whoever runs the sweep, not by Dask in twenty.
        # Its other loggers take their level from the first of these.
        self._levels = {logging.getLogger(name): logging.getLogger(name).level for name in DASK_LOGGERS}
        for logger in self._levels:
            logger.setLevel(logging.CRITICAL)
        try:
            self._client = Client(scheduler, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            self._restore_loggers()
            raise InputError(f"--scheduler {scheduler}: cannot be reached: {reason}") from None

    def outcomes(self, tasks: Sequence[Task]) -> Iterator[list[Outcome]]:
        """See Engine."""
        from distributed import as_completed

        of_future = {self._submit(task): task for task in tasks}
        done = as_completed(list(of_future), loop=self._client.loop)
        for future in done:
            task = of_future.pop(future)
            found, retries = self._received(future, task)
            future.release()
            if found is not None:
                yield found
            for retry in retries:
                again = self._submit(retry)
                of_future[again] = retry
                done.add(again)

    def _submit(self, task: Task) -> Any:
        return self._client.submit(run, task, pure=False)

    def _received(self, future: Any, task: Task) -> tuple[list[Outcome] | None, list[Task]]:
        """(outcomes, none) of a task that ran; of one that cost too many workers (none, its points as tasks).

        Where a worker dies with what it found, this waits until another has found it again.
        """
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        try:
            return future.result(), []
        except FutureCancelledError as error:
            raise EngineLostError("the Dask scheduler is gone, or has cancelled the sweep") from error
        except KilledWorker:
            if len(task.points) > 1:
                return None, split(task)
            reason = "Dask gave up: every worker that ran it died (out of memory?)"
        except Exception as error:  # of the worker's installation, as `run` catches those of points
            reason = f"the worker failed: {type(error).__name__}: {error}"
        return [Outcome(point, None, (reason,)) for point in task.points], []

    def close(self) -> None:
        """Leave the cluster, which goes on."""
        self._client.close()
        self._restore_loggers()

    def _restore_loggers(self) -> None:
        for logger, level in self._levels.items():
            logger.setLevel(level)


def _numbered(number: int, task: Task, parent: int) -> tuple[int, list[Outcome]]:
    _end_with(parent)
    return number, run(task)


@lru_cache(maxsize=1)
def _end_with(parent: int) -> None:
    """End this process when its parent is gone: one killed with -9 tells nobody, and loky's processes would wait on."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _process_died() -> type[Exception]:
    from joblib.externals.loky.process_executor import BrokenProcessPool

    return BrokenProcessPool  # TerminatedWorkerError is one
