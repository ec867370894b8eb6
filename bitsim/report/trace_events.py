"""A timeline as Chrome trace events (JSON), which Perfetto and chrome://tracing open.

Source: "Trace Event Format", the JSON format of chrome://tracing: complete events ("X"), counters ("C") and
metadata ("M").
Assumption: a cycle is written as a microsecond, the unit of `ts` and `dur`, so that every time in the file is
a whole number of cycles; the clock stands in `otherData`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bitsim import __version__
from bitsim.explain.timeline import Timeline
from bitsim.explain.tracks import ARRAY, LOADS, RESULTS, ROWS, STORES

PROCESS = 1
FIRST_TRACKS = (ROWS, LOADS, STORES, ARRAY, RESULTS)


def trace_events(timeline: Timeline, about: Mapping[str, Any]) -> str:
    """The JSON text, one event a line, by time; about: what else `otherData` says."""
    names = {one.track for one in timeline.slices}
    tracks = [name for name in FIRST_TRACKS if name in names] + sorted(names - set(FIRST_TRACKS))
    numbers = {name: number for number, name in enumerate(tracks, 1)}
    events = [_metadata("process_name", 0, name=str(about["hardware"]))]
    for name, number in numbers.items():
        events.append(_metadata("thread_name", number, name=name))
        events.append(_metadata("thread_sort_index", number, sort_index=number))
    timed: list[tuple[int, dict[str, Any]]] = [
        (
            one.start,
            {
                "ph": "X",
                "name": one.name,
                "cat": one.track,
                "pid": PROCESS,
                "tid": numbers[one.track],
                "ts": one.start,
                "dur": one.end - one.start,
                "args": one.args,
            },
        )
        for one in timeline.slices
    ]
    timed += [
        (
            point.at,
            {"ph": "C", "name": point.counter, "pid": PROCESS, "tid": 0, "ts": point.at, "args": {"bits": point.value}},
        )
        for point in timeline.points
    ]
    events += [event for _, event in sorted(timed, key=lambda pair: pair[0])]
    first, last = timeline.tiles
    other = {
        "bitsim": __version__,
        **about,
        "ts_unit": "1 us in this file is 1 cycle",
        "tiles": f"{first}:{last} of {timeline.total_tiles}",
        "cycles": timeline.cycles,
        **{f"{name}_cycles": count for name, count in timeline.classes.items()},
    }
    listed = ",\n".join(json.dumps(event) for event in events)
    return f'{{"displayTimeUnit": "ms",\n"otherData": {json.dumps(other)},\n"traceEvents": [\n{listed}\n]}}\n'


def _metadata(kind: str, thread: int, **args: str | int) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": PROCESS, "tid": thread, "args": args}
