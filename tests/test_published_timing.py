"""Timing others have published or measured: the authors' array RTL, and compute cycles where every tile is full."""

from fractions import Fraction

import pytest

from bitsim.accelerators.registry import load_hardware
from bitsim.kernels.event import event_cycles
from bitsim.kernels.program import CLASSES, PortTiming
from bitsim.mapping import Mapping, execute
from bitsim.mapping.record import ORDERS, dimension_sizes
from bitsim.reproduce.published_rows import shipped
from bitsim.workload import FORWARD, Layer, lower

# First visible output of each column after the first operand, in cycles, no SRAM read in front:
# the systolic array RTL of BitFusion's authors, simulated.
AUTHORS_RTL = [(4, 4, [5, 6, 7, 8]), (8, 4, [9, 10, 11, 12]), (6, 3, [7, 8, 9])]


@pytest.mark.parametrize(("rows", "cols", "first_visible"), AUTHORS_RTL)
def test_drain_is_that_of_the_authors_rtl(rows, cols, first_visible):
    """The last column is visible `drain` cycles after the only issue; an SRAM read in front adds its cycles."""
    for sram_read in (0, 1):
        override = {"array.rows": rows, "array.cols": cols, "microarchitecture.sram_read_cycles": sram_read}
        accelerator = load_hardware("bitfusion_16x32_192b", override).accelerator
        assert accelerator.drain_cycles == first_visible[-1] + sram_read


def whole_layer(row):
    """Cycles by class of a published layer as one tile, all constants but the array's depth at zero."""
    n = {name: int(row[name]) for name in ("kernel", "out_size", "stride", "in_channels", "out_channels", "batch")}
    side = (n["out_size"] - 1) * n["stride"] + n["kernel"]
    window = (n["kernel"], n["kernel"], n["stride"], n["stride"])
    layer = Layer("layer", "conv", 1, n["in_channels"], n["out_channels"], side, side, *window)
    packing = "flattened" if int(row["im2col"]) else "per-tap"
    machine = load_hardware("bitfusion_16x32_192b", {"lane_packing": packing}).accelerator
    (product,) = lower(layer, FORWARD, n["batch"])
    datapath = machine.datapath(product, int(row["input_bits"]), int(row["weight_bits"]), 32)
    orientation = machine.orientations(product)[0]
    mapping = Mapping(orientation.name, tuple(dimension_sizes(product).values()), ORDERS[0])
    execution = execute(product, machine, datapath, orientation, mapping, Fraction(2**50))
    cycles = event_cycles(execution.tiles, PortTiming(0, 0, 0, 0).array())
    return dict(zip(CLASSES, cycles.tolist(), strict=True))


def test_published_compute_cycles_in_the_limit():
    """52 of the 61 rows; in the other nine, no powers of two in side or depth, edges were charged in full."""
    equal, others = 0, []
    for row in shipped("bitfusion_isca18_layers.csv"):
        cycles, published = whole_layer(row), int(row["compute_cycles"])
        # a grant and a beat for each operand loaded, the array's depth behind the last issue, a grant and a beat
        assert sum(cycles.values()) == 3 + cycles["issue"] + (16 + 32) + 2
        equal += cycles["issue"] == published
        if cycles["issue"] != published:
            assert cycles["issue"] < published
            others.append(row["layer"].split("_")[0].split("/")[0])
    assert equal == 52
    assert sorted(set(others)) == ["conv2", "conv3", "conv4", "conv5", "matmul"]
