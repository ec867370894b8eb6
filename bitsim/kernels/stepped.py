"""The per-cycle model: plain and slow, the reference the event recurrence is held to.

Each cycle the sequencer moves first, then the port; what the port does in a cycle is seen by the
sequencer in the next one. `stalls` lets the memory refuse beats, which the recurrence cannot say.
"""

from __future__ import annotations

import numpy as np

from bitsim.kernels.compile import allocating, compiled
from bitsim.kernels.program import (
    C_FILL_DRAIN,
    C_HAZARD,
    C_ISSUE,
    C_SETUP,
    C_SWITCH,
    C_WAIT_LOAD,
    C_WAIT_STORE,
    DRAIN,
    FENCE,
    FLAGS,
    INPUT_BEATS,
    ISSUE,
    LOAD,
    LOAD_INPUT,
    LOAD_WEIGHT,
    NEW_OUTPUT,
    PSUM_BEATS,
    STORE,
    STORE_BEATS,
    SWITCH,
    WEIGHT_BEATS,
)

NOBODY = -1
NEVER = np.iinfo(np.int64).max
NO_STALLS = np.zeros(0, np.uint8)
NO_LOG = np.zeros((0, 5), np.int64)


@compiled
def stores_between(tiles, first, last, job, job_loads, jobs):
    """Append the stores of the tiles [first, last) to the `jobs` jobs of the port; how many there are then."""
    for j in range(first, last):
        if tiles[j, FLAGS] & STORE:
            job[jobs], job_loads[jobs] = j, False
            jobs += 1
    return jobs


@compiled
def port_jobs(tiles, job, job_loads):
    """The port's work in program order: `job` the tile of each transfer, `job_loads` whether it loads.  How many."""
    jobs, stores_before = 0, 0  # tiles whose stores stand among the jobs
    for j in range(len(tiles)):
        flags, brings_psums = tiles[j, FLAGS], tiles[j, PSUM_BEATS]
        # Before the load: all stores at a fence, that of j-2 if partial sums come back; after it: that of j-2.
        upto = j if flags & FENCE else max(stores_before, j - 1) if brings_psums else stores_before
        jobs = stores_between(tiles, stores_before, upto, job, job_loads, jobs)
        if flags & LOAD or brings_psums:
            job[jobs], job_loads[jobs] = j, True
            jobs += 1
        stores_before = max(upto, j - 1)
        jobs = stores_between(tiles, upto, stores_before, job, job_loads, jobs)
    return stores_between(tiles, stores_before, len(tiles), job, job_loads, jobs)


@compiled
def users_before(tiles, input_user, weight_user, output_user, last_load):
    """Who must be finished before whom, by tile, so that the cycle loop only compares times; NOBODY below 0.

    input_user, weight_user: last tile using the half that the tile's load overwrites; output_user: last tile of the
    visit that held the tile's output half before; last_load: tile of the load the tile needs last.
    """
    first_of_input, first_of_weight, first_of_output, load = NOBODY, NOBODY, NOBODY, NOBODY  # held now
    for j in range(len(tiles)):
        flags = tiles[j, FLAGS]
        if flags & LOAD_INPUT:
            input_user[j] = first_of_input - 1
            first_of_input = j
        if flags & LOAD_WEIGHT:
            weight_user[j] = first_of_weight - 1
            first_of_weight = j
        if flags & NEW_OUTPUT:
            # At a fence the last visit of all must have been stored, without one the last but one.
            output_user[j] = j - 1 if flags & FENCE else first_of_output - 1
            first_of_output = j
        if flags & LOAD or tiles[j, PSUM_BEATS]:
            load = j
        last_load[j] = load


@allocating
def stepped_programs(tiles, ends, timing, stalls, log):
    """Cycles by class of tile programs that follow each other, one cycle at a time.

    tiles, timing: as event_cycles; ends: (P,) int64, the first tile after each program, ascending.
    stalls: (S,) uint8, beat refused in cycle t where ``stalls[t % S]`` is 1 (not all of them); empty: none.
    log: (L, 5) int64, filled for the first L cycles with their class, and the state at their start: the tile
    the sequencer is at, whether a transfer is running, transfers finished, tiles whose results are visible.
    Returns (P, 7) int64 in the order of CLASSES; a cycle after the last tile belongs to the last program.
    """
    latency, turnaround, setup, reconfigure = timing[0], timing[1], timing[2], timing[3]
    out = np.zeros((len(ends), 7), np.int64)
    program = 0
    count = len(tiles)
    # At most a load and a store a tile: a tile has more columns than that.
    job, job_loads = np.zeros(tiles.size, np.int64), np.zeros(tiles.size, np.bool_)
    jobs = port_jobs(tiles, job, job_loads)
    input_user, weight_user, output_user = np.full(count, NOBODY), np.full(count, NOBODY), np.full(count, NOBODY)
    last_load = np.full(count, NOBODY)
    users_before(tiles, input_user, weight_user, output_user, last_load)
    arrived, visible, stored = np.full(count, NEVER), np.full(count, NEVER), np.full(count, NEVER)

    left = beats_left = 0  # cycles of the phase, and beats of the transfer: set where one begins
    tile, phase = 0, 0  # sequencer: tile, 0 waiting / 1 set-up / 2 issuing
    before = 0  # results of all tiles before are visible
    head, idle, reading, busy = 0, 0, True, False  # port: job, cycles since the last, direction, whether it runs
    results = 0  # tiles whose results are visible
    t = 0
    while True:
        # --- sequencer
        kind, at_tile = NOBODY, tile
        while tile < count and kind < 0:
            at_tile = tile
            if phase == 0:
                flags = tiles[tile, FLAGS]
                if last_load[tile] >= 0 and arrived[last_load[tile]] > t:
                    kind = C_WAIT_LOAD
                elif flags & NEW_OUTPUT and output_user[tile] >= 0 and stored[output_user[tile]] > t:
                    kind = C_WAIT_STORE
                elif not flags & NEW_OUTPUT and before > t:
                    kind = C_HAZARD
                elif flags & SWITCH and before + reconfigure > t:
                    kind = C_SWITCH
                else:
                    phase, left = 1, setup
            elif phase == 1:
                if left:
                    kind = C_SETUP
                    left -= 1
                else:
                    phase, left = 2, tiles[tile, ISSUE]
            if phase == 2:
                end = t
                if left:
                    kind = C_ISSUE
                    left -= 1
                    end = t + 1
                if not left:
                    before = max(before, end - 1 + tiles[tile, DRAIN])
                    visible[tile] = before
                    tile += 1
                    phase = 0
        if kind < 0:
            at_tile = tile
            if before > t:
                kind = C_FILL_DRAIN
            elif head < jobs:
                kind = C_WAIT_STORE
            else:
                return out
        while program < len(ends) - 1 and at_tile >= ends[program]:
            program += 1
        out[program, kind] += 1
        if t < len(log):
            while results < count and visible[results] <= t:
                results += 1
            log[t, 0], log[t, 1], log[t, 2], log[t, 3], log[t, 4] = kind, at_tile, busy, head, results
        # --- port
        if busy:
            if not (stalls.size and stalls[t % stalls.size]):
                beats_left -= 1
        elif head < jobs:
            j, loads = job[head], job_loads[head]
            ready = reading == loads or idle >= turnaround
            if loads:
                flags = tiles[j, FLAGS]
                if flags & LOAD_INPUT and input_user[j] >= 0:
                    ready = ready and visible[input_user[j]] <= t
                if flags & LOAD_WEIGHT and weight_user[j] >= 0:
                    ready = ready and visible[weight_user[j]] <= t
                if tiles[j, PSUM_BEATS] and output_user[j] >= 0:
                    ready = ready and stored[output_user[j]] <= t
                beats = tiles[j, INPUT_BEATS] + tiles[j, WEIGHT_BEATS] + tiles[j, PSUM_BEATS]
            else:
                ready = ready and visible[j] <= t
                beats = tiles[j, STORE_BEATS]
            if ready:
                busy, reading, beats_left = True, loads, beats
            else:
                idle += 1
        if busy and not beats_left:  # the last beat (or a grant without data) went in this cycle
            if job_loads[head]:
                arrived[job[head]] = t + 1 + latency
            else:
                stored[job[head]] = t + 1
            head += 1
            busy, idle = False, 0
        t += 1


@allocating
def stepped_cycles(tiles, timing, stalls, log):
    """(7,) int64 cycles by class of one program; arguments as stepped_programs."""
    return stepped_programs(tiles, np.array([len(tiles)]), timing, stalls, log).ravel()
