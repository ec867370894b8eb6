"""Side by side: laws of a comparison, what it says is not equal, and the demo as a stranger runs it."""

import json
import re

import pandas as pd
import pytest

import bitsim
from bitsim.simulation.compare import PASS_ORDER

MACHINES = ("bitfusion_16x32_192b", "eyeriss_12x14_108k_500mhz")


@pytest.fixture
def results(trace_folder):
    trace = bitsim.open_trace(trace_folder())
    return [bitsim.simulate(trace, bitsim.load_hardware(name)) for name in MACHINES]


def test_parts_add_up_to_the_run(results):
    comparison = bitsim.compare(results)
    passes, layers = comparison.by_pass(), comparison.by_layer()
    for result in results:
        mine = passes[passes.hardware == result.machine.name]
        total = mine[mine["pass"] == "total"].iloc[0]
        assert total.cycles == mine[mine["pass"] != "total"].cycles.sum() == result.totals["cycles"]
        assert total.energy_j == pytest.approx(result.totals["energy_j"])
        assert layers[layers.hardware == result.machine.name].cycles.sum() == total.cycles
        parts = [f"{name}_j" for name in comparison.components]
        assert mine[parts].sum(axis=1).to_numpy() == pytest.approx(mine.energy_j.to_numpy())


def test_ratios_are_to_the_baseline(results):
    for baseline in MACHINES:
        table = bitsim.compare(results, baseline).by_layer()
        own = table[table.hardware == baseline]
        assert (own.speedup == 1).all() and (own.energy_ratio == 1).all()
    forward, backward = (bitsim.compare(results, b).geometric_means() for b in MACHINES)
    assert forward[MACHINES[1]]["speedup"] * backward[MACHINES[0]]["speedup"] == pytest.approx(1)


def test_equal_machines_compare_as_one(trace_folder, tmp_path):
    trace = bitsim.open_trace(trace_folder())
    first = bitsim.load_hardware(MACHINES[0])
    twin = tmp_path / "twin.yaml"
    twin.write_text(first.source.path.read_text())
    comparison = bitsim.compare([bitsim.simulate(trace, m) for m in (first, bitsim.load_hardware(twin))])
    assert comparison.differences() == {}
    assert (comparison.by_layer()[["speedup", "energy_ratio"]] == 1).all().all()


def test_differences_are_named(trace_folder):
    trace = bitsim.open_trace(trace_folder())
    changed = {"clock": "250 MHz", "memory.energy": "DDR4", "technology.sram_cells": "itrs-hp"}
    machines = [bitsim.load_hardware(MACHINES[0]), bitsim.load_hardware("int8_16x32_192b", changed)]
    found = bitsim.compare([bitsim.simulate(trace, m) for m in machines]).differences()
    assert set(found) == {"clock", "DRAM prices", "SRAM cells", "storage"}
    assert found["clock"] == {MACHINES[0]: "500 MHz", "int8_16x32_192b": "250 MHz"}


def test_command_forms(trace_folder, bitsim_command):
    options = [part for name in MACHINES for part in ("--hw", name)]
    status, text, _ = bitsim_command("compare", trace_folder(), *options, "--format", "json", "--baseline", MACHINES[1])
    document = json.loads(text)
    assert status == 0 and document["baseline"] == MACHINES[1]
    assert {row["pass"] for row in document["by_pass"]} <= {*PASS_ORDER, "total"}
    status, text, _ = bitsim_command("compare", trace_folder(), *options, "--format", "csv")
    assert status == 0 and text.startswith("hardware,layer,pass,cycles,")
    status, text, _ = bitsim_command("compare", trace_folder(), *options)
    assert status == 0 and text.index("Not equal") < text.index("by pass") < text.index("geometric mean")


def test_no_figure_is_broken_over_two_lines(bitsim_command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    options = [part for name in MACHINES for part in ("--hw", name)]
    status, text, _ = bitsim_command("compare", "resnet20_digits_pfq", *options)
    layers = text[text.index("by layer") :]
    assert status == 0 and re.search(r"\d\.\d{3}e\+07 ", layers)
    assert not [line for line in layers.splitlines() if re.fullmatch(r"\s*[\d.]+\s*", line)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--hw", MACHINES[0]], "needs two or more"),
        (["--hw", MACHINES[0], "--hw", MACHINES[0]], "given twice"),
        (["--hw", MACHINES[0], "--hw", MACHINES[1], "--baseline", "nobody"], "nobody: is none of"),
        (["--hw", MACHINES[0], "--hw", MACHINES[1], "--baseline", ""], "is none of"),
    ],
)
def test_bad_comparisons(trace_folder, bitsim_command, options, message):
    status, out, err = bitsim_command("compare", trace_folder(), *options)
    assert status == 2 and out == "" and message in err


def test_demo(bitsim_command, tmp_path):
    out = tmp_path / "demo"
    status, text, err = bitsim_command("demo", "--out", out)
    assert status == 0, err
    assert (out / "training.png").read_bytes().startswith(b"\x89PNG")
    assert {"rows.parquet", "iterations.parquet", "summary.json"} <= {p.name for p in out.iterdir()}
    frame = pd.read_parquet(out / "iterations.parquet")
    stages = frame[frame.hardware == MACHINES[0]].energy_j.round(9).unique()
    assert len(stages) >= 4  # each rung of the ladder costs more
    assert "geometric mean" in text
    page = (out / "report.html").read_text()
    assert MACHINES[0] in page and len(page.encode()) < 6e6
    status, _, err = bitsim_command("demo", "--out", out)
    assert status == 2 and "not empty" in err
