"""Random layers, mapped at random: what a design-space exploration asks the timing engines for."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from bitsim import load_hardware
from bitsim.accelerators.seam import DIMENSIONS
from bitsim.kernels.program import Nest
from bitsim.mapping import Mapping, execute
from bitsim.mapping.record import ORDERS, dimension_sizes
from bitsim.workload import Layer, lower


def log_uniform(rng: np.random.Generator, most: int) -> int:
    """A whole number from 1 to `most`, log-uniform."""
    return int(most ** rng.random())


def random_nests(count: int, seed: int) -> list[Nest]:
    """Tile programs of `count` products: convolutions up to 512 channels, 56x56 outputs and a batch of 128.

    Every dimension is cut into up to 8 tiles on the 16x32 array with 192 bits a cycle.
    """
    rng = np.random.default_rng(seed)
    accelerator = load_hardware("bitfusion_16x32_192b").accelerator
    nests = []
    for _ in range(count):
        kernel = int(rng.choice([1, 1, 3, 3, 3, 5, 7]))
        side = log_uniform(rng, 56) + kernel - 1
        channels, outputs = log_uniform(rng, 512), log_uniform(rng, 512)
        stride = int(rng.choice([1, 1, 2]))
        layer = Layer("layer", "conv", 1, channels, outputs, side, side, kernel, kernel, stride, stride)
        product = lower(layer, str(rng.choice(layer.passes())), log_uniform(rng, 128))[0]
        bits = rng.choice([2, 3, 4, 6, 8], 2).tolist()
        datapath = accelerator.datapath(product, *bits, None if product.writes_filter else bits[0])
        orientation = accelerator.orientations(product)[0]
        sizes = dimension_sizes(product)
        tile = tuple(-(-sizes[d] // log_uniform(rng, 8)) for d in DIMENSIONS)
        mapping = Mapping(orientation.name, tile, ORDERS[rng.integers(len(ORDERS))])
        nests.append(execute(product, accelerator, datapath, orientation, mapping, Fraction(192)).nest)
    return nests
