"""Many tilings and loop orders of one product to tile programs at once.

What `mapping.program.execute` does for one mapping, in compiled loops over integers; a test holds the two equal.
Pieces, kinds and shapes are those of kernels.cutting.
"""

from __future__ import annotations

from bitsim.kernels.collapsed import run_nest
from bitsim.kernels.compile import compiled
from bitsim.kernels.cutting import (
    BEATS_IN,
    BEATS_PSUM,
    BEATS_SPILLED,
    BEATS_STORED,
    BEATS_WEIGHT,
    DIMENSIONS,
    FIRST_ISSUE,
    INPUT_WORDS,
    INPUT_WRITTEN,
    KIND,
    LATER_ISSUE,
    OUTPUT_WORDS,
    SHAPE_DRAIN,
    TILES,
    WEIGHT_WORDS,
    WEIGHT_WRITTEN,
)
from bitsim.kernels.program import (
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

# Words that a mapping moves, its issue cycles and beats of the port: what `lower_one` sums up.
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
    BEATS,
) = range(10)
SUMS = 10
# Counters that a loop order changes, before those it does not: rows of the counters `lower_all` writes.
(
    DRAM_READ_BITS,
    DRAM_WRITE_BITS,
    ISSUE_CYCLES,
    INPUT_WRITE_BITS,
    WEIGHT_WRITE_BITS,
    OUTPUT_READ_BITS,
    OUTPUT_WRITE_BITS,
) = range(7)
COUNTERS = 7


@compiled
def rows_of(counts, chosen, starts):
    """Write where the rows of each chosen mapping start in one table of all into starts, (C + 1,).

    counts: (K, 6) pieces; chosen: (C,) tiling of each.
    """
    starts[0] = 0
    for c in range(chosen.shape[0]):
        number = 1
        for d in range(DIMENSIONS):
            number *= counts[chosen[c], d]
        starts[c + 1] = starts[c] + number


@compiled
def lower_one(
    pieces,
    counts,
    order,
    base,
    costs,
    touched,
    spilled,
    computes,
    widths,
    first_row,
    end,
    rows,
    moved_bits,
    runs,
    sums,
    walk,
):
    """Write the tile program of one mapping.

    pieces (6, most, 5) and counts (6,): of its tiling; order: (6,) dimensions, outermost first; base: number of its
    first shape in costs, (N, 13); touched: (3, 6) bool, dimensions the input, weight and output depend on.
    widths: of mapping.batch.word_widths.
    Rows [first_row, end) of rows, (R, 7), and of moved_bits, (R, 4) as of mapping.program.Execution, and runs,
    (6, most), are given as zeros and written; sums, (10,), too; walk: (3, 6) int64 to work in.
    Returns the depth of the nest.
    """
    level_of, stride, piece = walk[0], walk[1], walk[2]  # dimension of each level, of kinds, of each level
    depth = 0
    for i in range(DIMENSIONS):
        piece[i] = 0
        d = order[i]
        if counts[d] > 1:
            level_of[depth] = d
            for p in range(counts[d]):
                runs[depth, p] = pieces[d, p, TILES]
            depth += 1
    stride[DIMENSIONS - 1] = 1  # in the numbering of shapes
    for d in range(DIMENSIONS - 2, -1, -1):
        stride[d] = stride[d + 1] * (pieces[d + 1, counts[d + 1] - 1, KIND] + 1)
    for r in range(first_row, end):
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
        moved_input = moved_weight = moved_output = will_move = False
        at_start = at_end = True
        for level in range(depth - 1, -1, -1):
            d, p = level_of[level], piece[level]
            if at_start:
                moved_input = moved_input or touched[0, d]
                moved_weight = moved_weight or touched[1, d]
                moved_output = moved_output or touched[2, d]
            if at_end and touched[2, d]:
                will_move = True
            at_start = at_start and p == 0
            at_end = at_end and p == counts[d] - 1
        new_output = moved_output or at_start
        will_move = will_move or at_end

        psum_in = computes and new_output and (spilled or not first)
        accumulates = computes and (psum_in or not (new_output and first))
        cost, row, moved = costs[shape], rows[r], moved_bits[r]
        input_words, weight_words, output_words = cost[INPUT_WORDS], cost[WEIGHT_WORDS], cost[OUTPUT_WORDS]
        flags = 0
        if moved_input or at_start:
            row[INPUT_BEATS] = cost[BEATS_IN]
            moved[0] = input_words * widths[0]
            if input_words > 0:
                flags |= LOAD_INPUT
            sums[LOADED_INPUT] += tiles * input_words
            sums[WRITTEN_INPUT] += tiles * cost[INPUT_WRITTEN]
        if moved_weight or at_start:
            row[WEIGHT_BEATS] = cost[BEATS_WEIGHT]
            moved[1] = weight_words * widths[1]
            if weight_words > 0:
                flags |= LOAD_WEIGHT
            sums[LOADED_WEIGHT] += tiles * weight_words
            sums[WRITTEN_WEIGHT] += tiles * cost[WEIGHT_WRITTEN]
        output_words_of_all = tiles * output_words
        if new_output:
            flags |= NEW_OUTPUT
        if psum_in:
            row[PSUM_BEATS] = cost[BEATS_PSUM]
            moved[2] = output_words * widths[2]
            sums[LOADED_PSUM] += output_words_of_all
        if will_move:
            flags |= STORE
            sums[STORED_ALL] += output_words_of_all
            if last:
                row[STORE_BEATS] = cost[BEATS_STORED]
                moved[3] = output_words * widths[3]
                sums[STORED_LAST] += output_words_of_all
            else:
                row[STORE_BEATS] = cost[BEATS_SPILLED]
                moved[3] = output_words * widths[2]
        issue = cost[FIRST_ISSUE]
        if accumulates:
            issue = cost[LATER_ISSUE]
            sums[ACCUMULATED] += output_words_of_all
        row[ISSUE], row[DRAIN], row[FLAGS] = issue, cost[SHAPE_DRAIN], flags
        sums[ISSUED] += tiles * issue
        sums[BEATS] += tiles * (row[INPUT_BEATS] + row[WEIGHT_BEATS] + row[PSUM_BEATS] + row[STORE_BEATS])

        level = depth - 1
        while level >= 0:
            piece[level] += 1
            if piece[level] < counts[level_of[level]]:
                break
            piece[level] = 0
            level -= 1
    rows[first_row, FLAGS] |= SWITCH
    return depth


@compiled
def count(c, sums, computes, widths, into):
    """Counters of mapping `c` into `into`, (any, C), from the words it moves; see lower_all."""
    psum_bits = widths[2]
    spilled = sums[STORED_ALL] - sums[STORED_LAST]
    into[DRAM_READ_BITS, c] = sums[LOADED_INPUT] * widths[0] + sums[LOADED_WEIGHT] * widths[1]
    into[DRAM_READ_BITS, c] += sums[LOADED_PSUM] * psum_bits
    into[DRAM_WRITE_BITS, c] = sums[STORED_LAST] * widths[3] + spilled * psum_bits
    into[ISSUE_CYCLES, c] = sums[ISSUED]
    into[INPUT_WRITE_BITS, c] = sums[WRITTEN_INPUT] * widths[4]
    into[WEIGHT_WRITE_BITS, c] = sums[WRITTEN_WEIGHT] * widths[5]
    # Outputs are read where they are accumulated on, and to be stored; of a product without taps there are none.
    into[OUTPUT_READ_BITS, c] = (sums[ACCUMULATED] + (sums[STORED_ALL] if computes else 0)) * psum_bits
    into[OUTPUT_WRITE_BITS, c] = sums[LOADED_PSUM] * psum_bits


@compiled
def lower_all(
    pieces,
    counts,
    shape_starts,
    costs,
    chosen,
    orders,
    dimensions_of,
    row_starts,
    touched,
    spilled,
    computes,
    widths,
    counted,
    rows,
    moved_bits,
    runs,
    depths,
    counters,
    port_beats,
    sums,
    walk,
):
    """Tile programs of the chosen mappings.

    chosen: (C,) tiling and orders: (C,) number of the order of each; dimensions_of: (orders, 6) dimensions of each
    order, outermost first; counted: (E, K) counters of tilings that no order changes; the rest as lower_one.
    Writes rows and moved bits of all (row_starts[C], 7 and 4) and runs (C, 6, most), given as zeros; depths (C,),
    counters (7 + E, C) and beats of the port (C,).
    """
    number = chosen.shape[0]
    for c in range(number):
        k = chosen[c]
        for i in range(SUMS):
            sums[i] = 0
        depths[c] = lower_one(
            pieces[k],
            counts[k],
            dimensions_of[orders[c]],
            shape_starts[k],
            costs,
            touched,
            spilled,
            computes,
            widths,
            row_starts[c],
            row_starts[c + 1],
            rows,
            moved_bits,
            runs[c],
            sums,
            walk,
        )
        count(c, sums, computes, widths, counters)
        for row in range(counted.shape[0]):
            counters[COUNTERS + row, c] = counted[row, k]
        port_beats[c] = sums[BEATS]


@compiled
def collapsed_all(rows, row_starts, runs, depths, timing, classes, state, levels):
    """Add cycles by class of each program of lower_all, alone on the machine, to classes, (C, 7).

    state, levels: see run_nest.
    """
    for c in range(depths.shape[0]):
        run_nest(state, rows[row_starts[c] : row_starts[c + 1]], runs[c, : depths[c]], timing, classes[c], levels)
