"""Rows without barriers: in which order they run, what waits for what, and what it changes."""

import numpy as np
import pytest

import bitsim
from bitsim.simulation.overlap import in_order
from bitsim.simulation.rows import Row
from bitsim.simulation.run import passes_of
from bitsim.workload import Layer

TRAFFIC = ("dram_read_bits", "dram_write_bits", "weight_buffer_read_bits", "array_pj", "issue_cycles")


def row(layer, pass_name, occurrences=1):
    return Row(layer, f"layer{layer}", pass_name, 1, occurrences, None, None)


def test_order_and_what_reads_what():
    rows = [row(0, "forward"), row(0, "wgrad"), row(1, "forward", 2), row(1, "dgrad"), row(1, "wgrad", 2)]
    rows += [row(1, "wgrad_accumulate"), row(2, "forward"), row(2, "dgrad"), row(2, "wgrad")]
    listed = [(s.row.layer_index, s.row.pass_name, s.reads) for s in in_order(rows)]
    assert listed == [
        (0, "forward", -1),
        (1, "forward", 0),
        (1, "forward", 0),
        (2, "forward", 2),
        (2, "dgrad", 3),
        (2, "wgrad", 3),
        (1, "dgrad", 4),
        (1, "wgrad", 4),
        (1, "wgrad", 4),
        (1, "wgrad_accumulate", 8),
        (0, "wgrad", 6),
    ]


@pytest.mark.parametrize("samples", ["batch-max", "group"])
@pytest.mark.parametrize("hardware", ["bitfusion_16x32_192b", "eyeriss_12x14_108k"])
def test_overlap_moves_the_same_bits_in_no_more_cycles(hardware, samples):
    trace, machine = bitsim.open_trace("resnet20_digits_pfq"), bitsim.load_hardware(hardware)
    choices = {"iterations": (0, 400), "samples": samples}
    barrier = bitsim.simulate(trace, machine, **choices)
    overlap = bitsim.simulate(trace, machine, overlap="overlap", **choices)
    for name in TRAFFIC:
        if name in barrier.totals:
            assert overlap.totals[name] == pytest.approx(barrier.totals[name], rel=1e-12)
    assert 0.9 * barrier.totals["cycles"] < overlap.totals["cycles"] < barrier.totals["cycles"]
    classes = overlap.rows[[c for c in overlap.rows if c.endswith("_cycles") and c != "stall_cycles"]].sum(axis=1)
    np.testing.assert_array_equal(classes, overlap.rows["cycles"])
    per_iteration = overlap.per_iteration()
    length = per_iteration["iteration_end"] - per_iteration["iteration_start"]
    assert (per_iteration["cycles"] * length).sum() == overlap.totals["cycles"]
    by_row = sum(r["cycles"] * r["occurrences"] * r["iterations"] for r in overlap.by_trace_row())
    assert by_row == overlap.totals["cycles"]


def test_one_row_alone_costs_what_it_costs_behind_a_barrier():
    trace, machine = bitsim.open_trace("resnet38_cifar_fw8bw8"), bitsim.load_hardware("bitfusion_16x32_192b")
    one = {"passes": ["dgrad"], "iterations": (0, 1)}
    barrier, overlap = (bitsim.simulate(trace, machine, overlap=o, **one) for o in ("barrier", "overlap"))
    first = barrier.rows["layer"].iloc[-1]
    assert overlap.rows.set_index("layer").loc[first, "wait_load_cycles"].min() > 0  # nothing hides the first load
    assert len(overlap.rows) == len(barrier.rows)


def test_a_recomputation_runs_before_the_gradients_of_its_layer():
    rows = [row(0, "forward"), row(0, "wgrad"), row(1, "forward"), row(1, "recompute", 2), row(1, "dgrad")]
    rows += [row(1, "wgrad"), row(2, "forward"), row(2, "dgrad")]
    assert [(s.row.layer_index, s.row.pass_name, s.reads) for s in in_order(rows)][3:] == [
        (2, "dgrad", 2),
        (1, "recompute", 0),
        (1, "recompute", 0),
        (1, "dgrad", 3),
        (1, "wgrad", 3),
        (0, "wgrad", 6),
    ]


def test_what_stands_behind_a_layer_runs_again_right_after_its_recomputation():
    layers = [Layer("layer0", "linear", 1, 8, 8, needs_dgrad="false"), Layer("layer1", "linear", 1, 8, 8, recomputes=2)]
    chosen = frozenset({"forward", "recompute", "dgrad", "wgrad", "elementwise"})
    rows = [row(i, name, times) for i, layer in enumerate(layers) for name, times in passes_of(layer, chosen)]
    assert [(s.row.layer_index, s.row.pass_name, s.reads) for s in in_order(rows)] == [
        (0, "forward", -1),
        (0, "elementwise", 0),
        (1, "forward", 1),
        (1, "elementwise", 2),
        (1, "recompute", 1),
        (1, "recompute", 1),
        (1, "elementwise_recompute", 5),
        (1, "elementwise_recompute", 5),
        (1, "elementwise_backward", 3),
        (1, "dgrad", 8),
        (1, "wgrad", 8),
        (0, "elementwise_backward", 9),
        (0, "wgrad", 11),
    ]
