"""A sweep: which points, what is computed again, what is left out, what fails, what a front is."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bitsim
from bitsim import data
from bitsim.area import area_of
from bitsim.errors import InputError
from bitsim.exploration import constraint
from bitsim.exploration.ranges import values
from bitsim.exploration.result import Sweep, effects, front
from bitsim.mapping.memo import SearchMemo
from tests.sweep_tools import GRID, small


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8,16,32", [8, 16, 32]),
        ("8:32:+8", [8, 16, 24, 32]),
        ("8:31:+8", [8, 16, 24]),
        ("32KiB:512KiB:x2", ["32 KiB", "64 KiB", "128 KiB", "256 KiB", "512 KiB"]),
        ("0.1 V:0.3 V:+0.1 V", ["0.1 V", "0.2 V", "0.3 V"]),
        ("1:8:x2,12", [1, 2, 4, 8, 12]),
        ("24Gbit/s:96Gbit/s:x2", ["24 Gbit/s", "48 Gbit/s", "96 Gbit/s"]),
        ("per-tap,flattened", ["per-tap", "flattened"]),
        ("true,1.5", [True, 1.5]),
    ],
)
def test_values(text, expected):
    assert values(text) == expected


@pytest.mark.parametrize(
    "text",
    (
        *("8:32", "8:32:2", "32:8:+8", "8:32:+0", "8:32:x1", "0:32:x2", "1:1000000:+1", "a:b:+1", "1:2:x2KiB"),
        *("8KiB:32MiB:x2", "8KiB:32KiB:+8", "8,,16", "8,8", "32KiB,32 KiB"),
    ),
)
def test_values_that_are_none(text):
    with pytest.raises(InputError):
        values(text)


POINT = {
    "area_mm2": 4.0,
    "array.rows": 16,
    "weight_buffer": "64 KiB",
    "hardware": "a",
    "clock": "500 MHz",
    "gone": None,
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("area_mm2<=4", True),
        ("area_mm2 < 4", False),
        ("weight_buffer >= 64KiB", True),
        ("weight_buffer > 0.0625 MiB", False),
        ("clock==0.5GHz", True),
        ("hardware == 'a' and not array.rows>16", True),
        ("array.rows*2+1 == 33 or area_mm2<0", True),
        ("(array.rows - 6) / 5 >= 2", True),
        ("(array.rows > 20 or area_mm2 < 5) and -array.rows < -15", True),
        ("2*(array.rows+1) != 34", False),
        ("gone <= 1", False),
        ("not gone <= 1", False),
        ("area_mm2 / (array.rows - 16) < 1", False),  # of a result that turns out zero: the sweep goes on
        ("not area_mm2 / (array.rows - 16) < 1", False),
        ("array.rows<=1.6e1", True),
    ],
)
def test_constraint(text, holds):
    assert constraint.parse(text).holds(POINT.__getitem__) is holds


@pytest.mark.parametrize(
    "text",
    (
        *(
            "",
            "area_mm2",
            "area_mm2 <=",
            "1 < 2 < 3",
            "(area_mm2 < 5",
            "area_mm2 < 5)",
            "a = 5",
            "__import__('os') < 1",
        ),
        *(
            "__import__('os') < 1",
            "a < 5 and",
            "a < 5 XB",
            "a; b",
            "a < 3 b < 4",
            "(" * 40 + "a" + ")" * 40 + "<1",
            "not " * 40 + "a<1",
        ),
    ),
)
def test_constraint_that_cannot_be_read(text):
    with pytest.raises(InputError, match="--where"):
        constraint.parse(text)


@pytest.mark.parametrize("text", ["hardware < 3", "area_mm2 / (array.rows - 16) < 1"])
def test_constraint_that_cannot_be_decided(text):
    with pytest.raises(InputError, match="--where"):
        constraint.parse(text).check_values(POINT.__getitem__)


def test_every_point_equals_its_own_simulation(trace_folder):
    """What points share changes none of them, not in the last bit."""
    trace, machine = small(trace_folder())
    found = bitsim.sweep(trace, machine, GRID)
    assert len(found.frame) == 8 and not found.failures and not found.left_out
    grid = list(itertools.product([8, 16], ["16 KiB", "64 KiB"], ["24 Gbit/s", "96 Gbit/s"]))
    for row, (rows, size, bandwidth) in zip(found.frame.to_dict("records"), grid, strict=True):
        overrides = {"array.rows": rows, "weight_buffer": size, "memory.bandwidth": bandwidth}
        alone = bitsim.load_hardware(machine.name, overrides)
        totals = bitsim.simulate(trace, alone).totals
        assert {name: row[name] for name in totals} == totals
        assert {key: row[key] for key in overrides} == overrides
        assert (row["hardware"], row["trace"]) == (machine.name, trace.name)
        assert row["config_hash"] == alone.source.config_hash
        assert row["area_mm2"] == area_of(alone).chip_mm2


@pytest.mark.parametrize("objective", ["cycles", "energy", "edp"])
def test_a_price_maps_and_times_nothing_again(trace_folder, objective):
    """Every key that only prices depend on: the same shortlists, another energy."""
    trace, machine = small(trace_folder())
    memo = SearchMemo()
    first = bitsim.simulate(trace, machine, objective=objective, memo=memo).totals
    known = len(memo)
    assert known
    for overrides in ({"memory.energy": "DDR3"}, {"technology.sram_cells": "itrs-hp"}, {"buffer_access_bits": 64}):
        other = bitsim.load_hardware(machine.name, overrides)
        again = bitsim.simulate(trace, other, objective=objective, memo=memo).totals
        assert again["energy_j"] != first["energy_j"]
        assert len(memo) == known
        assert again == bitsim.simulate(trace, other, objective=objective).totals


MACHINES = (
    "bitfusion_16x32_192b",
    "eyeriss_12x14_108k_500mhz",
    "loom_like_16x128_192b",
    "weight_stationary_int8_16x32_192b",
)


def test_every_accelerator_is_among_the_machines():
    shipped = {bitsim.load_hardware(name).source.accelerator for name in data.names("hw_configs", ".yaml")}
    assert {bitsim.load_hardware(name).source.accelerator for name in MACHINES} == shipped


@pytest.mark.parametrize("name", MACHINES)
def test_no_answer_of_a_machine_depends_on_what_its_structure_leaves_out(trace_folder, name):
    """Sizes, clock, memory and prices moved one by one: a memo full of the others' findings changes nothing."""
    trace, memo = bitsim.open_trace(trace_folder()), SearchMemo()
    sizes = bitsim.load_hardware(name).accelerator.size_keys
    assert sizes
    changes = [{}, {"clock": "250 MHz"}, {"memory.latency": "20 ns"}, {"memory.turnaround_cycles": 3}]
    changes += [{key: "64 KiB"} for key in sizes] + [{"buffer_access_bits": 128}, {"technology.sram_cells": "itrs-hp"}]
    for overrides in changes:
        machine = bitsim.load_hardware(name, overrides)
        with_memo = bitsim.simulate(trace, machine, memo=memo)
        pd.testing.assert_frame_equal(with_memo.rows, bitsim.simulate(trace, machine).rows, check_exact=True)


def test_constraints_leave_points_out_before_and_after(trace_folder):
    trace, machine = small(trace_folder())
    simulated = []
    found = bitsim.sweep(
        trace,
        machine,
        {"array.rows": [4, 8, 16], "array.cols": [16, 32]},
        where=["array.rows * array.cols <= 256", "input_buffer == 32KiB and accumulator.bits < 40"],
        progress=lambda done, total, records: simulated.append((done, total)),
    )
    assert list(zip(found.frame["array.rows"], found.frame["array.cols"], strict=True)) == [
        (4, 16),
        (4, 32),
        (8, 16),
        (8, 32),
        (16, 16),
    ]
    assert simulated[0] == (1, 6) and simulated[-1] == (6, 6)
    most = area_of(bitsim.load_hardware(machine.name, {"array.rows": 8})).chip_mm2
    few = bitsim.sweep(trace, machine, {"array.rows": [4, 8, 16]}, where=f"area_mm2 <= {most!r} and cycles > 1")
    assert few.frame["array.rows"].tolist() == [4, 8] and few.left_out == 1


@pytest.mark.parametrize(
    "where",
    [
        "memory.bandwidth / clock <= 192 bits and memory.latency * clock < 1000",
        "latency_s < 5ms and latency_s * 2 < 0.01 and latency_s * clock == cycles",
        "dram_read_bits < 1GiB and dram_read_bits < 1e9 and dram_read_bits / weight_buffer < 1e6",
        "weight_buffer + input_buffer > 2 * 1KiB and hardware != 'other' and -weight_buffer < 0 * 1B",
        "hardware == 'eyeriss_12x14_108k_500mhz' or input_buffer > 1B",
        "hardware != 'eyeriss_12x14_108k_500mhz' or weight_spad > 1 words",
    ],
)
def test_constraints_of_quantities_that_are_alike(trace_folder, where):
    trace, machine = small(trace_folder())
    machines = [machine, bitsim.load_hardware("eyeriss_12x14_108k_500mhz")]
    found = bitsim.sweep(trace, machines, where=where, passes=("forward",))
    assert machine.name in found.frame["hardware"].tolist()


def test_a_point_that_fails_stops_no_other(trace_folder):
    """Nothing fits into a buffer of 8 bytes; a machine's own key is null for another."""
    trace, machine = small(trace_folder())
    other = bitsim.load_hardware("eyeriss_12x14_108k_500mhz")
    parameters = {f"{machine.name}:output_buffer": ["8 B", "16 KiB"], "array.rows": [8, 16]}
    found = bitsim.sweep(trace, [machine, other], parameters)
    assert len(found.frame) == 4 and len(found.failures) == 2
    assert {next(iter(failure.overrides.items())) for failure in found.failures} == {("output_buffer", "8 B")}
    assert all("output_buffer" in str(failure) for failure in found.failures)
    mine = found.frame["hardware"] == machine.name
    assert found.frame["output_buffer"][mine].tolist() == ["16 KiB"] * 2
    assert found.frame["output_buffer"][~mine].isna().all()
    assert (found.frame["global_buffer_read_bits"][mine] == 0).all()


@pytest.mark.parametrize(
    ("parameters", "choices", "fault"),
    [
        ({"array.rws": [8]}, {}, "array.rws: unknown key, did you mean rows"),
        ({"array.rows": [8, 0]}, {}, "array.rows: 0: allowed: 1 or more"),
        ({"nobody:array.rows": [8]}, {}, "nobody is none of the machines given"),
        ({"memory.energy": ["DDR3", "LPDDR9"]}, {}, "LPDDR9: unknown DRAM"),
        ({"array.rows": []}, {}, "no value"),
        ({"array.rows": [8, 8]}, {}, "stands twice"),
        ({"array.rows": "8:9"}, {}, "a range is"),
        ({"array.rows": [8], "bitfusion_16x32_192b:array.rows": [16]}, {}, "set twice"),
        ({"array.rows": "1:4000:+1", "array.cols": "1:4000:+1"}, {}, "allowed 10,000,000"),
        (
            {"memory.bandwidth": ["24 Gbit/s"], "bitfusion_16x32_192b:memory.bits_per_cycle": [64]},
            {},
            "memory.bandwidth and memory.bits_per_cycle say the same, allowed: one of them",
        ),
        ({"memory.latency": ["60 ns"], "memory.latency_cycles": [30, 40]}, {}, "say the same, allowed: one of them"),
        ({}, {"where": "are_mm2 < 5"}, "did you mean area_mm2"),
        ({}, {"minimise": ["energy"]}, "--pareto: energy"),
        ({}, {"timing": "analytical"}, "the model has no dgrad, dgrad_second, wgrad, allowed: --passes forward"),
        ({}, {"timing": "analytical", "passes": ("forward",), "overlap": "overlap"}, "--overlap overlap is not said"),
        ({}, {"minimise": ["latency_s", "latency_s"]}, "--pareto: latency_s stands twice"),
        ({}, {"where": "energy_j < 1/0"}, "divides by zero"),
        ({}, {"where": "energy_j > 0 or energy_j / (2 - 2) < 3"}, "divides by zero"),
        ({"array.rows": [8, 16]}, {"where": "1 / (array.rows - 16) < 1"}, "divides by zero"),
        ({}, {"where": "energy_j + hardware < 3"}, "compares text with a number"),
        ({}, {"where": "energy_j > 0 or energy_j + hardware < 3"}, "energy_j is a number, hardware is no number"),
        (
            {},
            {"where": "clock < 8 KiB"},
            "compares clock, a frequency, with 8 KiB, a size, allowed for clock: Hz, kHz, MHz, GHz",
        ),
        (
            {},
            {"where": "array.rows < 8KiB"},
            "array.rows, a number, .* allowed for array.rows: a number without a unit",
        ),
        (
            {},
            {"where": "cycles < 0 and weight_buffer < 3"},
            "weight_buffer, a size, with 3, a number, allowed for weight_buffer: bit, bits, B, KiB, ",
        ),
        ({}, {"where": "3 == weight_buffer"}, "allowed for weight_buffer: bit, bits, B, KiB, "),
        ({"memory.bandwidth": ["24 Gbit/s"]}, {"where": "memory.bandwidth > 1"}, "memory.bandwidth: bit/s, Mbit/s, "),
        ({}, {"where": "memory.latency * clock < 30ns"}, "with 30ns, a time, allowed for .*: a number without a unit"),
        ({}, {"where": "weight_buffer + clock < 3"}, "compares weight_buffer, a size, with clock, a frequency"),
        ({}, {"where": "latency_s < 8KiB"}, "latency_s, a number or a time, with 8KiB, a size"),
        ({}, {"where": "array.rows == 'a'"}, "compares text with a number"),
        ({"precision.float": [16, "error"]}, {"where": "precision.float < 20"}, "compares text with a number"),
        ({}, {"where": "array < 3"}, "array is no number"),
        ({}, {"search": 0}, "--search: 0"),
        ({}, {"jobs": 0}, "--jobs: 0"),
        ({}, {"backend": "mpi"}, "allowed: local, dask"),
        ({}, {"backend": "dask"}, "needs --scheduler"),
        ({}, {"scheduler": "tcp://127.0.0.1:1"}, "is of --backend dask"),
    ],
)
def test_bad_input(trace_folder, tmp_path, parameters, choices, fault):
    trace, machine = small(trace_folder())
    with pytest.raises(InputError, match=fault):
        bitsim.sweep(trace, machine, parameters, out=tmp_path / "out", **choices)
    assert not (tmp_path / "out").exists()


def test_values_that_only_some_combinations_allow_are_no_bad_input(trace_folder):
    """max_bits 4 is below min_bits 8 in one of two points: that point fails, the sweep does not."""
    trace, machine = small(trace_folder())
    found = bitsim.sweep(
        trace, machine, {"precision.min_bits": [2, 8], "precision.max_bits": [8, 4]}, passes=("forward",)
    )
    assert len(found.frame) == 3 and len(found.failures) == 1
    assert "min_bits 8 is above max_bits 4" in str(found.failures[0])


RECORDS = st.lists(
    st.fixed_dictionaries({"x": st.integers(0, 6), "y": st.integers(0, 6), "trace": st.sampled_from("ab")}), max_size=40
)


@given(RECORDS)
@settings(max_examples=200, deadline=None)
def test_front_is_what_nothing_beats(records):
    def beats(one, other):
        no_worse = one["x"] <= other["x"] and one["y"] <= other["y"]
        return one["trace"] == other["trace"] and no_worse and (one["x"] < other["x"] or one["y"] < other["y"])

    expected = {i for i, r in enumerate(records) if not any(beats(other, r) for other in records)}
    found = front(records, ["x", "y"])
    assert set(found) == expected and len(found) == len(expected)


def test_points_that_lack_a_column_are_in_no_front():
    """Utilisation of a trace of which no layer ran."""
    record = {"trace": "t", "hardware": "h", "rows": 8, "energy_j": 1.0}
    records = [record | {"utilisation": value, "rows": rows} for rows, value in ((8, None), (16, 0.5), (32, 0.2))]
    assert front(records, ["utilisation"]) == [2]
    assert front(records[:1], ["utilisation", "energy_j"]) == []
    sweep = Sweep(records, ("rows",), (), 0, {})
    assert sweep.order("utilisation") == [2, 1]
    assert [row["utilisation"] for row in effects(records[1:], ["rows"], ["utilisation"])] == [1.0, pytest.approx(0.4)]
    (nothing, *_) = effects(records, ["rows"], ["utilisation"])
    assert np.isnan(nothing["utilisation"])


def test_effects_are_ratios_of_pairs_alike_in_all_else():
    """cost = rows^-1 x 3 where deep: each effect is found alone, though the grid has a hole."""
    records = [
        {"trace": "t", "hardware": "h", "rows": rows, "deep": deep, "cost": (3.0 if deep else 1.0) / rows}
        for rows in (1, 2, 4)
        for deep in (False, True)
        if (rows, deep) != (4, True)
    ]
    found = {
        (r["parameter"], r["value"]): (r["pairs"], r["cost"]) for r in effects(records, ["rows", "deep"], ["cost"])
    }
    assert found == {
        ("rows", 1): (2, pytest.approx(1)),
        ("rows", 2): (2, pytest.approx(1 / 2)),
        ("rows", 4): (1, pytest.approx(1 / 4)),
        ("deep", False): (3, pytest.approx(1)),
        ("deep", True): (2, pytest.approx(3)),
    }


def test_pareto_top_and_effects_of_a_sweep(trace_folder):
    found = bitsim.sweep(*small(trace_folder()), GRID)
    best = found.pareto("latency_s", "energy_j")
    assert best["latency_s"].is_monotonic_increasing and (np.diff(best["energy_j"]) < 0).all()
    assert found.top(2)["latency_s"].tolist() == sorted(found.frame["latency_s"])[:2]
    assert found.effects("cycles")["parameter"].unique().tolist() == list(GRID)
    with pytest.raises(InputError, match="latency: not a column of numbers, did you mean latency_s"):
        found.pareto("latency")
