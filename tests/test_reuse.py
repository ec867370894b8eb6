"""Laws: reuse per operand and level adds up to the counters of the row, and never passes what the tensor allows."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsim.accelerators.registry import load_hardware
from bitsim.accelerators.seam import INPUT, OUTPUT, WEIGHT
from bitsim.mapping.reuse import reuse
from bitsim.simulation.cost import CostModel
from bitsim.workload import Layer, Widths, lower
from tests.test_workload import conv_layers

MACHINES = ("bitfusion_16x32_192b", "eyeriss_12x14_108k")
WIDTHS = Widths(4, 4, 8, 8, 4)


def parts_of(machine, cost, layer, pass_name, samples):
    products = lower(layer, pass_name, samples)
    datapaths = [machine.accelerator.datapath(p, *WIDTHS.operands(pass_name)) for p in products]
    return list(zip(products, datapaths, cost.mappings, strict=True))


@settings(max_examples=15, deadline=None)
@given(st.data(), conv_layers(), st.integers(1, 2), st.sampled_from(MACHINES))
def test_bits_of_all_operands_are_the_counters_of_the_row(data, layer, samples, name):
    machine = load_hardware(name)
    pass_name = data.draw(st.sampled_from(layer.passes()))
    cost = CostModel(machine).pass_cost(layer, pass_name, samples, WIDTHS)
    parts = parts_of(machine, cost, layer, pass_name, samples)
    found = reuse(machine.accelerator, parts)
    datapath = parts[0][1]
    bits = {INPUT: datapath.buffer_bits[0], WEIGHT: datapath.buffer_bits[1], OUTPUT: datapath.accumulator_bits}
    for buffer in machine.accelerator.buffers():
        for what in ("read", "write"):
            total = sum(
                getattr(level, f"{what}_words") * bits[role]
                for role, operand in found.items()
                for level in operand.levels
                if level.level == buffer.name
            )
            assert total == cost.values[f"{buffer.name}_{what}_bits"]
    fetched = {level.level: level.read_words for level in found[INPUT].levels}
    assert fetched.get("dram", 0) >= found[INPUT].tensor_words or not found[INPUT].macs
    for operand in found.values():
        assert operand.macs == cost.values["real_macs"]
        assert (operand.macs_per_access("dram") or 0) <= operand.most_macs_per_word


def test_one_tile_by_hand():
    """A linear layer of 32 x 64 on 2 samples fits whole: each word of DRAM once, and 32 columns share an input."""
    machine = load_hardware("bitfusion_16x32_192b")
    layer = Layer("fc", "linear", 1, 64, 32)
    cost = CostModel(machine).pass_cost(layer, "forward", 2, WIDTHS)
    found = reuse(machine.accelerator, parts_of(machine, cost, layer, "forward", 2))
    assert [found[role].tensor_words for role in (INPUT, WEIGHT, OUTPUT)] == [2 * 64, 32 * 64, 2 * 32]
    assert found[INPUT].macs == 2 * 32 * 64
    assert found[INPUT].macs_per_access("dram") == found[INPUT].most_macs_per_word == 32
    assert found[WEIGHT].macs_per_access("dram") == 2
    held = cost.mappings[0].orientation.holds
    streamed = INPUT if cost.values["orientation"] == "normal" else WEIGHT
    columns = 32 if streamed == INPUT else 2
    assert found[streamed].macs_per_access(held[streamed]) == columns
    assert found[OUTPUT].macs_per_access(held[OUTPUT]) == pytest.approx(64 / 2)  # written once, read for the store
    assert found[INPUT].macs_per_access("filter_buffer") is None
