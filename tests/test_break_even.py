"""Break-even widths: each step of a ladder is a run at that width, twins never win, equal machines share a table."""

import json

import pytest

import bitsim
from bitsim.report.break_even_text import spans
from bitsim.simulation.break_even import SCHEDULES, WIDTHS, BreakEven, WidthRatios, break_even, ladder_trace, steps
from bitsim.simulation.sensitivity import METRICS
from tests.conftest import PRECISION

FLEXIBLE, FIXED = "bitfusion_16x32_192b", "int8_16x32_192b"


def machines(*names):
    return [bitsim.load_hardware(name) for name in names]


def test_a_step_of_the_ladder_is_a_run_at_its_width(trace_folder, tmp_path):
    ladder = ladder_trace(bitsim.open_trace(trace_folder()), tmp_path / "ladder")
    assert ladder.run.iterations == len(steps()) == len(SCHEDULES) * len(WIDTHS)
    (machine,) = machines(FLEXIBLE)
    for schedule, bits, cells in (("static", 3, "3,3,3"), ("mixed", 2, "2,2,8")):
        at = steps().index((schedule, bits))
        head = PRECISION.splitlines()[0]
        rows = "\n".join(f"0,100,{layer},,{cells}" for layer in ("conv", "fc", "attend"))
        static = bitsim.open_trace(trace_folder(precision=f"{head}\n{rows}\n", name=schedule))
        one, whole = bitsim.simulate(ladder, machine, iterations=(at, at + 1)), bitsim.simulate(static, machine)
        assert one.totals["cycles"] * 100 == whole.totals["cycles"]
        assert one.totals["energy_j"] * 100 == pytest.approx(whole.totals["energy_j"])


def test_ratios_are_those_of_the_runs(trace_folder, tmp_path):
    trace = bitsim.open_trace(trace_folder())
    found = break_even(trace, machines(FIXED, FLEXIBLE), FIXED, ["none"], bitsim.simulate)
    ladder = ladder_trace(trace, tmp_path / "ladder")
    at = steps().index(("static", 4))
    fixed, flexible = (
        bitsim.simulate(ladder, machine, iterations=(at, at + 1)).totals for machine in machines(FIXED, FLEXIBLE)
    )
    (point,) = [p for p in found.of("none", FLEXIBLE, "static") if p.bits == 4]
    assert point.ratios["time"] == pytest.approx(fixed["latency_s"] / flexible["latency_s"])
    assert point.ratios["energy"] == pytest.approx(fixed["energy_j"] / flexible["energy_j"])
    assert point.ratios["EDP"] == pytest.approx(point.ratios["time"] * point.ratios["energy"])


def test_a_twin_never_wins(trace_folder, tmp_path):
    twin = tmp_path / "twin.yaml"
    twin.write_text(bitsim.load_hardware(FIXED).source.path.read_text())
    trace = bitsim.open_trace(trace_folder())
    found = break_even(trace, machines(FIXED, twin), FIXED, ["none", "core-area", "memory"], bitsim.simulate)
    assert {ratio for p in found.points for ratio in p.ratios.values()} == {1.0}
    assert all(found.winning_bits(*line, metric) == () for line in found.lines for metric in METRICS)
    assert found.alike("twin") == {"none": ("none", "core-area", "memory")}


def test_winning_widths_need_not_be_neighbours():
    ratios = {2: 1.2, 3: 1.003, 4: 1.1, 5: 0.9}  # 1.003 is within a tie
    points = tuple(WidthRatios("none", "a", "static", b, dict.fromkeys(METRICS, r)) for b, r in ratios.items())
    found = BreakEven("b", "t", points, {"none": {"a": "as given"}})
    assert found.winning_bits("none", "a", "static", "time") == (2, 4)
    assert [spans(bits) for bits in ((2, 4), (2, 3, 4), (), (2, 3, 4, 7))] == [
        "2, 4 bits",
        "2-4 bits",
        "never",
        "2-4, 7 bits",
    ]


def test_the_command_prints_and_draws(trace_folder, bitsim_command, tmp_path):
    call = ("compare", trace_folder(), "--hw", FIXED, "--hw", FLEXIBLE, "--break-even")
    status, out, _ = bitsim_command(*call, "--picture", tmp_path / "lines.svg")
    assert status == 0 and "Widths at which each beats int8_16x32_192b:" in out
    assert "core-area" in (tmp_path / "lines.svg").read_text()
    document = json.loads(bitsim_command(*call, "--iso", "chip-area", "--grow", "cols", "--format", "json")[1])
    assert set(document["changes"]) == {"chip-area"} and len(document["points"]) == len(steps())
    csv = bitsim_command(*call, "--iso", "memory", "--format", "csv")[1].splitlines()
    assert csv[0] == "iso,hardware,schedule,bits,time,energy,EDP" and len(csv) == 1 + len(steps())
