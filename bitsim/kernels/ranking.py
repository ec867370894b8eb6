"""Traffic in closed form and an estimate of cycles, for many tilings under every loop order: what a search ranks by.

Traffic is exact: it equals the counters of the tile program (a test holds it to that).  Cycles are an estimate that
ignores how waits interleave, which is why the best few are then timed exactly.

Loops come in three blocks: positions (batch, rows, columns), outputs, channels; groups stay outside.  An operand
misses one block; a loop over it, with a loop inside that moves the operand, fetches the operand again.
"""

from __future__ import annotations

import numpy as np

from bitsim.kernels.compile import compiled
from bitsim.kernels.cutting import BEATS_IN, BEATS_STORED, BEATS_WEIGHT, CHANNELS, GROUPS, LATER_ISSUE, OUTPUTS

ORDERS = 6  # of the three blocks, as mapping.record lists them first
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
# Columns of spots: tiles of samples, rows and columns together; words of one sweep over a channel, halos between tiles
# read by both; how many full tiles it would take; the last tile as a share of a full one.
TILES, SWEEP_WORDS, FULL_TILES, LAST_SHARE = range(4)
# Columns of the other dimensions, each in turn: its tiles; how many full ones it would take; the last as a share of a
# full one, which of groups is never asked.
(
    GROUP_TILES,
    GROUPS_FULL,
    OUTPUT_TILES,
    OUTPUTS_FULL,
    OUTPUTS_SHARE,
    CHANNEL_TILES,
    CHANNELS_FULL,
    CHANNELS_SHARE,
) = range(8)
# Estimates closer than a hundredth are not told apart where traffic decides.
TOLD_APART = 0.01


@compiled
def dram_bits(refetched, missed_input, missed_weight, missed_output, input_bits_once, constants):
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
def steady_cycles(refetched, missed_input, missed_weight, missed_output, tiles, issue, input_bits_once, constants):
    """(cycles of all tiles, beats of what an average one loads and stores, whether transfers take longest): estimated.

    issue: of all tiles, the rest as dram_bits.
    Tiles are of two kinds: where only the innermost loop moved, one operand stays; elsewhere all three change.  Each
    takes what is longest: its own work, its transfers, or half the way round its buffer halves, which are loaded again
    only after the tile that used them is done.
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
        inner, moving = missed_input, load_weight + reload + store + 2.0
        stays = max(work, moving, (way + load_weight + reload) / 2.0)
    elif refetched & 2 == 0 and missed_weight > 1.0:
        inner, moving = missed_weight, load_input + reload + store + 2.0
        stays = max(work, moving, (way + load_input + reload) / 2.0)
    else:
        loads = load_input + load_weight
        inner, moving = missed_output, loads + 1.0
        stays = max(work + constants[DRAIN_CYCLES] - 1.0, moving, (way + loads) / 2.0)
    whole = tiles / inner * changed + (tiles - tiles / inner) * stays
    return whole, load_input + load_weight + store, moving >= work


@compiled
def with_ends(steady, moved_at_ends, last_issue, constants):
    """Estimated cycles: those of all tiles, and what nothing overlaps at both ends.

    moved_at_ends: beats the first tile loads and the last one stores; last_issue: issue cycles of the last tile, which
    count where transfers are longest: then they are all in `steady`.
    """
    whole, _, moving = steady
    return whole + constants[LATENCY_CYCLES] + constants[DRAIN_CYCLES] + (last_issue if moving else moved_at_ends)


@compiled
def ends_of(spot, inner, issue, writes_filter, input_bits_once, constants):
    """(moved_at_ends, last_issue) of with_ends for a tiling whose edges are not cut: its first tile a full one."""
    full_outputs, full_channels = inner[OUTPUTS_FULL], inner[CHANNELS_FULL]
    full_positions, groups = spot[FULL_TILES], inner[GROUP_TILES]
    inputs = input_bits_once / (groups * full_positions * full_channels)
    filters, maps = groups * full_outputs * full_channels, groups * full_outputs * full_positions
    if writes_filter:
        weights, outputs, last = maps, filters, inner[OUTPUTS_SHARE] * inner[CHANNELS_SHARE]
    else:
        weights, outputs, last = filters, maps, spot[LAST_SHARE] * inner[OUTPUTS_SHARE]
    bits = inputs + constants[WEIGHT_BITS_ONCE] / weights + constants[OUTPUT_BITS_ONCE] / outputs * last
    last_share = spot[LAST_SHARE] * inner[OUTPUTS_SHARE] * inner[CHANNELS_SHARE]
    last_issue = issue / (maps * full_channels) * last_share
    return bits * constants[CYCLES_A_BIT], last_issue


@compiled
def pattern_of(positions, outputs, channels):
    """Which blocks have several tiles, as a number from 0 to 7."""
    return (1 if positions > 1.0 else 0) + (2 if outputs > 1.0 else 0) + (4 if channels > 1.0 else 0)


@compiled
def keep(keys, names, counts, which, most, first, second, name):
    """Insert into list `which` of the `most` least (first, second), sorted.

    keys: (lists, 2, any); names: (lists, any); counts: (lists,) how long each is.
    """
    at = counts[which]
    if at == most:
        at -= 1
        worst = keys[which, 0, at]
        if first > worst or (first == worst and second >= keys[which, 1, at]):
            return
    else:
        counts[which] += 1
    while at > 0:
        ahead = keys[which, 0, at - 1]
        if first > ahead or (first == ahead and second >= keys[which, 1, at - 1]):
            break
        keys[which, 0, at], keys[which, 1, at] = ahead, keys[which, 1, at - 1]
        names[which, at] = names[which, at - 1]
        at -= 1
    keys[which, 0, at], keys[which, 1, at], names[which, at] = first, second, name


@compiled
def once_each(names, counts, found):
    """Write the names of all lists, each once, into found, (as many,), and return how many there are.

    (np.unique takes numba a second to compile.)
    """
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
    return length


@compiled
def least_dram_bits(missed_input, missed_weight, missed_output, input_bits_once, constants):
    """dram_bits under the best order: all fetch again for each tile of the block they miss but the one that saves most.

    The innermost loop that moves is over a block that one operand misses; any of them may be innermost.
    """
    again_input = input_bits_once * (missed_input - 1.0)
    again_weight = constants[WEIGHT_BITS_ONCE] * (missed_weight - 1.0)
    again_psum = constants[PSUM_BITS_ONCE] * 2.0 * (missed_output - 1.0)
    again = again_input + again_weight + again_psum - max(again_input, max(again_weight, again_psum))
    psums_once = constants[PSUM_BITS_ONCE] * constants[SPILLED]
    return again + input_bits_once + constants[WEIGHT_BITS_ONCE] + psums_once + constants[OUTPUT_BITS_ONCE]


@compiled
def best_tilings(
    fits,
    spots,
    inner,
    first_issue,
    later_issue,
    traffic,
    writes_filter,
    constants,
    most,
    keys,
    names,
    counts,
    offered,
    found,
):
    """Write the numbers s * I + i of the tilings that lead under their best order: by cycles, and by traffic.

    fits: (S, I) bool; spots: (S, 4) float64, ranked of mapping.spots; inner: (I, 8) float64 of groups, outputs and
    channels; first_issue, later_issue: (S, I) int64 cycles of a full tile, the first over a reduction and any other;
    traffic: (8, 6) by pattern what orders refetch (see dram_bits), each once, then -1; most: length of each of the
    three lists.  keys (3, 2, most), names (3, most) and counts (3,) of zeros are the lists, see `keep`; offered (3, 2)
    is for what each sorts by, infinite for nothing; found (3 * most,) is written to.  Returns how many are.
    """
    beyond = beyond_bits = np.inf  # what no list takes any more: cycles, bits
    # From the largest tiles on: they mostly lead, and what cannot pass them is left out early.
    for s in range(fits.shape[0] - 1, -1, -1):
        positions, full_spots = spots[s, TILES], spots[s, FULL_TILES]
        input_bits_once = spots[s, SWEEP_WORDS] * constants[INPUT_BITS]
        for i in range(fits.shape[1] - 1, -1, -1):
            if not fits[s, i]:
                continue
            outputs, channels = inner[i, OUTPUT_TILES], inner[i, CHANNEL_TILES]
            weight, output = (channels, positions) if writes_filter else (positions, channels)  # tiles they miss
            tiles = inner[i, GROUP_TILES] * positions * outputs * channels
            bits = least_dram_bits(outputs, weight, output, input_bits_once, constants)
            many_bits = bits > beyond_bits
            if many_bits and bits * constants[CYCLES_A_BIT] > beyond:
                continue
            # Each tile is charged the share of a full one it fills.
            full_outputs = inner[i, GROUPS_FULL] * inner[i, OUTPUTS_FULL]
            full = full_outputs * inner[i, CHANNELS_FULL]
            shares = full_spots * full
            first_shares = full if writes_filter else full_spots * full_outputs
            issue = first_shares * first_issue[s, i] + (shares - first_shares) * later_issue[s, i]
            busy = issue + tiles * constants[SETUP_CYCLES]
            if many_bits and busy > beyond:
                continue
            pattern = pattern_of(positions, outputs, channels)
            moved, last_issue = ends_of(spots[s], inner[i], issue, writes_filter, input_bits_once, constants)
            for which in range(3):
                offered[which, 0] = np.inf
            fewest = least = traffic_of_fewest = cycles_of_least = np.inf
            for order in range(ORDERS):
                code = traffic[pattern, order]
                if code < 0:
                    break
                bits = dram_bits(code, outputs, weight, output, input_bits_once, constants)
                if max(busy, bits * constants[CYCLES_A_BIT]) > beyond and bits > beyond_bits:
                    continue
                steady = steady_cycles(code, outputs, weight, output, tiles, issue, input_bits_once, constants)
                cycles = with_ends(steady, moved, last_issue, constants)
                if cycles < fewest or (cycles == fewest and bits < traffic_of_fewest):
                    fewest, traffic_of_fewest = cycles, bits
                if bits < least or (bits == least and cycles < cycles_of_least):
                    least, cycles_of_least = bits, cycles
            if fewest <= beyond and fewest < np.inf:
                offered[0, 0], offered[1, 0] = fewest, np.floor(np.log(fewest) / TOLD_APART)
                offered[0, 1] = offered[1, 1] = traffic_of_fewest
            if least <= beyond_bits:
                offered[2, 0], offered[2, 1] = least, cycles_of_least
            # One call for all lists: it would be compiled once for each constant it is handed.
            for which in range(3):
                if offered[which, 0] < np.inf:
                    keep(keys, names, counts, which, most, offered[which, 0], offered[which, 1], s * fits.shape[1] + i)
            if counts[2] == most:
                beyond_bits = keys[2, 0, most - 1]
            if counts[1] == most:
                # The end of the last hundredth in the second list.
                beyond = max(keys[0, 0, most - 1], np.exp((keys[1, 0, most - 1] + 1.0) * TOLD_APART))
    return once_each(names, counts, found)


@compiled
def tiles_along(whole, size):
    """Tiles of `size` along a dimension, as float64."""
    return float((whole + size - 1) // size)


@compiled
def best_orders(
    spots,
    spot_of,
    table,
    whole,
    issue,
    costs,
    starts,
    refetched,
    distinct,
    writes_filter,
    constants,
    most,
    estimates,
    keys,
    names,
    counts,
    offered,
    found,
    chosen,
    orders,
):
    """Of few tilings, the (tiling, order) that lead: as best_tilings.

    spot_of: (N,) row of spots of each; table: (N, 6) tile sizes; whole: (6,) sizes of the product; issue: (N,) cycles,
    exact; costs, starts: of kernels.cutting; refetched: (8, 6) see dram_bits, and
    distinct: (8, 6) bool, by pattern and order; most: (3,) lengths of the lists; estimates: (N * 6, 2) to work in,
    cycles and bits by name; keys to found: of best_tilings.
    Writes (C,) places of the tilings and (C,) orders, no two pairs alike.  Returns C.
    """
    fewest = np.inf
    for place in range(table.shape[0]):
        spot = spot_of[place]
        positions, input_bits_once = spots[spot, TILES], spots[spot, SWEEP_WORDS] * constants[INPUT_BITS]
        groups = tiles_along(whole[GROUPS], table[place, GROUPS])
        outputs = tiles_along(whole[OUTPUTS], table[place, OUTPUTS])
        channels = tiles_along(whole[CHANNELS], table[place, CHANNELS])
        weight, output = (channels, positions) if writes_filter else (positions, channels)
        tiles = groups * positions * outputs * channels
        begin, end = starts[place], starts[place + 1] - 1
        moved_at_ends = float(costs[begin, BEATS_IN] + costs[begin, BEATS_WEIGHT] + costs[end, BEATS_STORED])
        last_issue = float(costs[end, LATER_ISSUE])
        all_issue = float(issue[place])
        pattern = pattern_of(positions, outputs, channels)
        for order in range(ORDERS):
            name = place * ORDERS + order
            estimates[name, 0] = np.inf
            if distinct[pattern, order]:
                code = refetched[pattern, order]
                steady = steady_cycles(code, outputs, weight, output, tiles, all_issue, input_bits_once, constants)
                estimates[name, 0] = with_ends(steady, moved_at_ends, last_issue, constants)
                estimates[name, 1] = dram_bits(code, outputs, weight, output, input_bits_once, constants)
                fewest = min(fewest, estimates[name, 0])
    for name in range(estimates.shape[0]):
        cycles, bits = estimates[name, 0], estimates[name, 1]
        if cycles < np.inf:
            offered[0, 0], offered[0, 1] = cycles, bits
            offered[1, 0], offered[1, 1] = np.floor((cycles / fewest - 1.0) / TOLD_APART), bits
            offered[2, 0], offered[2, 1] = bits, cycles
            for which in range(3):
                keep(keys, names, counts, which, most[which], offered[which, 0], offered[which, 1], name)
    number = once_each(names, counts, found)
    for c in range(number):
        chosen[c] = found[c] // ORDERS
        orders[c] = found[c] - chosen[c] * ORDERS
    return number
