"""The three engines behind one call: nests run one after the other on one machine, cycles by class of each.

The state of port and buffers is carried from a nest to the next.  A nest is charged the cycles from
the end of issue of the one before to the end of its own; the last one also what follows until the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from bitsim.kernels.collapsed import LEVEL, advance_nest
from bitsim.kernels.event import advance_tiles
from bitsim.kernels.lowering import collapsed_all
from bitsim.kernels.program import Nest, Programs
from bitsim.kernels.recurrence import STATE, finish, start
from bitsim.kernels.stepped import NO_LOG, NO_STALLS, stepped_programs

# (nests, PortTiming.array()) -> (nests, 7) int64 in the order of CLASSES.
Engine = Callable[[Sequence[Nest], np.ndarray], np.ndarray]


def collapsed(nests: Sequence[Nest], timing: np.ndarray) -> np.ndarray:
    """Whole periods of each nest jumped."""
    return _one_after_the_other(
        nests,
        timing,
        lambda state, nest, classes: advance_nest(
            state, nest.rows, nest.runs, timing, classes, _levels(len(nest.runs))
        ),
    )


def _levels(depth: int) -> np.ndarray:
    """What `advance_nest` works in on nests of up to `depth` loops."""
    return np.empty((depth + 1, LEVEL), np.int64)


def event(nests: Sequence[Nest], timing: np.ndarray) -> np.ndarray:
    """The recurrence, tile by tile."""
    return _one_after_the_other(
        nests, timing, lambda state, nest, classes: advance_tiles(state, nest.tiles, timing, classes)
    )


def _one_after_the_other(
    nests: Sequence[Nest], timing: np.ndarray, run: Callable[[np.ndarray, Nest, np.ndarray], None]
) -> np.ndarray:
    """run(state, nest, classes) each nest from the state the one before left; classes are added to."""
    state, out = np.zeros(STATE, np.int64), np.zeros((len(nests), 7), np.int64)
    start(state)
    for nest, classes in zip(nests, out, strict=True):
        run(state, nest, classes)
    finish(state, timing, out[-1])
    return out


def stepped(nests: Sequence[Nest], timing: np.ndarray) -> np.ndarray:
    """The per-cycle model."""
    programs = [nest.tiles for nest in nests]
    ends = np.cumsum([len(program) for program in programs])
    return stepped_programs(np.concatenate(programs), ends, timing, NO_STALLS, NO_LOG)


# Equal engines, the fast one first.
ENGINES: dict[str, Engine] = {"collapsed": collapsed, "event": event, "stepped": stepped}


def each_alone(engine: str, programs: Programs, timing: np.ndarray) -> np.ndarray:
    """(nests, 7) int64: cycles by class of each of `programs` alone on the machine, by the engine of that name."""
    return EACH_ALONE[engine](programs, timing)


def _collapsed_each(programs: Programs, timing: np.ndarray) -> np.ndarray:
    classes = np.zeros((len(programs), 7), np.int64)
    state, levels = np.empty(STATE, np.int64), _levels(programs.runs.shape[1])
    collapsed_all(programs.rows, programs.row_starts, programs.runs, programs.depths, timing, classes, state, levels)
    return classes


def _one_by_one(run: Engine, programs: Programs, timing: np.ndarray) -> np.ndarray:
    return np.concatenate([run([programs.nest(c)], timing) for c in range(len(programs))])


EACH_ALONE: dict[str, Callable[[Programs, np.ndarray], np.ndarray]] = {
    "collapsed": _collapsed_each,
    "event": partial(_one_by_one, event),
    "stepped": partial(_one_by_one, stepped),
}
