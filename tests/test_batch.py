"""Many mappings lowered at once are, number for number, those lowered one by one."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsim import load_hardware
from bitsim.accelerators.seam import DIMENSIONS
from bitsim.kernels.collapsed import collapsed_cycles
from bitsim.kernels.cutting import BEATS_IN, INPUT_WORDS, OUTPUT_WORDS, WEIGHT_WORDS
from bitsim.kernels.engines import each_alone
from bitsim.mapping import Mapping, execute
from bitsim.mapping.batch import cut, rows_of
from bitsim.mapping.batch import lower as lower_batch
from bitsim.mapping.record import ORDERS, dimension_sizes
from bitsim.mapping.spots import spots_from
from bitsim.workload import Layer, lower
from tests.test_workload import conv_layers

MACHINES = (
    "bitfusion_16x32_192b",
    "int8_16x32_192b",
    "eyeriss_12x14_108k",
    "eyeriss_16x16_128k",
    "weight_stationary_int8_16x32_192b",
    "stripes_like_16x16_192b",
    "loom_like_16x128_192b",
)


def batch(product, machine, datapath, orientation, table, chosen, orders):
    accelerator = machine.accelerator
    spots = spots_from(table[:, 1:4], product.batch, product.rows, product.cols)
    found = cut(product, accelerator, datapath, orientation, table, spots, np.arange(len(table)), machine.rate)
    return found, lower_batch(product, accelerator, orientation, found, chosen, orders, rows_of(found, chosen))


def assert_same(product, machine, bits, orientation, tilings, picks):
    """picks: (tiling, order) of each mapping."""
    accelerator, port = machine.accelerator, machine.port.array()
    datapath = accelerator.datapath(product, bits[0], bits[1], None if product.writes_filter else bits[2])
    table = np.array(tilings, np.int64)
    chosen, order = (np.array(column, np.int64) for column in zip(*picks, strict=True))
    found, lowered = batch(product, machine, datapath, orientation, table, chosen, order)
    classes = each_alone("collapsed", lowered.programs, port)
    for c, (k, o) in enumerate(picks):
        one = execute(product, accelerator, datapath, orientation, Mapping("", tilings[k], ORDERS[o]), machine.rate)
        nest = lowered.programs.nest(c)
        np.testing.assert_array_equal(nest.rows, one.nest.rows)
        starts = lowered.programs.row_starts
        np.testing.assert_array_equal(lowered.moved_bits[starts[c] : starts[c + 1]], one.moved_bits)
        assert lowered.port_beats[c] == one.port_beats
        np.testing.assert_array_equal(nest.runs[:, : one.nest.runs.shape[1]], one.nest.runs)
        assert not nest.runs[:, one.nest.runs.shape[1] :].any()
        assert lowered.counters(c) == one.counters
        assert found.issue_cycles[k] == one.counters["issue_cycles"]
        np.testing.assert_array_equal(classes[c], collapsed_cycles(one.nest.rows, one.nest.runs, port))


@settings(max_examples=250, deadline=None)
@given(
    st.data(), conv_layers(), st.integers(1, 3), st.sampled_from(MACHINES), st.sampled_from(["trace", "accumulator"])
)
def test_batch_equals_execute(data, layer, samples, name, outputs):
    machine = load_hardware(name, {"outputs": outputs})
    pass_name = data.draw(st.sampled_from(layer.passes()))
    product = data.draw(st.sampled_from(lower(layer, pass_name, samples, data.draw(st.booleans()))))
    bits = [data.draw(st.sampled_from([1, 2, 4, 8, 12])) for _ in range(3)]
    orientation = data.draw(st.sampled_from(machine.accelerator.orientations(product)))
    sizes = dimension_sizes(product)
    draw_tile = st.tuples(*(st.integers(1, sizes[d]) for d in DIMENSIONS))
    tilings = data.draw(st.lists(draw_tile, min_size=1, max_size=3))
    pick = st.tuples(st.integers(0, len(tilings) - 1), st.integers(0, len(ORDERS) - 1))
    assert_same(product, machine, bits, orientation, tilings, data.draw(st.lists(pick, min_size=1, max_size=4)))


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("outputs", ["trace", "accumulator"])
def test_every_order_of_tiles_uneven_in_every_dimension(name, outputs):
    """Of a strided 1x1 convolution, whose dgrad has a phase with a tap and three without one."""
    machine = load_hardware(name, {"outputs": outputs})
    layer = Layer("layer", "conv", 3, 9, 9, 9, 9, stride_h=2, stride_w=2)
    assert sorted(product.taps for product in lower(layer, "dgrad", 3)) == [0, 0, 0, 1]
    for product in (product for pass_name in layer.passes() for product in lower(layer, pass_name, 3)):
        tiling = tuple(min(2, size) for size in dimension_sizes(product).values())
        for orientation in machine.accelerator.orientations(product):
            assert_same(
                product, machine, (4, 8, 8), orientation, [tiling], [(0, order) for order in range(len(ORDERS))]
            )


@pytest.mark.parametrize(
    "rate", [Fraction(192), Fraction(7, 3), Fraction(2**58 + 1, 2**51), Fraction(2**70 + 1, 2**64)]
)
def test_beats_of_a_cut_are_exact_at_any_rate(rate):
    """Rates whose products with bits pass int64, and rates that are themselves beyond it."""
    machine = load_hardware("bitfusion_16x32_192b")
    (product,) = lower(Layer("layer", "conv", 1, 40, 24, 9, 9, 3, 3, padding_h=1, padding_w=1), "forward", 2)
    datapath = machine.accelerator.datapath(product, 8, 4, 8)
    table = np.array([[1, 1, 4, 9, 24, 13]], np.int64)
    spots = spots_from(table[:, 1:4], product.batch, product.rows, product.cols)
    (orientation,) = machine.accelerator.orientations(product)
    found = cut(product, machine.accelerator, datapath, orientation, table, spots, np.zeros(1, np.int64), rate)
    words = found.costs[:, [INPUT_WORDS, WEIGHT_WORDS, OUTPUT_WORDS, OUTPUT_WORDS, OUTPUT_WORDS]]
    bits = [*datapath.dram_bits, datapath.accumulator_bits, datapath.output_bits, datapath.accumulator_bits]
    beats = [
        [-(-count * width * rate.denominator // rate.numerator) for count, width in zip(row, bits, strict=True)]
        for row in words.tolist()
    ]
    assert found.costs[:, BEATS_IN:].tolist() == beats
