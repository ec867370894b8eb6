"""The per-cycle model: plain and slow, the reference the event recurrence is held to.

Each cycle the sequencer moves first, then the port; what the port does in a cycle is seen by the
sequencer in the next one. `stalls` lets the memory refuse beats, which the recurrence cannot say.
"""

from __future__ import annotations

import numpy as np

from bitsim.kernels.compile import compiled
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
    LOAD_INPUT,
    LOAD_WEIGHT,
    NEW_OUTPUT,
    PSUM_BEATS,
    STORE,
    STORE_BEATS,
    SWITCH,
    WEIGHT_BEATS,
)

NO_STALLS = np.zeros(0, np.uint8)
NO_LOG = np.zeros((0, 5), np.int64)


@compiled
def stepped_programs(tiles, ends, timing, stalls, log):  # type: ignore[no-untyped-def]
    """Cycles by class of tile programs that follow each other, one cycle at a time.

    tiles, timing: as event_cycles; ends: (P,) int64, the first tile after each program, ascending.
    stalls: (S,) uint8, beat refused in cycle t where ``stalls[t % S]`` is 1 (not all of them); empty: none.
    log: (L, 5) int64, filled for the first L cycles with their class, and the state at their start: the tile
    the sequencer is at, whether a transfer is running, transfers finished, tiles whose results are visible.
    Returns (P, 7) int64 in the order of CLASSES; a cycle after the last tile belongs to the last program.
    """
    latency, turnaround, setup, reconfigure = timing[0], timing[1], timing[2], timing[3]
    out = np.zeros((ends.shape[0], 7), np.int64)
    program = 0
    count = tiles.shape[0]
    never = np.int64(1) << 62

    # The port's work in program order: +tile+1 for a load, -(tile+1) for a store.
    order = np.zeros(2 * count + 2, np.int64)
    transfers = 0
    stores_before = 0  # tiles whose stores stand in the order
    for j in range(count + 2):
        brings_psums = j < count and tiles[j, PSUM_BEATS] > 0
        fence = j < count and tiles[j, FLAGS] & FENCE != 0
        for part in range(2):
            # Before the load: all stores at a fence, that of j-2 if partial sums come back; after it: that of j-2.
            upto = min(j, count) if fence and part == 0 else j - 1 if brings_psums or part == 1 else 0
            while stores_before < upto:
                if tiles[stores_before, FLAGS] & STORE != 0:
                    order[transfers] = -(stores_before + 1)
                    transfers += 1
                stores_before += 1
            if part == 0 and j < count and (tiles[j, FLAGS] & (LOAD_INPUT | LOAD_WEIGHT) != 0 or brings_psums):
                order[transfers] = j + 1
                transfers += 1

    # Who must be finished before whom: looked up by tile, so that the cycle loop only compares times.
    input_user = np.full(count, -1, np.int64)  # last tile using the half that tile j's input load overwrites
    weight_user = np.full(count, -1, np.int64)
    output_user = np.full(count, -1, np.int64)  # last tile of the visit that held tile j's output half before
    last_load = np.full(count, -1, np.int64)
    previous = np.full(3, -1, np.int64)  # first tile of the operand held now: input, weight, output
    load = -1
    for j in range(count):
        flags = tiles[j, FLAGS]
        if flags & LOAD_INPUT:
            input_user[j] = previous[0] - 1
            previous[0] = j
        if flags & LOAD_WEIGHT:
            weight_user[j] = previous[1] - 1
            previous[1] = j
        if flags & NEW_OUTPUT:
            # At a fence the last visit of all must have been stored, without one the last but one.
            output_user[j] = j - 1 if flags & FENCE else previous[2] - 1
            previous[2] = j
        if flags & (LOAD_INPUT | LOAD_WEIGHT) != 0 or tiles[j, PSUM_BEATS] > 0:
            load = j
        last_load[j] = load

    arrived = np.full(count, never, np.int64)
    visible = np.full(count, never, np.int64)
    stored = np.full(count, never, np.int64)

    tile, phase, left = 0, 0, 0  # sequencer: tile, 0 waiting / 1 set-up / 2 issuing, cycles left
    head, beats_left, idle, reading, busy = 0, 0, 0, True, False
    results = 0  # tiles whose results are visible
    t = 0
    while True:
        # --- sequencer
        kind, at_tile = -1, tile
        while tile < count and kind < 0:
            at_tile = tile
            if phase == 0:
                flags = tiles[tile, FLAGS]
                before = visible[tile - 1] if tile else 0
                if last_load[tile] >= 0 and arrived[last_load[tile]] > t:
                    kind = C_WAIT_LOAD
                elif flags & NEW_OUTPUT and output_user[tile] >= 0 and stored[output_user[tile]] > t:
                    kind = C_WAIT_STORE
                elif flags & NEW_OUTPUT == 0 and before > t:
                    kind = C_HAZARD
                elif flags & SWITCH and before + reconfigure > t:
                    kind = C_SWITCH
                else:
                    phase, left = 1, setup
            elif phase == 1:
                if left > 0:
                    kind = C_SETUP
                    left -= 1
                else:
                    phase, left = 2, tiles[tile, ISSUE]
            if phase == 2:
                if left > 0 and kind < 0:
                    kind = C_ISSUE
                    left -= 1
                if left == 0 and kind != C_SETUP:
                    end = t + 1 if kind == C_ISSUE else t
                    before = visible[tile - 1] if tile else 0
                    visible[tile] = max(before, end - 1 + tiles[tile, DRAIN])
                    tile += 1
                    phase = 0
        if kind < 0:
            at_tile = tile
            if count and visible[count - 1] > t:
                kind = C_FILL_DRAIN
            elif head < transfers or busy:
                kind = C_WAIT_STORE
            else:
                return out
        while program < ends.shape[0] - 1 and at_tile >= ends[program]:
            program += 1
        out[program, kind] += 1
        if t < log.shape[0]:
            while results < count and visible[results] <= t:
                results += 1
            log[t, 0], log[t, 1], log[t, 2], log[t, 3], log[t, 4] = kind, at_tile, busy, head, results
        # --- port
        if busy:
            if beats_left > 0 and (stalls.size == 0 or stalls[t % stalls.size] == 0):
                beats_left -= 1
        elif head < transfers:
            job = order[head]
            ready = True
            if job > 0:
                j = job - 1
                flags = tiles[j, FLAGS]
                ready = reading or idle >= turnaround
                if flags & LOAD_INPUT and input_user[j] >= 0:
                    ready = ready and visible[input_user[j]] <= t
                if flags & LOAD_WEIGHT and weight_user[j] >= 0:
                    ready = ready and visible[weight_user[j]] <= t
                if tiles[j, PSUM_BEATS] > 0 and output_user[j] >= 0:
                    ready = ready and stored[output_user[j]] <= t
                if ready:
                    beats_left = tiles[j, INPUT_BEATS] + tiles[j, WEIGHT_BEATS] + tiles[j, PSUM_BEATS]
            else:
                j = -job - 1
                ready = (not reading or idle >= turnaround) and visible[j] <= t
                if ready:
                    beats_left = tiles[j, STORE_BEATS]
            if ready:
                busy, reading = True, job > 0
            else:
                idle += 1
        if busy and beats_left == 0:  # the last beat (or a grant without data) went in this cycle
            job = order[head]
            if job > 0:
                arrived[job - 1] = t + 1 + latency
            else:
                stored[-job - 1] = t + 1
            head += 1
            busy, idle = False, 0
        t += 1


@compiled
def stepped_cycles(tiles, timing, stalls, log):  # type: ignore[no-untyped-def]
    """(7,) int64 cycles by class of one program; arguments as stepped_programs."""
    return stepped_programs(tiles, np.array([tiles.shape[0]]), timing, stalls, log)[0]
