"""Progress of reading a large trace: share, rows a second and time left, on stderr and only on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

# A table read sooner needs no bar.
PATIENCE_S = 1.0


class TableProgress:
    """Called with (rows read, share of the file); a share of 1 ends the bar, fewer rows than before begin another."""

    def __init__(self, console: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._began: float | None = None
        self._bar: Any = None

    def __call__(self, rows: int, share: float) -> None:
        """Show how far the table is read."""
        now = self._clock()
        if share >= 1:
            self._end()
            return
        if self._began is None:
            self._began = now
        elapsed_s = now - self._began
        if elapsed_s >= PATIENCE_S:
            bar = self._bar or self._begin()
            left_s = elapsed_s / share * (1 - share) if share else 0.0
            rate = f"{rows / elapsed_s / 1e6:.1f} million rows/s, {left_s:.0f} s left"
            bar.update(bar.task_ids[0], completed=share, rate=rate)

    def _begin(self) -> Any:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        columns = (TextColumn("reading trace"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[rate]}"))
        self._bar = Progress(*columns, console=self._console, transient=True)
        self._bar.add_task("", total=1.0, rate="")
        self._bar.start()
        return self._bar

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._began = self._bar = None


def table_progress() -> TableProgress | None:
    """Progress on stderr, None where that is no terminal."""
    if not sys.stderr.isatty():
        return None
    from rich.console import Console

    return TableProgress(Console(stderr=True))
