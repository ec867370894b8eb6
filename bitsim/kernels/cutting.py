"""Many tilings of one product cut into the few different tiles they consist of, and what those cost beside each other.

Dimensions are columns 0 to 5 of every table, in the order of accelerators.seam.DIMENSIONS; rows and columns
(2 and 3) have halos, so their tiles differ also inside the dimension.

A dimension of a tiling is cut into *pieces*, runs of equal tiles: the first and the last tile alone, what is
between them where the halo stays the same.  Neighbouring pieces whose tiles have one shape are one *kind*; the
shapes of a tiling are all combinations of kinds, dimension 5 varying fastest.
"""

from __future__ import annotations

from bitsim.kernels.compile import compiled

DIMENSIONS = 6
GROUPS, BATCH, ROWS, COLS, OUTPUTS, CHANNELS = range(DIMENSIONS)
# Rows of shapes after those of the dimensions.
INPUT_ROWS, INPUT_COLS = 6, 7
# Columns of the pieces of a dimension: tiles, own size, distinct inputs, real taps, number of the kind.
TILES, OWN, INPUTS, REAL_TAPS, KIND = range(5)
# Columns of the costs of a shape: its words, what the accelerator says of it, then beats of the port.
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
SHAPE_COSTS, TRANSFERS = 13, 4
# Rows of what the accelerator says of shapes.
GIVEN_FIRST, GIVEN_LATER, GIVEN_DRAIN, GIVEN_WRITTEN = range(4)
ALWAYS_GIVEN, ALL_GIVEN = 3, 5
# What no loop order of a tiling changes, before its counters.
ALL_ISSUE, ALL_TILES, FIRST_COUNTER = range(3)


@compiled
def cut_dimension(pieces, size, tile, halo, first, last):
    """Pieces of a dimension of `size` in tiles of `tile` into `pieces`, (most, 5); returns how many, the rest is left.

    halo: (n, 3) int64: first tile, distinct inputs and real taps of each run of tiles equal in both; rows
    [first, last) are this dimension's.  None (first == last): tiles differ in their own size alone.
    """
    trips = -(-size // tile)
    count, run, at, kind = 0, first, 0, 0
    own_before, inputs_before = 0, 0
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
        own, inputs, taps = min(tile, size - at * tile), 0, 1
        if last > first:
            inputs, taps = halo[run, 1], halo[run, 2]
        if count > 0 and (own != own_before or inputs != inputs_before):
            kind += 1
        piece = pieces[count]
        piece[TILES], piece[OWN], piece[INPUTS], piece[REAL_TAPS], piece[KIND] = end - at, own, inputs, taps, kind
        own_before, inputs_before = own, inputs
        count += 1
        at = end
    return count


@compiled
def cut_all(sizes, tilings, halo, halo_first, places, pieces, counts, starts):
    """Cut every dimension of every tiling; returns how many shapes there are of all.

    sizes: (6,); tilings: (K, 6); halo: see cut_dimension; halo_first: (boxes, 2, 2) first and last row of `halo`
    for rows and for columns; places: (K,) box of each.
    Writes pieces (K, 6, 3 more than rows of `halo` of a tiling, 5), how many (K, 6), and starts (K + 1,): the first
    shape of each.
    """
    starts[0] = 0
    for k in range(tilings.shape[0]):
        number = 1
        for d in range(DIMENSIONS):
            first, last = 0, 0
            if d in (ROWS, COLS):
                first, last = halo_first[places[k], d - ROWS, 0], halo_first[places[k], d - ROWS, 1]
            counts[k, d] = cut_dimension(pieces[k, d], sizes[d], tilings[k, d], halo, first, last)
            number *= pieces[k, d, counts[k, d] - 1, KIND] + 1
        starts[k + 1] = starts[k] + number
    return starts[tilings.shape[0]]


@compiled
def shapes_of(pieces, counts, of_output, starts, shapes, tiles):
    """Write the shapes of every tiling, one after the other.

    pieces, counts, starts: of cut_all; of_output: (6,) bool, dimensions the output depends on.
    Writes shapes (8, N): sizes of the six dimensions, distinct input rows and columns; and
    tiles (N, 3): tiles of the shape, those of them first to write their outputs, real taps of all of them.
    """
    tilings = pieces.shape[0]
    for s in range(starts[tilings]):
        for column in range(3):
            tiles[s, column] = 1
    for k in range(tilings):
        stride = 1
        for d in range(DIMENSIONS - 1, -1, -1):
            of, count = pieces[k, d], counts[k, d]
            kinds = of[count - 1, KIND] + 1
            for kind in range(kinds):
                number, first, taps, own, inputs = 0, 0, 0, 0, 0
                for p in range(count):
                    piece = of[p]
                    if piece[KIND] == kind:
                        number += piece[TILES]
                        taps += piece[TILES] * piece[REAL_TAPS]
                        own, inputs = piece[OWN], piece[INPUTS]
                        if p == 0 and not of_output[d]:
                            first = 1
                if of_output[d]:
                    first = number
                if d == BATCH:
                    taps = number * own
                for run in range(starts[k] + kind * stride, starts[k + 1], kinds * stride):
                    for s in range(run, run + stride):
                        shapes[d, s] = own
                        if d == ROWS:
                            shapes[INPUT_ROWS, s] = inputs
                        elif d == COLS:
                            shapes[INPUT_COLS, s] = inputs
                        tiles[s, 0] *= number
                        tiles[s, 1] *= first
                        tiles[s, 2] *= taps
            stride *= kinds


@compiled
def priced(
    shapes,
    taps,
    writes_filter,
    given,
    each,
    per_tile,
    starts,
    tiles,
    widths,
    numerator,
    denominator,
    spilled,
    costs,
    sums,
    bounds,
):
    """Costs of every shape as lowering reads them, and their sums over the tiles of each tiling.

    shapes, starts, tiles: of shapes_of; taps: of the kernel; given: (3 or 5, N), issue
    cycles of the first tile over a reduction and of any other, drain, and words of input and weight that a load writes
    where they are not those it fetches; each: (E, N) counters of a shape, the first `per_tile` of
    them once a tile and the others once a real tap; widths: of mapping.batch.word_widths; numerator, denominator: bits
    a cycle of the port.
    Writes costs (N, 13); adds to sums (2 + E, K); raises bounds (5,) to the most of any cost and of any counter of a
    shape, the bits of the largest transfer, and the most tiles and real taps of a tiling, by which the caller tells
    whether anything could have passed int64.
    """
    for k in range(starts.shape[0] - 1):
        real_taps = 0
        for s in range(starts[k], starts[k + 1]):
            pairs, samples = shapes[GROUPS, s] * shapes[OUTPUTS, s], shapes[GROUPS, s] * shapes[BATCH, s]
            filters = pairs * shapes[CHANNELS, s] * taps
            maps = pairs * shapes[BATCH, s] * shapes[ROWS, s] * shapes[COLS, s]
            costs[s, INPUT_WORDS] = samples * shapes[INPUT_ROWS, s] * shapes[INPUT_COLS, s] * shapes[CHANNELS, s]
            costs[s, WEIGHT_WORDS] = maps if writes_filter else filters
            costs[s, OUTPUT_WORDS] = filters if writes_filter else maps
            for role in range(2):
                other = given.shape[0] == ALL_GIVEN
                costs[s, INPUT_WRITTEN + role] = (
                    given[GIVEN_WRITTEN + role, s] if other else costs[s, INPUT_WORDS + role]
                )
            first, later = given[GIVEN_FIRST, s], given[GIVEN_LATER, s]
            costs[s, FIRST_ISSUE], costs[s, LATER_ISSUE], costs[s, SHAPE_DRAIN] = first, later, given[GIVEN_DRAIN, s]
            for transfer in range(TRANSFERS):
                # Partial sums and outputs are the same words at two widths.
                bits = costs[s, INPUT_WORDS + min(transfer, 2)] * widths[transfer]
                bounds[2] = max(bounds[2], bits)
                costs[s, BEATS_IN + transfer] = (bits * denominator + numerator - 1) // numerator  # whole beats
            costs[s, BEATS_SPILLED] = costs[s, BEATS_PSUM]
            for column in range(SHAPE_COSTS):
                bounds[0] = max(bounds[0], costs[s, column])
            sums[ALL_TILES, k] += tiles[s, 0]
            sums[ALL_ISSUE, k] += tiles[s, 1] * (later if spilled else first) + (tiles[s, 0] - tiles[s, 1]) * later
            real_taps += tiles[s, 2]
            for counter in range(each.shape[0]):
                count = each[counter, s]
                bounds[1] = max(bounds[1], count)
                sums[FIRST_COUNTER + counter, k] += count * tiles[s, 0 if counter < per_tile else 2]
        bounds[3] = max(bounds[3], sums[ALL_TILES, k])
        bounds[4] = max(bounds[4], real_taps)
