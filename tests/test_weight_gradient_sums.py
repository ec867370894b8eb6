"""Is the weight gradient of a batch summed in enough bits, and read at the width it was written at?"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bitsim
from bitsim.errors import InputError
from bitsim.simulation.samples import SAMPLE_POLICIES, accumulations
from bitsim.trace import csv_table
from bitsim.trace.writer import write_trace
from bitsim.workload import Layer

FLEXIBLE, INTEGER = "bitfusion_16x32_192b", "eyeriss_12x14_108k"
ROWS = 2**15  # products a sample adds to each word of dW
WORDS = 8 * 8
KEPT_BITS = 2 * 32  # of a weight: its master copy and the momentum


def trace_of(folder, histogram, rows=ROWS):
    """One linear layer; histogram: {(activation bits, gradient bits): samples}, or a list of them, one an iteration."""
    histograms = [histogram] if isinstance(histogram, dict) else histogram
    batch = sum(histograms[0].values())
    run = {"schema": 1, "name": "t", "model": "m", "dataset": "d", "batch": batch, "iterations": len(histograms)}
    listed = [
        {"iteration_start": i, "iteration_end": i + 1, "layer": "fc", "samples": samples}
        | {"activation_bits": a, "weight_bits": 8, "gradient_bits": g}
        for i, of_iteration in enumerate(histograms)
        for (a, g), samples in of_iteration.items()
    ]
    layer = Layer("fc", "linear", 1, 8, 8, rows=rows)
    return write_trace(folder, run | {"source": "s", "synthetic": True}, [layer], listed)


def rows_of(trace, policy, hardware=FLEXIBLE, overrides=None, passes=("wgrad", "update"), **choices):
    """{pass: its rows}."""
    machine = bitsim.load_hardware(hardware, overrides or {})
    found = {}
    for row in bitsim.simulate(trace, machine, passes=passes, samples=policy, **choices).distinct():
        found.setdefault(row["pass"], []).append(row)
    return found


def total(rows, column):
    return sum(row[column] * row["occurrences"] * row["iterations"] for row in rows)


def read_modify_writes(rows):
    """{(bits of the sum as read, of what is added, of the sum as written): times an iteration}."""
    return {(r["input_bits"], r["weight_bits"], r["output_bits"]): r["occurrences"] for r in rows}


@pytest.mark.parametrize("hardware", [FLEXIBLE, INTEGER])
@pytest.mark.parametrize(
    ("policy", "partial_samples", "adds"),
    [("group", [3, 3], {(32, 32, 48): 1}), ("one-by-one", [1, 1], {(32, 32, 48): 1, (48, 32, 48): 4})],
)
def test_the_sum_is_sized_by_the_whole_batch(tmp_path, hardware, policy, partial_samples, adds):
    """8 + 8 - 1 + ceil(log2 K) bits: three samples' K of 98,304 needs 32, the batch's 196,608 needs 33."""
    rows = rows_of(trace_of(tmp_path / "t", {(7, 8): 3, (8, 8): 3}), policy, hardware, {"storage.dram": "raw"})
    assert [row["samples"] for row in rows["wgrad"]] == partial_samples
    assert {row["output_bits"] for row in rows["wgrad"]} == {32}
    assert read_modify_writes(rows["wgrad_accumulate"]) == adds
    for row in rows["wgrad_accumulate"]:
        assert (row["samples"], row["accumulator_bits"], row["required_accumulator_bits"]) == (6, 48, 33)
        assert row["dram_read_bits"] == WORDS * (row["input_bits"] + row["weight_bits"])
        assert (row["dram_write_bits"], row["vector_add_bits"]) == (WORDS * 48, WORDS * 48)
    (update,) = rows["update"]
    assert update["dram_read_bits"] == WORDS * (48 + KEPT_BITS)


@pytest.mark.parametrize(
    ("samples", "bits"), [(4, 32), (5, 48)], ids=["131,072 products fit", "one sample more does not"]
)
def test_both_sides_of_the_edge(tmp_path, samples, bits):
    rows = rows_of(trace_of(tmp_path / "t", {(8, 8): samples}), "one-by-one")
    assert {row["output_bits"] for row in rows["wgrad_accumulate"]} == {bits}
    assert total(rows["wgrad_accumulate"], "macs") == 0
    assert sum(row["occurrences"] for row in rows["wgrad_accumulate"]) == samples - 1


def test_each_gradient_is_read_at_its_own_width(tmp_path):
    """Above 8 bits 48, 31 x 31 on 15 bits of K 64 + 16; the narrowest begins, whatever the order of the trace."""
    trace = trace_of(tmp_path / "t", {(16, 8): 2, (31, 31): 1, (4, 4): 1, (3, 4): 2})
    rows = rows_of(trace, "group")
    assert sorted(row["output_bits"] for row in rows["wgrad"]) == [32, 32, 48, 80]
    assert read_modify_writes(rows["wgrad_accumulate"]) == {(32, 32, 80): 1, (80, 48, 80): 1, (80, 80, 80): 1}
    rows = rows_of(trace, "one-by-one")
    assert read_modify_writes(rows["wgrad_accumulate"]) == {
        (32, 32, 80): 1,
        (80, 32, 80): 1,
        (80, 48, 80): 2,
        (80, 80, 80): 1,
    }


any_width, narrow = st.sampled_from([2, 5, 7, 8, 9, 16, 31]), st.integers(5, 8)


@st.composite
def histograms(draw, width):
    """One to three iterations of a batch of 6."""
    found = []
    for _ in range(draw(st.integers(1, 3))):
        found.append({})
        for bits in draw(st.lists(st.tuples(width, width), min_size=6, max_size=6)):
            found[-1][bits] = found[-1].get(bits, 0) + 1
    return found


@settings(max_examples=30, deadline=None)
@given(histograms(any_width), st.sampled_from([FLEXIBLE, INTEGER]))
def test_what_is_written_is_read(tmp_path_factory, of_iterations, hardware):
    """Every bit of dW that is written is read once: by the next read-modify-write, the last sum by the update.

    Partial sums that a product spills are left out: it reads them itself.
    """
    trace = trace_of(tmp_path_factory.mktemp("p") / "t", of_iterations)
    updated, gradients = [], []
    for policy in SAMPLE_POLICIES:
        rows = rows_of(trace, policy, hardware)
        adds, updates = rows.get("wgrad_accumulate", []), rows["update"]
        written = WORDS * total(rows["wgrad"], "output_bits") + total(adds, "dram_write_bits")
        kept = WORDS * KEPT_BITS * len(of_iterations)
        assert written == total(adds, "dram_read_bits") + total(updates, "dram_read_bits") - kept
        assert all(
            row["accumulator_bits"] >= max(row["required_accumulator_bits"], row["input_bits"], row["weight_bits"])
            for row in adds
        )
        updated.append(updates)
        gradients.append(total(rows["wgrad"], "macs"))
    assert updated == [updated[0]] * 3
    assert gradients == [gradients[0]] * 3


@settings(max_examples=30, deadline=None)
@given(histograms(narrow), st.integers(27, 33))
def test_a_sum_that_does_not_fit_is_refused_however_samples_run(tmp_path_factory, of_iterations, bits):
    """Sums of 27 to 33 bits on accumulators of as many."""
    trace = trace_of(tmp_path_factory.mktemp("p") / "t", of_iterations)
    overrides = {"accumulator.policy": "error", "accumulator.bits": bits}
    refused = []
    for policy in SAMPLE_POLICIES:
        try:
            rows_of(trace, policy, FLEXIBLE, overrides, ("wgrad",))
            refused.append(False)
        except InputError as error:
            assert all("accumulator.bits: sums need" in fault for fault in error.faults)
            refused.append(True)
    assert refused == [refused[0]] * 3


def test_the_refusal_names_the_sum(tmp_path):
    """Each group's sum fits 32 bits, the batch's does not."""
    trace = trace_of(tmp_path / "t", {(7, 8): 3, (8, 8): 3})
    for policy, row in (("batch-max", "wgrad"), ("group", "wgrad_accumulate"), ("one-by-one", "wgrad_accumulate")):
        with pytest.raises(InputError) as caught:
            rows_of(trace, policy, FLEXIBLE, {"accumulator.policy": "error"}, ("wgrad",))
        (fault,) = caught.value.faults
        assert f"layer fc, {row}: accumulator.bits: sums need 33 bits, have 32" in fault


@pytest.mark.parametrize("policy", ["group", "one-by-one"])
def test_rows_of_the_trace_and_totals_agree_where_widths_mix(tmp_path, monkeypatch, policy):
    """Two iterations of one greatest width and one count of groups, but other widths of the sums in them."""
    monkeypatch.setattr(csv_table, "BLOCK_BYTES", 40)  # a run of rows for each iteration or two
    of_iterations = [{(2, 4): 1, (16, 8): 5}, {(12, 4): 1, (16, 8): 5}, {(2, 4): 1, (16, 8): 5}, {(16, 8): 6}]
    trace = trace_of(tmp_path / "t", of_iterations, rows=4)
    result = bitsim.simulate(trace, bitsim.load_hardware(FLEXIBLE), passes=["wgrad"], samples=policy)
    listed = [0] * len(of_iterations)
    read = [0] * len(of_iterations)
    for row in result.by_trace_row():
        listed[row["iteration_start"]] += row["cycles"] * row["occurrences"]
        if row["pass"] == "wgrad_accumulate":
            read[row["iteration_start"]] += row["dram_read_bits"] * row["occurrences"] // WORDS
    parts = 2 if policy == "group" else 6
    sums = 48 * (parts - 2)  # read once each, all but the last
    assert read[:3] == [32 + 48 * (parts - 1) + sums, 48 * parts + sums, 32 + 48 * (parts - 1) + sums]
    assert read[3] == (0 if policy == "group" else read[1])
    frame = result.per_iteration()
    assert [cycles for *_, cycles in each_iteration(frame)] == listed
    assert result.totals["cycles"] == sum(listed)
    part = bitsim.simulate(trace, result.machine, passes=["wgrad"], samples=policy, iterations=(1, 3))
    assert part.totals["cycles"] == sum(listed[1:3])
    together = bitsim.simulate(trace, result.machine, passes=["wgrad"], samples=policy, overlap="overlap")
    assert together.totals["dram_read_bits"] == result.totals["dram_read_bits"]


def each_iteration(frame):
    for start, end, cycles in zip(frame["iteration_start"], frame["iteration_end"], frame["cycles"], strict=True):
        for iteration in range(start, end):
            yield iteration, cycles


def test_a_sum_is_no_narrower_than_what_it_sums(tmp_path):
    """A batch of floats and of integers wider than those: together all run at 16 bits, apart some need 64 or 80."""
    rows = rows_of(trace_of(tmp_path / "t", {(32, 32): 1, (24, 24): 2, (31, 31): 1}), "group")
    assert read_modify_writes(rows["wgrad_accumulate"]) == {(48, 64, 80): 1, (80, 80, 80): 1}
    assert [row["input_bits"] for row in rows["update"]] == [80]


def test_accumulations_by_hand():
    assert accumulations({}, 32) == accumulations({48: 1}, 48) == {}
    assert accumulations({32: 4}, 32) == {(32, 32): 3}
    assert accumulations({32: 4}, 48) == {(32, 32): 1, (48, 32): 2}
    assert accumulations({48: 2, 32: 1}, 64) == {(32, 48): 1, (64, 48): 1}
