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
# What estimates need of a product on a machine, (9,) float64; once: each word moved once, as every mapping must.
(
    INPUT_BITS,
    WEIGHT_BITS_ONCE,
    PSUM_BITS_ONCE,
    OUTPUT_BITS_ONCE,
    DRAIN_CYCLES,
    SETUP_CYCLES,
    LATENCY_CYCLES,
    CYCLES_A_BIT,
    SPILLED,
) = range(9)
CONSTANTS = 9
# Estimates closer than a hundredth are not told apart where traffic decides.
TOLD_APART = 0.01


@compiled
def dram_bits(refetched, missed_input, missed_weight, missed_output, input_bits_once, constants):  # type: ignore[no-untyped-def]
    """Bits moved for one tiling under one order.

    refetched: bits 0 to 2, whether input, weight and output are fetched once for each tile of the block they miss;
    missed_*: tiles of that block.
    """
    bits = input_bits_once * (missed_input if refetched & 1 else 1.0)
    bits += constants[WEIGHT_BITS_ONCE] * (missed_weight if refetched & 2 else 1.0)
    visits = missed_output if refetched & 4 else 1.0
    psums = constants[PSUM_BITS_ONCE] * (2.0 * visits - 2.0 + constants[SPILLED])
    return bits + psums + constants[OUTPUT_BITS_ONCE]


@compiled
def cycles_of(refetched, missed_input, missed_weight, missed_output, tiles, issue, input_bits_once, constants):  # type: ignore[no-untyped-def]
    """Estimated cycles; issue: of all tiles, the rest as dram_bits.

    Tiles are of two kinds: where only the innermost loop moved, one operand stays; elsewhere all three change.  Each
    takes what is longest: its own work, its transfers, or half the way round its buffer halves, which are loaded again
    only after the tile that used them is done.  Before the first and after the last tile nothing overlaps.
    """
    a_tile = constants[CYCLES_A_BIT] / tiles  # average beats of one tile from the bits of all
    visits = missed_output if refetched & 4 else 1.0
    load_input = input_bits_once * missed_input * a_tile
    load_weight = constants[WEIGHT_BITS_ONCE] * missed_weight * a_tile
    output = missed_output / visits * a_tile
    reload = constants[PSUM_BITS_ONCE] * (visits - 1.0 + constants[SPILLED]) * output
    store = (constants[PSUM_BITS_ONCE] * (visits - 1.0) + constants[OUTPUT_BITS_ONCE]) * output
    work = issue / tiles + constants[SETUP_CYCLES]
    way = 1.0 + constants[LATENCY_CYCLES] + constants[DRAIN_CYCLES] + work

    loads = load_input + load_weight + reload
    changed = max(work, loads + store + 2.0, (way + loads) / 2.0)
    if refetched & 1 == 0 and missed_input > 1.0:
        inner, stays = missed_input, max(work, load_weight + reload + store + 2.0, (way + load_weight + reload) / 2.0)
    elif refetched & 2 == 0 and missed_weight > 1.0:
        inner, stays = missed_weight, max(work, load_input + reload + store + 2.0, (way + load_input + reload) / 2.0)
    else:
        loads = load_input + load_weight
        inner, stays = missed_output, max(work + constants[DRAIN_CYCLES] - 1.0, loads + 1.0, (way + loads) / 2.0)
    whole = tiles / inner * changed + (tiles - tiles / inner) * stays
    return whole + load_input + load_weight + constants[LATENCY_CYCLES] + constants[DRAIN_CYCLES] + store


@compiled
def pattern_of(positions, outputs, channels):  # type: ignore[no-untyped-def]
    """Which blocks have several tiles, as a number from 0 to 7."""
    return (1 if positions > 1.0 else 0) + (2 if outputs > 1.0 else 0) + (4 if channels > 1.0 else 0)


@compiled
def before(first, second, key):  # type: ignore[no-untyped-def]
    """(first, second) < key."""
    return first < key[0] or (first == key[0] and second < key[1])


@compiled
def keep(keys, names, count, first, second, name):  # type: ignore[no-untyped-def]
    """Insert into a sorted list of the least (first, second), keys (most, 2), names (most,); its new length."""
    most = names.shape[0]
    if count == most and not before(first, second, keys[most - 1]):
        return count
    at = min(count, most - 1)
    while at > 0 and before(first, second, keys[at - 1]):
        keys[at, 0], keys[at, 1], names[at] = keys[at - 1, 0], keys[at - 1, 1], names[at - 1]
        at -= 1
    keys[at, 0], keys[at, 1], names[at] = first, second, name
    return min(count + 1, most)


@compiled
def once_each(names, counts):  # type: ignore[no-untyped-def]
    """Names of all lists, each once (np.unique takes numba a second to compile)."""
    found = np.empty(names.size, np.int64)
    length = 0
    for number in range(names.shape[0]):
        for place in range(counts[number]):
            new = True
            for earlier in range(length):
                if found[earlier] == names[number, place]:
                    new = False
                    break
            if new:
                found[length] = names[number, place]
                length += 1
    return found[:length]


@compiled
def best_tilings(fits, spots, inner, issue, refetched, distinct, writes_filter, constants, most):  # type: ignore[no-untyped-def]
    """Numbers s * I + i of the tilings that lead under their best order: by cycles, and by traffic.

    fits: (S, I) bool; spots: (S, 2) float64 tiles and input words of a sweep; inner: (I, 3) tiles over groups,
    outputs, channels; issue: (S, I) estimated issue cycles of all tiles; refetched: (8, 6) see dram_bits, and
    distinct: (8, 6) bool, by pattern and order; most: length of each of the three lists.
    """
    keys = np.empty((3, most, 2))
    names = np.empty((3, most), np.int64)
    counts = np.zeros(3, np.int64)
    beyond = beyond_bits = np.inf  # what no list takes any more: cycles, bits
    # From the largest tiles on: they mostly lead, and what cannot pass them is left out early.
    for s in range(fits.shape[0] - 1, -1, -1):
        positions, input_bits_once = spots[s, 0], spots[s, 1] * constants[INPUT_BITS]
        for i in range(fits.shape[1] - 1, -1, -1):
            if not fits[s, i]:
                continue
            outputs, channels = inner[i, 1], inner[i, 2]
            weight, output = (channels, positions) if writes_filter else (positions, channels)  # tiles they miss
            tiles = inner[i, 0] * positions * outputs * channels
            busy = issue[s, i] + tiles * constants[SETUP_CYCLES]
            pattern = pattern_of(positions, outputs, channels)
            fewest = least = traffic_of_fewest = cycles_of_least = np.inf
            for order in range(ORDERS):
                if not distinct[pattern, order]:
                    continue
                code = refetched[pattern, order]
                bits = dram_bits(code, outputs, weight, output, input_bits_once, constants)
                if max(busy, bits * constants[CYCLES_A_BIT]) > beyond and bits > beyond_bits:
                    continue
                cycles = cycles_of(code, outputs, weight, output, tiles, issue[s, i], input_bits_once, constants)
                if cycles < fewest or (cycles == fewest and bits < traffic_of_fewest):
                    fewest, traffic_of_fewest = cycles, bits
                if bits < least or (bits == least and cycles < cycles_of_least):
                    least, cycles_of_least = bits, cycles
            number = s * fits.shape[1] + i
            if least <= beyond_bits and least < np.inf:
                counts[2] = keep(keys[2], names[2], counts[2], least, cycles_of_least, number)
                if counts[2] == most:
                    beyond_bits = keys[2, most - 1, 0]
            if fewest <= beyond and fewest < np.inf:
                counts[0] = keep(keys[0], names[0], counts[0], fewest, traffic_of_fewest, number)
                step = np.floor(np.log(fewest) / TOLD_APART)
                counts[1] = keep(keys[1], names[1], counts[1], step, traffic_of_fewest, number)
                if counts[1] == most:
                    # The end of the last hundredth in the second list.
                    beyond = max(keys[0, most - 1, 0], np.exp((keys[1, most - 1, 0] + 1.0) * TOLD_APART))
    return once_each(names, counts)


@compiled
def best_orders(tilings, spots, inner, issue, refetched, distinct, writes_filter, constants, most):  # type: ignore[no-untyped-def]
    """Of few tilings, the (tiling, order) that lead: as best_tilings, issue: (N,) of the tilings themselves.

    most: (3,) lengths of the lists.  Returns (C,) places in `tilings` times ORDERS plus the order, no two alike.
    """
    keys = np.empty((3, most.max(), 2))
    names = np.empty((3, most.max()), np.int64)
    counts = np.zeros(3, np.int64)
    for place in range(tilings.shape[0]):
        s, i = tilings[place] // inner.shape[0], tilings[place] % inner.shape[0]
        positions, input_bits_once = spots[s, 0], spots[s, 1] * constants[INPUT_BITS]
        outputs, channels = inner[i, 1], inner[i, 2]
        weight, output = (channels, positions) if writes_filter else (positions, channels)
        tiles = inner[i, 0] * positions * outputs * channels
        pattern = pattern_of(positions, outputs, channels)
        for order in range(ORDERS):
            if not distinct[pattern, order]:
                continue
            code = refetched[pattern, order]
            bits = dram_bits(code, outputs, weight, output, input_bits_once, constants)
            cycles = cycles_of(code, outputs, weight, output, tiles, issue[place], input_bits_once, constants)
            name = place * ORDERS + order
            step = np.floor(np.log(cycles) / TOLD_APART)
            counts[0] = keep(keys[0, : most[0]], names[0, : most[0]], counts[0], cycles, bits, name)
            counts[1] = keep(keys[1, : most[1]], names[1, : most[1]], counts[1], step, bits, name)
            counts[2] = keep(keys[2, : most[2]], names[2, : most[2]], counts[2], bits, cycles, name)
    return once_each(names, counts)
