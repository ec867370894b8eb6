"""Random programs, layers and machines for the property tests."""

from fractions import Fraction
from functools import cache

import numpy as np
from hypothesis import strategies as st

from bitsim.accelerators.registry import load_hardware
from bitsim.kernels.program import (
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
    Nest,
    PortTiming,
    runs_table,
)
from bitsim.mapping import Mapping, execute
from bitsim.mapping.record import ORDERS, dimension_sizes
from bitsim.workload import Layer, lower


def random_program(rng, count, scale, reduce_p, load_p):
    """(tiles, PortTiming): any program of `count` tiles a sequencer may be given.

    scale: sizes in cycles; reduce_p, load_p: how often tiles accumulate, and operands change.
    """
    first = np.arange(count) == 0
    new = first | (rng.random(count) >= reduce_p)
    load_input, load_weight = (first | (rng.random(count) < load_p) for _ in range(2))
    drain = rng.integers(1, 60)
    tiles = np.zeros((count, 7), np.int64)
    tiles[:, INPUT_BEATS] = rng.integers(0, 3 * scale, count) * load_input
    tiles[:, WEIGHT_BEATS] = rng.integers(0, 3 * scale, count) * load_weight
    tiles[:, PSUM_BEATS] = rng.integers(1, 2 * scale + 1, count) * (new & ~first & (rng.random(count) < 0.3))
    tiles[:, STORE_BEATS] = rng.integers(1, 2 * scale + 1, count)
    tiles[:, ISSUE] = rng.integers(0, 4 * scale, count)
    tiles[:, DRAIN] = np.where(rng.random(count) < 0.9, drain, rng.integers(1, 60, count))
    tiles[:, FLAGS] = (
        LOAD_INPUT * load_input
        + LOAD_WEIGHT * load_weight
        + NEW_OUTPUT * new
        + SWITCH * (first | (rng.random(count) < 0.1))
        + FENCE * (new & (rng.random(count) < 0.1))
        + STORE * np.append(new[1:], True)
    )
    return tiles, PortTiming(*rng.integers(0, [50, 4, 3, 9]).tolist())


SCALES, REDUCE, LOAD = (1, 3, 20, 200), (0.0, 0.3, 0.9), (0.1, 0.5, 1.0)


@st.composite
def tile_programs(draw, most_tiles=24):
    """(tiles, PortTiming): any program, in lengths from one cycle to hundreds a tile."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(1, most_tiles))
    return random_program(rng, count, *(draw(st.sampled_from(values)) for values in (SCALES, REDUCE, LOAD)))


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


def random_layer(rng, most_channels=9, most_extra=4):
    """A small convolution, linear layer or attention product of any kind.

    most_channels: of a group; most_extra: input rows and columns beyond what one output needs.
    """
    kind = rng.choice(["conv", "conv", "conv", "linear", "matmul"])
    groups = int(rng.choice([1, 1, 2, 3]))
    depthwise = kind == "conv" and groups > 1 and rng.random() < 0.3
    channels, outputs = ((1, 1) if depthwise else rng.integers(1, most_channels + 1, 2)) * np.full(2, groups)
    if kind != "conv":
        return Layer(
            "layer", kind, groups if kind == "matmul" else 1, int(channels), int(outputs), rows=int(rng.integers(1, 7))
        )
    kernel, stride, dilation = rng.integers(1, 4, 2), rng.integers(1, 4, 2), rng.integers(1, 3, 2)
    pads = rng.integers(0, 3, 4)
    least = np.maximum(1, dilation * (kernel - 1) + 1 - pads[:2] - pads[2:])
    sizes = least + rng.integers(0, most_extra + 1, 2)
    numbers = [groups, channels, outputs, *sizes, *kernel, *stride, *pads, *dilation]
    return Layer("layer", kind, *(int(n) for n in numbers))


def random_mapped_product(rng):
    """(Nest, PortTiming) of a product of a random layer, mapped at random on a random array."""
    rows, cols = (int(n) for n in rng.choice([1, 2, 4, 8, 16], 2))
    accelerator = _array(rows, cols)
    layer = random_layer(rng, int(rng.choice([4, 16, 64])), int(rng.choice([2, 12])))
    pass_name, samples = str(rng.choice(layer.passes())), int(rng.integers(1, 5))
    products = lower(layer, pass_name, samples)
    product = products[rng.integers(len(products))]
    bits = rng.choice([2, 3, 4, 8, 12], 3).tolist()
    datapath = accelerator.datapath(product, *bits[:2], None if product.writes_filter else bits[2])
    orientations = accelerator.orientations(product)
    orientation = orientations[rng.integers(len(orientations))]
    tile = tuple(int(rng.integers(1, size + 1)) for size in dimension_sizes(product).values())
    mapping = Mapping(orientation.name, tile, ORDERS[rng.integers(len(ORDERS))])
    rate = Fraction(int(rng.integers(1, 400)), int(rng.integers(1, 6)))
    nest = execute(product, accelerator, datapath, orientation, mapping, rate).nest
    return nest, PortTiming(*rng.integers(0, [100, 4, 4, 9]).tolist())


@cache
def _array(rows, cols):
    return load_hardware("bitfusion_16x32_192b", {"array.rows": rows, "array.cols": cols}).accelerator
