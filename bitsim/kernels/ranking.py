"""Traffic in closed form and an estimate of cycles, for many tilings under every loop order: what a search ranks by.

Traffic is exact: it equals the counters of the tile program (a test holds it to that).  Cycles are an estimate that
ignores how waits interleave, which is why the best few are then timed exactly.

Loops come in three blocks: positions (batch, rows, columns), outputs, channels; groups stay outside.  An operand
misses one block; a loop over it, with a loop inside that moves the operand, fetches the operand again.
"""

from __future__ import annotations

import numpy as np

from bitsim.kernels.compile import compiled

ORDERS = 6  # of the three blocks, as mapping.record lists them
# What estimates need of a product on a machine, (11,) float64.
(
    INPUT_BITS,
    WEIGHT_BITS,
    PSUM_BITS,
    OUTPUT_BITS,
    WEIGHT_WORDS,
    OUTPUT_WORDS,
    DRAIN_CYCLES,
    SETUP_CYCLES,
    LATENCY_CYCLES,
    RATE,
    SPILLED,
) = range(11)
CONSTANTS = 11
# Estimates closer than a hundredth are not told apart where traffic decides.
TOLD_APART = 0.01


@compiled
def estimate_order(trips, groups, refetched, missing, input_words, issue, constants):  # type: ignore[no-untyped-def]
    """(cycles, DRAM bits) of one tiling under one order.

    trips: (3,) tiles along each block; refetched: (3,) bool, whether the input, weight and output are fetched once
    for each tile of the block they miss, missing: (3,); issue: issue cycles of all tiles.
    """
    tiles = groups * trips[0] * trips[1] * trips[2]
    input_loads = trips[missing[0]] if refetched[0] else 1.0
    weight_loads = trips[missing[1]] if refetched[1] else 1.0
    visits = trips[missing[2]] if refetched[2] else 1.0
    bits_in = (
        input_words * input_loads * constants[INPUT_BITS]
        + constants[WEIGHT_WORDS] * weight_loads * constants[WEIGHT_BITS]
    )
    reloads = visits - 1.0 + constants[SPILLED]
    dram = bits_in + constants[OUTPUT_WORDS] * (
        constants[PSUM_BITS] * (reloads + visits - 1.0) + constants[OUTPUT_BITS]
    )
    input_fills = tiles / trips[missing[0]] * input_loads
    weight_fills = tiles / trips[missing[1]] * weight_loads
    output_visits = tiles / trips[missing[2]] * visits
    drain = constants[DRAIN_CYCLES]
    set_up = tiles * constants[SETUP_CYCLES]
    busy = issue + set_up + (tiles - output_visits) * (drain - 1.0)
    moving = dram / constants[RATE] + tiles + output_visits
    # A half is reloaded only after its last user is done: every second load of an operand waits for the whole way
    # from grant through latency, issue and drain.
    way = 1.0 + constants[LATENCY_CYCLES] + drain
    chained = (max(input_fills, weight_fills) * way + issue + set_up + bits_in / constants[RATE]) / 2.0
    ends = (bits_in + dram) / (constants[RATE] * tiles) + drain
    return max(busy, moving, chained) + ends, dram


@compiled
def pattern_of(trips):  # type: ignore[no-untyped-def]
    """Which blocks have several tiles, as a number from 0 to 7."""
    return (1 if trips[0] > 1.0 else 0) + (2 if trips[1] > 1.0 else 0) + (4 if trips[2] > 1.0 else 0)


@compiled
def keep(keys, names, count, first, second, name):  # type: ignore[no-untyped-def]
    """Insert into a sorted list of the least (first, second); returns the new length.  keys: (most, 2), names: (most,)."""
    most = names.shape[0]
    if count == most and (first, second) >= (keys[most - 1, 0], keys[most - 1, 1]):
        return count
    at = min(count, most - 1)
    while at > 0 and (first, second) < (keys[at - 1, 0], keys[at - 1, 1]):
        keys[at, 0], keys[at, 1], names[at] = keys[at - 1, 0], keys[at - 1, 1], names[at - 1]
        at -= 1
    keys[at, 0], keys[at, 1], names[at] = first, second, name
    return min(count + 1, most)


@compiled
def best_tilings(tilings, spots, inner, issue, refetched, distinct, missing, constants, most):  # type: ignore[no-untyped-def]
    """Numbers of the tilings that lead under their best order, in no order: fewest cycles, and least traffic.

    tilings: (N,) numbers spot * I + inner of those that fit; spots: (S, 2) float64 tiles and input words;
    inner: (I, 3) tiles over groups, outputs, channels; issue: (S * I,) estimated issue cycles of all tiles;
    refetched: (8, 6, 3) and distinct: (8, 6) bool by pattern and order; most: length of each of the three lists.
    """
    keys = np.empty((3, most, 2))
    names = np.empty((3, most), np.int64)
    counts = np.zeros(3, np.int64)
    trips = np.empty(3)
    for number in tilings:
        s, i = number // inner.shape[0], number % inner.shape[0]
        trips[0], trips[1], trips[2] = spots[s, 0], inner[i, 1], inner[i, 2]
        pattern = pattern_of(trips)
        fewest = least = np.inf  # cycles, DRAM bits
        traffic_of_fewest = cycles_of_least = np.inf
        for order in range(ORDERS):
            if not distinct[pattern, order]:
                continue
            cycles, dram = estimate_order(
                trips, inner[i, 0], refetched[pattern, order], missing, spots[s, 1], issue[number], constants
            )
            if cycles < fewest or (cycles == fewest and dram < traffic_of_fewest):
                fewest, traffic_of_fewest = cycles, dram
            if dram < least or (dram == least and cycles < cycles_of_least):
                least, cycles_of_least = dram, cycles
        counts[0] = keep(keys[0], names[0], counts[0], fewest, traffic_of_fewest, number)
        step = np.floor(np.log(fewest) / TOLD_APART)
        counts[1] = keep(keys[1], names[1], counts[1], step, traffic_of_fewest, number)
        counts[2] = keep(keys[2], names[2], counts[2], least, cycles_of_least, number)
    return np.unique(np.concatenate((names[0, : counts[0]], names[1, : counts[1]], names[2, : counts[2]])))


@compiled
def best_orders(tilings, spots, inner, issue, refetched, distinct, missing, constants, most):  # type: ignore[no-untyped-def]
    """Of few tilings, the (tiling, order) that lead: as best_tilings, issue: (N,) of the tilings themselves.

    most: (3,) lengths of the lists.  Returns (C,) places in `tilings` times ORDERS plus the order, no two alike.
    """
    keys = np.empty((3, most.max(), 2))
    names = np.empty((3, most.max()), np.int64)
    counts = np.zeros(3, np.int64)
    trips = np.empty(3)
    for place in range(tilings.shape[0]):
        s, i = tilings[place] // inner.shape[0], tilings[place] % inner.shape[0]
        trips[0], trips[1], trips[2] = spots[s, 0], inner[i, 1], inner[i, 2]
        pattern = pattern_of(trips)
        for order in range(ORDERS):
            if not distinct[pattern, order]:
                continue
            cycles, dram = estimate_order(
                trips, inner[i, 0], refetched[pattern, order], missing, spots[s, 1], issue[place], constants
            )
            name = place * ORDERS + order
            step = np.floor(np.log(cycles) / TOLD_APART)
            counts[0] = keep(keys[0, : most[0]], names[0, : most[0]], counts[0], cycles, dram, name)
            counts[1] = keep(keys[1, : most[1]], names[1, : most[1]], counts[1], step, dram, name)
            counts[2] = keep(keys[2, : most[2]], names[2, : most[2]], counts[2], dram, cycles, name)
    return np.unique(np.concatenate((names[0, : counts[0]], names[1, : counts[1]], names[2, : counts[2]])))
