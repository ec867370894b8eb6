"""Random programs, layers and machines for the property tests."""

import numpy as np
from hypothesis import strategies as st

from bitsim.kernels.program import (
    FENCE,
    LOAD_INPUT,
    LOAD_WEIGHT,
    NEW_OUTPUT,
    STORE,
    SWITCH,
    Nest,
    PortTiming,
    runs_table,
)


@st.composite
def tile_programs(draw, max_tiles=24):
    """(tiles, PortTiming): any program a sequencer may be given, in lengths from one cycle to hundreds."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    count = draw(st.integers(1, max_tiles))
    scale = draw(st.sampled_from([1, 3, 20, 200]))
    reduce_p, load_p = draw(st.sampled_from([0.0, 0.3, 0.9])), draw(st.sampled_from([0.1, 0.5, 1.0]))
    drain = int(rng.integers(1, 60))
    tiles = np.zeros((count, 7), np.int64)
    for j in range(count):
        new = j == 0 or rng.random() >= reduce_p
        load_input, load_weight = j == 0 or rng.random() < load_p, j == 0 or rng.random() < load_p
        tiles[j, 0] = rng.integers(0, 3 * scale) if load_input else 0
        tiles[j, 1] = rng.integers(0, 3 * scale) if load_weight else 0
        tiles[j, 2] = rng.integers(1, 2 * scale + 1) if new and j and rng.random() < 0.3 else 0
        tiles[j, 3] = rng.integers(1, 2 * scale + 1)
        tiles[j, 4] = rng.integers(0, 4 * scale)
        tiles[j, 5] = drain if rng.random() < 0.9 else rng.integers(1, 60)
        tiles[j, 6] = (
            LOAD_INPUT * load_input
            + LOAD_WEIGHT * load_weight
            + NEW_OUTPUT * new
            + SWITCH * (j == 0 or rng.random() < 0.1)
            + FENCE * (new and rng.random() < 0.1)
        )
    for j in range(count):
        if j == count - 1 or tiles[j + 1, 6] & NEW_OUTPUT:
            tiles[j, 6] |= STORE
    timing = PortTiming(
        int(rng.integers(0, 50)), int(rng.integers(0, 4)), int(rng.integers(0, 3)), int(rng.integers(0, 9))
    )
    return tiles, timing


@st.composite
def nests(draw, most_tiles=3000):
    """(Nest, PortTiming): loops of runs over random tiles; anything goes that a program may hold."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    levels = draw(st.integers(0, 4))
    runs, total = [], 1
    for _ in range(levels):
        level = [1, *(int(n) for n in rng.integers(1, draw(st.sampled_from([2, 5, 40])), rng.integers(0, 3))), 1]
        if total * sum(level) <= most_tiles:
            runs.append(level)
            total *= sum(level)
    table = runs_table(runs)
    count = int(np.prod([len(level) for level in runs]))
    scale = draw(st.sampled_from([1, 3, 20, 200]))
    rows = rng.integers(0, np.array([scale, scale, scale, 2 * scale, 4 * scale, 60, 64]), (count, 7))
    rows[:, 2] *= (rows[:, 6] & NEW_OUTPUT > 0) & (rng.random(count) < 0.3)
    rows[0, 6] |= LOAD_INPUT | LOAD_WEIGHT | NEW_OUTPUT | SWITCH
    latency, turnaround, setup, reconfigure = rng.integers(0, [50, 4, 3, 9]).tolist()
    return Nest(rows, table), PortTiming(latency, turnaround, setup, reconfigure)
