"""The timeline of `bitsim report --timeline`."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from bitsim.errors import InputError

DEFAULT_TILES, MOST_TILES = 1_000, 20_000


@dataclass(frozen=True)
class TimelineChoice:
    """What of a result folder to draw: a row (layer, pass, number), or an iteration of a trace."""

    hw: str | None
    layer: str | None
    pass_: str | None
    row: int
    iteration: int | None
    trace: str | None
    tiles: str | None


def write_timeline(result_dir: Path, file: Path, choice: TimelineChoice) -> str:
    """Write the timeline to `file`; returns one line that says what it shows.  Raises InputError."""
    from bitsim.report.replay import Folder
    from bitsim.report.trace_events import trace_events
    from bitsim.report.whole_file import write_text

    if file.is_dir():
        raise InputError(f"--timeline {file}: is a folder, allowed: a file")
    first, last = _tiles(choice.tiles)
    by_row = choice.layer is not None and choice.pass_ is not None
    if by_row == (choice.iteration is not None) or (choice.layer is None) != (choice.pass_ is None):
        raise InputError("--timeline: of what? allowed: --layer with --pass, or --iteration")
    folder = Folder(result_dir, choice.hw)
    if choice.layer is not None and choice.pass_ is not None:
        replay = folder.row(choice.layer, choice.pass_, choice.row)
    else:
        assert choice.iteration is not None
        replay = folder.iteration(choice.iteration, choice.trace)
    drawn = replay.draw(first, last)
    write_text(file, trace_events(drawn, replay.about))
    shown = drawn.tiles[1] - drawn.tiles[0]
    if shown < drawn.total_tiles:
        print(
            f"note: tiles {drawn.tiles[0]}:{drawn.tiles[1]} of {drawn.total_tiles} are drawn, "
            f"others by --tiles A:B, up to {MOST_TILES} at once",
            file=sys.stderr,
        )
    return f"timeline: {file} ({shown} tiles, {drawn.cycles} cycles in all, 1 us in the file is 1 cycle)"


def _tiles(text: str | None) -> tuple[int, int]:
    if text is None:
        return 0, DEFAULT_TILES
    match = re.fullmatch(r"(\d{1,18}):(\d{1,18})", text)
    if not match or not int(match[1]) < int(match[2]):
        raise InputError(f"--tiles {text}: is not A:B with A below B, e.g. 0:{DEFAULT_TILES}")
    first, last = int(match[1]), int(match[2])
    if last - first > MOST_TILES:
        raise InputError(f"--tiles {text}: {last - first} tiles, allowed: up to {MOST_TILES} at once")
    return first, last
