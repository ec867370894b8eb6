"""Progress of a sweep: points done, points a second, time left and the best so far, on stderr, only on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from bitsim.cli.progress import PATIENCE_S


class SweepProgress:
    """Called with (points done, points in all, records by index).  The rate is that of points simulated here."""

    def __init__(self, console: Any, column: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._column, self._clock = console, column, clock
        self._began: tuple[float, int] | None = None
        self._bar: Any = None
        self._seen = 0
        self._best: Mapping[str, Any] | None = None

    def __call__(self, done: int, total: int, records: Mapping[int, Mapping[str, Any]]) -> None:
        """Show how far the sweep is."""
        if self._began is None:
            self._began = self._clock(), done
        began, known = self._began
        elapsed_s, here = self._clock() - began, done - known
        having = (record for record in records.values() if record[self._column] is not None)
        self._best = min(having, key=lambda record: record[self._column], default=None)
        if elapsed_s >= PATIENCE_S:
            bar = self._bar or self._begin()
            bar.update(bar.task_ids[0], completed=done, total=total, said=self.said(here, total - done, elapsed_s))

    def said(self, here: int, left: int, elapsed_s: float) -> str:
        """Rate, time left and best, in words."""
        rate = here / elapsed_s
        pace = f"{rate:.1f} points/s, {left / rate:.0f} s left" if here else "no point yet"
        if self._best is None:
            return pace
        return f"{pace}, best {self._column} {self._best[self._column]:.4g}"

    def _begin(self) -> Any:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = (TextColumn("points"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[said]}"))
        self._bar = Progress(*columns, console=self._console, transient=True)
        self._bar.add_task("", total=1.0, said="")
        self._bar.start()
        return self._bar

    def end(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


@contextmanager
def sweep_progress(columns: Sequence[str]) -> Iterator[SweepProgress | None]:
    """Progress on stderr with the best of the first column, None where that is no terminal."""
    if not sys.stderr.isatty() or not columns:
        yield None
        return
    from rich.console import Console

    progress = SweepProgress(Console(stderr=True), columns[0])
    try:
        yield progress
    finally:
        progress.end()
