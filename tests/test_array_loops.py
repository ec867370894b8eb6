"""Counters of weight-stationary and bit-serial tiles equal those of playing their loops, on random layers."""

from fractions import Fraction

import numpy as np
import pytest

from bitsim.accelerators.registry import load_hardware
from bitsim.mapping import Mapping, execute
from bitsim.mapping.record import ORDERS, dimension_sizes
from bitsim.workload import lower
from tests import array_loops
from tests.strategies import random_layer


def random_tile(rng, accelerator):
    """(product, datapath, orientation index, counters) of a random product as one tile."""
    layer = random_layer(rng, 5, 3)
    products = lower(layer, str(rng.choice(layer.passes())), int(rng.integers(1, 3)))
    product = products[rng.integers(len(products))]
    bits = rng.integers(1, 18, 2).tolist()
    datapath = accelerator.datapath(product, *bits, None if product.writes_filter else 8)
    choices = accelerator.orientations(product)
    chosen = int(rng.integers(len(choices)))
    mapping = Mapping(choices[chosen].name, tuple(dimension_sizes(product).values()), ORDERS[0])
    counters = execute(product, accelerator, datapath, choices[chosen], mapping, Fraction(192)).counters
    return product, datapath, chosen, counters


def test_weight_stationary_tiles_read_and_write_what_their_loops_do():
    rng, swaps = np.random.default_rng(30), 0
    for _ in range(150):
        shape = {"array.rows": int(rng.integers(1, 6)), "array.cols": int(rng.integers(1, 6))}
        accelerator = load_hardware("weight_stationary_int8_16x32_192b", shape).accelerator
        product, datapath, swapped, counters = random_tile(rng, accelerator)
        if not product.taps:
            continue
        folds, read, (written, again) = array_loops.weight_stationary(product, *shape.values(), datapath, swapped)
        buffers = ("weight", "input") if swapped else ("input", "weight")
        for role, buffer in zip(("input", "weight"), buffers, strict=True):
            assert counters[f"{buffer}_buffer_read_bits"] == read[role], (role, swapped, product)
        bits = datapath.accumulator_bits
        assert counters["output_buffer_write_bits"] == written * bits
        assert counters["output_buffer_read_bits"] == (again + product.output_words) * bits  # and once for the store
        registers_bits = accelerator.rows * accelerator.cols * 8
        assert counters["weight_planes_write_bits"] == folds * (accelerator.rows + 1) * registers_bits
        swaps += swapped
    assert swaps > 20


@pytest.mark.parametrize("name", ["stripes_like_16x16_192b", "loom_like_16x128_192b"])
def test_bit_serial_tiles_read_and_write_what_their_loops_do(name):
    rng = np.random.default_rng(31)
    for _ in range(100):
        shape = dict(zip(("array.rows", "array.cols", "lanes"), rng.integers(1, 6, 3).tolist(), strict=True))
        accelerator = load_hardware(name, shape).accelerator
        product, datapath, _, counters = random_tile(rng, accelerator)
        both = accelerator.precision.serial == "both"
        turns = datapath.weight_hw_bits if both else datapath.weight_slices
        steps, read, written = array_loops.bit_serial(product, *shape.values(), datapath, turns)
        assert counters["issue_cycles"] == steps * datapath.input_hw_bits * turns
        if not product.taps:
            continue
        assert counters["input_buffer_read_bits"] == read["input"]
        assert counters["weight_buffer_read_bits"] == read["weight"]
        assert counters["output_buffer_write_bits"] == written * datapath.accumulator_bits
