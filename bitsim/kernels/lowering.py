"""Many tilings and loop orders of one product to tile programs at once.

What `mapping.program.execute` does for one mapping, in compiled loops over integers; a test holds the two equal.
Dimensions are columns 0 to 5 of every table, in the order of accelerators.seam.DIMENSIONS; rows and columns
(2 and 3) have halos, so their tiles differ also inside the dimension.

A dimension of a tiling is cut into *pieces*, runs of equal tiles: the first and the last tile alone, what is
between them where the halo stays the same.  Neighbouring pieces whose tiles have one shape are one *kind*; the
shapes of a tiling are all combinations of kinds, dimension 5 varying fastest.
"""

from __future__ import annotations

import numpy as np

from bitsim.kernels.collapsed import collapsed_cycles
from bitsim.kernels.compile import compiled
from bitsim.kernels.program import (
    COLUMNS,
    DRAIN,
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

DIMENSIONS = 6
BATCH, ROWS, COLS = 1, 2, 3
# Columns of the pieces of a dimension: tiles, own size, distinct inputs, real taps, number of the kind.
TILES, OWN, INPUTS, REAL_TAPS, KIND = range(5)
# Columns of the costs of a shape.
(
    INPUT_WORDS,
    WEIGHT_WORDS,
    OUTPUT_WORDS,
    INPUT_WRITTEN,
    WEIGHT_WRITTEN,
    FIRST_ISSUE,
    LATER_ISSUE,
    SHAPE_DRAIN,
    BEATS_IN,
    BEATS_WEIGHT,
    BEATS_PSUM,
    BEATS_STORED,
    BEATS_SPILLED,
) = range(13)
SHAPE_COSTS = 13
# Words that a mapping moves, and its issue cycles: columns of what `lower_all` sums up.
(
    LOADED_INPUT,
    LOADED_WEIGHT,
    LOADED_PSUM,
    STORED_LAST,
    STORED_ALL,
    ACCUMULATED,
    WRITTEN_INPUT,
    WRITTEN_WEIGHT,
    ISSUED,
) = range(9)
SUMS = 9


@compiled
def cut_dimension(size, tile, halo, first, last, into):
    """Pieces of one dimension into `into`, (most, 5); returns how many.

    halo: (n, 3) int64: first tile, distinct inputs and real taps of each run of tiles equal in both; rows
    [first, last) are this dimension's.  None (first == last): tiles differ in their own size alone.
    """
    trips = -(-size // tile)
    count, run, at = 0, first, 0
    while at < trips:
        end = trips
        if at == 0:
            end = 1
        elif at < trips - 1:
            end = trips - 1
        while run + 1 < last and halo[run + 1, 0] <= at:
            run += 1
        if run + 1 < last:
            end = min(end, halo[run + 1, 0])
        own = min(tile, size - at * tile)
        into[count, TILES] = end - at
        into[count, OWN] = own
        into[count, INPUTS] = halo[run, 1] if last > first else 0
        into[count, REAL_TAPS] = halo[run, 2] if last > first else 1
        kind = 0
        if count > 0:
            kind = into[count - 1, KIND]
            if own != into[count - 1, OWN] or into[count, INPUTS] != into[count - 1, INPUTS]:
                kind += 1
        into[count, KIND] = kind
        count += 1
        at = end
    return count


@compiled
def cut_all(sizes, tilings, halo, halo_first):
    """Pieces of every dimension of every tiling.

    sizes: (6,); tilings: (K, 6); halo: see cut_dimension; halo_first: (K, 2, 2) first and last row of `halo`
    for rows and for columns.  Returns pieces (K, 6, most, 5) and counts (K, 6) of them.
    """
    # The first and the last tile, what is between them, and a cut wherever the halo changes.
    most = 3 + np.max(halo_first[:, :, 1] - halo_first[:, :, 0])
    pieces = np.zeros((tilings.shape[0], DIMENSIONS, most, 5), np.int64)
    counts = np.zeros((tilings.shape[0], DIMENSIONS), np.int64)
    for k in range(tilings.shape[0]):
        for d in range(DIMENSIONS):
            first, last = 0, 0
            if d in (ROWS, COLS):
                first, last = halo_first[k, d - ROWS, 0], halo_first[k, d - ROWS, 1]
            counts[k, d] = cut_dimension(sizes[d], tilings[k, d], halo, first, last, pieces[k, d])
    return pieces, counts


@compiled
def shapes_of(pieces, counts, of_output):
    """The shapes of every tiling, one after the other.

    of_output: (6,) bool, dimensions the output depends on.
    Returns starts (K + 1,), shapes (N, 8): sizes of the six dimensions, distinct input rows and columns; and
    tiles (N, 3): tiles of the shape, those of them first to write their outputs, real taps of all of them.
    """
    tilings = pieces.shape[0]
    starts = np.zeros(tilings + 1, np.int64)
    for k in range(tilings):
        number = 1
        for d in range(DIMENSIONS):
            number *= pieces[k, d, counts[k, d] - 1, KIND] + 1
        starts[k + 1] = starts[k] + number
    shapes = np.zeros((starts[tilings], 8), np.int64)
    tiles = np.ones((starts[tilings], 3), np.int64)
    for k in range(tilings):
        stride = starts[k + 1] - starts[k]
        for d in range(DIMENSIONS):
            kinds = pieces[k, d, counts[k, d] - 1, KIND] + 1
            stride //= kinds
            for kind in range(kinds):
                number, first, taps, own, inputs = 0, 0, 0, 0, 0
                for p in range(counts[k, d]):
                    if pieces[k, d, p, KIND] == kind:
                        number += pieces[k, d, p, TILES]
                        taps += pieces[k, d, p, TILES] * pieces[k, d, p, REAL_TAPS]
                        own, inputs = pieces[k, d, p, OWN], pieces[k, d, p, INPUTS]
                        if p == 0 and not of_output[d]:
                            first = 1
                if of_output[d]:
                    first = number
                if d == BATCH:
                    taps = number * own
                for s in range(starts[k], starts[k + 1]):
                    if (s - starts[k]) // stride % kinds == kind:
                        shapes[s, d] = own
                        if d == ROWS:
                            shapes[s, 6] = inputs
                        elif d == COLS:
                            shapes[s, 7] = inputs
                        tiles[s, 0] *= number
                        tiles[s, 1] *= first
                        tiles[s, 2] *= taps
    return starts, shapes, tiles


@compiled
def rows_of(counts, chosen):
    """(C + 1,) int64: where the rows of each chosen mapping start in one table of all; chosen: (C,) its tiling."""
    starts = np.zeros(chosen.shape[0] + 1, np.int64)
    for c in range(chosen.shape[0]):
        number = 1
        for d in range(DIMENSIONS):
            number *= counts[chosen[c], d]
        starts[c + 1] = starts[c] + number
    return starts


@compiled
def lower_one(pieces, counts, order, base, costs, touched, spilled, computes, widths, rows, moved_bits, runs, sums):
    """Write the tile program of one mapping.

    pieces (6, most, 5) and counts (6,): of its tiling; order: (6,) dimensions, outermost first; base: number of its
    first shape in costs, (N, 13); touched: (3, 6) bool, dimensions the input, weight and output depend on.
    widths: (4,) bits of a word of input, weight, partial sum and stored output in DRAM.
    rows: (R, 7), moved_bits: (R, 4) as of mapping.program.Execution, runs: (6, most) and sums: (9,) are
    given as zeros and written; returns the depth of the nest.
    """
    level_of = np.zeros(DIMENSIONS, np.int64)  # dimension of each level
    depth = 0
    for i in range(DIMENSIONS):
        if counts[order[i]] > 1:
            level_of[depth] = order[i]
            for p in range(counts[order[i]]):
                runs[depth, p] = pieces[order[i], p, TILES]
            depth += 1
    stride = np.ones(DIMENSIONS, np.int64)  # of kinds, in the numbering of shapes
    for d in range(DIMENSIONS - 2, -1, -1):
        stride[d] = stride[d + 1] * (pieces[d + 1, counts[d + 1] - 1, KIND] + 1)
    piece = np.zeros(DIMENSIONS, np.int64)  # of each level
    moved = np.zeros(3, np.bool_)
    for r in range(rows.shape[0]):
        tiles, shape = 1, base
        first, last = True, True  # of the visits of the output tile the one that begins here, and that ends here
        for level in range(depth):
            d, p = level_of[level], piece[level]
            tiles *= pieces[d, p, TILES]
            shape += pieces[d, p, KIND] * stride[d]
            if not touched[2, d]:
                first = first and p == 0
                last = last and p == counts[d] - 1
        # A loop has moved when all loops inside it stand at their start, and will when they stand at their end.
        moved[:] = False
        will_move, at_start, at_end = False, True, True
        for level in range(depth - 1, -1, -1):
            d, p = level_of[level], piece[level]
            if at_start:
                for role in range(3):
                    moved[role] |= touched[role, d]
            if at_end and touched[2, d]:
                will_move = True
            at_start = at_start and p == 0
            at_end = at_end and p == counts[d] - 1
        if at_start:
            moved[:] = True
        will_move = will_move or at_end

        cost = costs[shape]
        new_output = moved[2]
        psum_in = computes and new_output and (spilled or not first)
        accumulates = computes and (psum_in or not (new_output and first))
        flags = 0
        if moved[0]:
            rows[r, INPUT_BEATS] = cost[BEATS_IN]
            moved_bits[r, 0] = cost[INPUT_WORDS] * widths[0]
            flags |= LOAD_INPUT if cost[INPUT_WORDS] > 0 else 0
            sums[LOADED_INPUT] += tiles * cost[INPUT_WORDS]
            sums[WRITTEN_INPUT] += tiles * cost[INPUT_WRITTEN]
        if moved[1]:
            rows[r, WEIGHT_BEATS] = cost[BEATS_WEIGHT]
            moved_bits[r, 1] = cost[WEIGHT_WORDS] * widths[1]
            flags |= LOAD_WEIGHT if cost[WEIGHT_WORDS] > 0 else 0
            sums[LOADED_WEIGHT] += tiles * cost[WEIGHT_WORDS]
            sums[WRITTEN_WEIGHT] += tiles * cost[WEIGHT_WRITTEN]
        if new_output:
            flags |= NEW_OUTPUT
        if psum_in:
            rows[r, PSUM_BEATS] = cost[BEATS_PSUM]
            moved_bits[r, 2] = cost[OUTPUT_WORDS] * widths[2]
            sums[LOADED_PSUM] += tiles * cost[OUTPUT_WORDS]
        if will_move:
            flags |= STORE
            rows[r, STORE_BEATS] = cost[BEATS_STORED] if last else cost[BEATS_SPILLED]
            moved_bits[r, 3] = cost[OUTPUT_WORDS] * (widths[3] if last else widths[2])
            sums[STORED_ALL] += tiles * cost[OUTPUT_WORDS]
            sums[STORED_LAST] += tiles * cost[OUTPUT_WORDS] if last else 0
        sums[ACCUMULATED] += tiles * cost[OUTPUT_WORDS] if accumulates else 0
        rows[r, ISSUE] = cost[LATER_ISSUE] if accumulates else cost[FIRST_ISSUE]
        sums[ISSUED] += tiles * rows[r, ISSUE]
        rows[r, DRAIN] = cost[SHAPE_DRAIN]
        rows[r, FLAGS] = flags

        level = depth - 1
        while level >= 0:
            piece[level] += 1
            if piece[level] < counts[level_of[level]]:
                break
            piece[level] = 0
            level -= 1
    rows[0, FLAGS] |= SWITCH
    return depth


@compiled
def lower_all(pieces, counts, shape_starts, costs, chosen, orders, row_starts, touched, spilled, computes, widths):
    """Tile programs of the chosen mappings.

    chosen: (C,) tiling and orders: (C, 6) order of each; the rest as lower_one.
    Returns rows and moved bits of all (row_starts[C], 7 and 4), runs (C, 6, most), depths (C,) and sums (C, 9).
    """
    number = chosen.shape[0]
    rows = np.zeros((row_starts[number], COLUMNS), np.int64)
    moved_bits = np.zeros((row_starts[number], 4), np.int64)
    runs = np.zeros((number, DIMENSIONS, pieces.shape[2]), np.int64)
    depths = np.zeros(number, np.int64)
    sums = np.zeros((number, SUMS), np.int64)
    for c in range(number):
        k = chosen[c]
        part = rows[row_starts[c] : row_starts[c + 1]]
        depths[c] = lower_one(
            pieces[k],
            counts[k],
            orders[c],
            shape_starts[k],
            costs,
            touched,
            spilled,
            computes,
            widths,
            part,
            moved_bits[row_starts[c] : row_starts[c + 1]],
            runs[c],
            sums[c],
        )
    return rows, moved_bits, runs, depths, sums


@compiled
def collapsed_all(rows, row_starts, runs, depths, timing):
    """(C, 7) int64 cycles by class of each program of lower_all, each alone on the machine."""
    classes = np.zeros((depths.shape[0], 7), np.int64)
    for c in range(depths.shape[0]):
        classes[c] = collapsed_cycles(rows[row_starts[c] : row_starts[c + 1]], runs[c, : depths[c]], timing)
    return classes
