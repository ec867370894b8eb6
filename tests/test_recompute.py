"""Activation checkpointing: forward products, and elementwise work, that the backward pass runs again."""

import pytest

import bitsim
from bitsim.errors import InputError
from tests.conftest import LAYERS


@pytest.fixture
def recomputing(trace_folder):
    """The small trace with its convolution run twice more in the backward pass."""
    header, conv, *rest = LAYERS.splitlines()
    layers = "\n".join([header + ",recomputes", conv + ",2", *(line + "," for line in rest)]) + "\n"
    return bitsim.open_trace(trace_folder(layers=layers))


def test_recomputed_products_are_rows_that_cost_what_forward_costs(recomputing, trace_folder):
    trace, machine = recomputing, bitsim.load_hardware("bitfusion_16x32_192b")
    plain = bitsim.simulate(bitsim.open_trace(trace_folder(name="plain")), machine).totals
    whole, forward = bitsim.simulate(trace, machine), bitsim.simulate(trace, machine, passes=["forward"])
    rows = whole.rows.set_index(["layer", "pass"])
    again, first = rows.loc[("conv", "recompute")], rows.loc[("conv", "forward")]
    assert (again["occurrences"], first["occurrences"]) == (2, 1)
    assert again["cycles"] == first["cycles"] and again["energy_pj"] == first["energy_pj"]
    assert whole.totals["cycles"] == plain["cycles"] + 2 * first["cycles"] * 100
    assert whole.totals["macs"] == 100 * sum(x.training_macs(8) for x in trace.layers)
    assert set(forward.rows["pass"]) == {"forward", "recompute"}
    assert "recompute" not in set(bitsim.simulate(trace, machine, passes=["dgrad", "wgrad"]).rows["pass"])
    with pytest.raises(InputError, match="layer attend, forward"):  # the published model has no attention
        bitsim.simulate(trace, machine, passes=["forward"], timing="analytical")
    barrier, overlap = (bitsim.simulate(trace, machine, overlap=o).totals for o in ("barrier", "overlap"))
    assert overlap["macs"] == barrier["macs"] and overlap["cycles"] <= barrier["cycles"]


def test_recomputed_elementwise_work_is_rows_of_the_backward_pass(recomputing):
    machine = bitsim.load_hardware("bitfusion_16x32_192b")
    passes = ["forward", "wgrad", "elementwise"]
    result = bitsim.simulate(recomputing, machine, passes=passes)
    conv = result.rows[result.rows["layer"] == "conv"].set_index("pass")
    order = ["forward", "elementwise", "recompute", "elementwise_recompute", "elementwise_backward", "wgrad"]
    assert conv.index.to_list() == order
    assert conv["occurrences"].to_list() == [1, 1, 2, 2, 1, 1]
    assert conv.loc["elementwise_recompute", "energy_pj"] == conv.loc["elementwise", "energy_pj"]
    barrier, overlap = (bitsim.simulate(recomputing, machine, passes=passes, overlap=o) for o in ("barrier", "overlap"))
    assert overlap.totals["dram_read_bits"] == barrier.totals["dram_read_bits"]
    assert overlap.totals["cycles"] <= barrier.totals["cycles"]
    alone = bitsim.simulate(recomputing, machine, passes=["wgrad", "elementwise"]).rows
    assert "elementwise_recompute" not in set(alone["pass"])
