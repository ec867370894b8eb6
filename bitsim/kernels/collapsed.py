"""The recurrence over a loop nest, whole periods jumped.

Within one run of a loop every iteration executes the same tiles.  When the state relative to the
end of issue is one it has had before in the same run, everything from there on repeats: the period
is jumped as often as it fits, times and classes advancing by what one period adds.  This happens at
every level of the nest by itself.  Where nothing repeats, it steps.  Integers only, so exact.
"""

from __future__ import annotations

import numpy as np

from bitsim.kernels.compile import compiled
from bitsim.kernels.recurrence import (
    DONE_BEFORE,
    END,
    FREE,
    INPUT_RELEASE,
    LOADED,
    STATE,
    STORED,
    TIMES,
    WEIGHT_RELEASE,
    advance,
    finish,
    start,
)


@compiled
def relative(state, into):
    """The state relative to the end of issue; times too old to matter are brought up to where they start to."""
    for i in range(STATE):
        into[i] = state[i]
    # Only ever compared with the end of issue, or with the port's next grant, and both only grow.
    into[LOADED] = max(into[LOADED], into[END])
    into[STORED] = max(into[STORED], into[END])
    into[DONE_BEFORE] = max(into[DONE_BEFORE], into[FREE])
    into[INPUT_RELEASE] = max(into[INPUT_RELEASE], into[FREE])
    into[WEIGHT_RELEASE] = max(into[WEIGHT_RELEASE], into[FREE])
    end = into[END]
    for i in range(TIMES):
        into[i] -= end


@compiled
def alike(one, other):
    """Whether two relative states are the same."""
    same = True
    for i in range(STATE):
        same = same and one[i] == other[i]
    return same


@compiled
def advance_nest(state, rows, runs, timing, out):
    """Run a whole nest from `state`, (STATE,) int64, which is changed; `out`, (7,) classes, is added to."""
    depth = runs.shape[0]
    # Row of the table each run of a level starts at: mixed radix, innermost last.
    weight = np.ones(depth, np.int64)
    kinds = np.zeros(depth, np.int64)
    for level in range(depth):
        for iterations in runs[level]:
            if iterations:
                kinds[level] += 1
    for level in range(depth - 2, -1, -1):
        weight[level] = weight[level + 1] * kinds[level + 1]
    run = np.zeros(depth, np.int64)
    at = np.zeros(depth, np.int64)
    # Brent's search for a cycle: one remembered state a level, moved forward at doubling distances.
    seen = np.zeros((depth, STATE), np.int64)
    seen_out = np.zeros((depth, 7), np.int64)
    seen_end = np.zeros(depth, np.int64)
    seen_at = np.zeros(depth, np.int64)
    reach = np.zeros(depth, np.int64)
    now = np.zeros(STATE, np.int64)
    row = 0
    while True:
        advance(state, rows[row], timing, out)
        for level in range(depth - 1, -1, -1):
            at[level] += 1
            if at[level] < runs[level, run[level]]:
                break
            at[level] = 0
            reach[level] = 0  # what was remembered is of a run that is over
            run[level] += 1
            row += weight[level]
            if run[level] < kinds[level]:
                break
            row -= weight[level] * kinds[level]
            run[level] = 0
        else:
            break
        left = runs[level, run[level]] - at[level] - 1  # iterations after the one that begins here
        if not left:
            continue
        relative(state, now)
        if reach[level] and alike(now, seen[level]):
            # What is left of the run after the jump is shorter than a period: nothing is found in it again.
            period = at[level] - seen_at[level]
            times = left // period
            at[level] += times * period
            passed = times * (state[END] - seen_end[level])
            for i in range(TIMES):
                state[i] += passed
            for i in range(len(out)):
                out[i] += times * (out[i] - seen_out[level, i])
        elif not reach[level] or at[level] - seen_at[level] == reach[level]:
            reach[level] = max(1, 2 * reach[level])
            seen[level] = now
            seen_out[level] = out
            seen_end[level] = state[END]
            seen_at[level] = at[level]


@compiled
def collapsed_cycles(rows, runs, timing):
    """Cycles by class of a nest.

    rows, runs: of kernels.program.Nest; timing: (4,) int64 of PortTiming.
    Returns (7,) int64 in the order of CLASSES, equal to event_cycles of the flat program.
    """
    out = np.zeros(7, np.int64)
    state = np.zeros(STATE, np.int64)
    start(state)
    advance_nest(state, rows, runs, timing, out)
    finish(state, timing, out)
    return out
