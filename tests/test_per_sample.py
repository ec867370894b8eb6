"""Samples of different widths: each policy costs what a plain reading of it says, on random histograms."""

import csv
import functools
import io
import itertools
import json
import re
import shlex
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bitsim
from bitsim.simulation.cost import CostModel
from bitsim.simulation.policies import compare_policies
from bitsim.simulation.samples import SAMPLE_POLICIES
from bitsim.simulation.streams import accumulation
from bitsim.trace.writer import write_trace
from bitsim.workload import Layer, Widths

BATCH = 6
MACHINES = ("bitfusion_16x32_192b", "eyeriss_12x14_108k")
LAYERS = (
    Layer("conv", "conv", 1, 3, 8, 6, 6, 3, 3, 1, 1, 1, 1, 1, 1, needs_dgrad="false", gate_group="block"),
    Layer("fc", "linear", 1, 40, 10, gate_group="block"),
    Layer("attend", "matmul", 2, 16, 8, rows=4),
)
PAGE = Path(__file__).parent.parent / "docs" / "per_sample.md"

histograms = st.lists(
    st.tuples(st.integers(0, BATCH), *(st.sampled_from([2, 3, 4, 8, 12]) for _ in range(3))), min_size=1, max_size=4
)


@cache
def model(hardware):
    return CostModel(bitsim.load_hardware(hardware))


@cache
def added(hardware, layer, samples, widths, so_far_bits, added_bits, sum_bits):
    """A read-modify-write of dW, each operand at its width."""
    stream = functools.partial(
        accumulation,
        model(hardware).machine.accelerator,
        LAYERS[layer],
        samples,
        Widths(*widths),
        (so_far_bits, added_bits),
        sum_bits,
    )
    return model(hardware).stream_cost(LAYERS[layer], "wgrad_accumulate", stream).values


@cache
def cost(hardware, layer, pass_name, samples, widths):
    return model(hardware).pass_cost(LAYERS[layer], pass_name, samples, Widths(*widths)).values


def reference(hardware, layer, histogram, policy):
    """[(pass, samples, occurrences, cost)] of one layer in one iteration, sample by sample; {widths: samples}."""
    samples = [widths for widths, count in histogram.items() for _ in range(count)]
    if not samples:
        return []
    widest = tuple(max(values) for values in zip(*samples, strict=True))
    if policy == "batch-max":
        runs = [(len(samples), widest)]
    elif policy == "group":
        runs = [(len(list(same)), widths) for widths, same in itertools.groupby(sorted(samples))]
    else:
        runs = [(1, widths) for widths in samples]
    rows = [(name, n, cost(hardware, layer, name, n, widths)) for name in LAYERS[layer].passes() for n, widths in runs]
    if "wgrad" in LAYERS[layer].passes():
        sum_bits = cost(hardware, layer, "wgrad", len(samples), widest)["output_bits"]
        so_far, *others = sorted(cost(hardware, layer, "wgrad", n, widths)["output_bits"] for n, widths in runs)
        for bits in others:
            between = added(hardware, layer, len(samples), widest, so_far, bits, sum_bits)
            rows.append(("wgrad_accumulate", len(samples), between))
            so_far = sum_bits
    return rows


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(histograms, min_size=3, max_size=3), min_size=1, max_size=3), st.sampled_from(MACHINES))
def test_policies_cost_what_they_say(tmp_path_factory, iterations, hardware):
    rows, expected = [], {policy: [] for policy in SAMPLE_POLICIES}
    for iteration, of_layers in enumerate(iterations):
        ran = {policy: [] for policy in SAMPLE_POLICIES}
        for layer, parts in enumerate(of_layers):
            filled = [*parts, (BATCH - sum(n for n, *_ in parts), 2, 2, 2)]
            if filled[-1][0] < 0:
                filled = [(BATCH, *parts[0][1:])]
            histogram = {}
            for samples, a, w, g in filled:
                rows.append((iteration, iteration + 1, LAYERS[layer].name, samples, a, w, g))
                histogram[a, w, g, g, a] = histogram.get((a, w, g, g, a), 0) + samples
            for policy in SAMPLE_POLICIES:
                ran[policy] += [(layer, *row) for row in reference(hardware, layer, histogram, policy)]
        for policy in SAMPLE_POLICIES:
            expected[policy].append(ran[policy])
    names = ["iteration_start", "iteration_end", "layer", "samples", "activation_bits", "weight_bits", "gradient_bits"]
    run = {"schema": 1, "name": "t", "model": "m", "dataset": "d", "batch": BATCH, "iterations": len(iterations)}
    trace = write_trace(
        tmp_path_factory.mktemp("p") / "t",
        run | {"source": "s", "synthetic": True},
        LAYERS,
        [dict(zip(names, row, strict=True)) for row in rows],
    )
    machine = bitsim.load_hardware(hardware)
    for policy, of_iterations in expected.items():
        result = bitsim.simulate(trace, machine, samples=policy)
        flat = [row for ran in of_iterations for row in ran]
        for name in ("cycles", "issue_cycles", "macs", "dram_read_bits", "dram_write_bits", "bit_ops"):
            assert result.totals[name] == sum(values[name] for *_, values in flat), (policy, name)
        assert result.totals["energy_pj"] == pytest.approx(sum(values["energy_pj"] for *_, values in flat))
        frame = result.per_iteration()
        assert frame["cycles"].tolist() == [sum(values["cycles"] for *_, values in ran) for ran in of_iterations]
        assert frame["energy_pj"].tolist() == pytest.approx(
            [sum(values["energy_pj"] for *_, values in ran) for ran in of_iterations]
        )
        listed = sorted(
            (r["iteration_start"], r["layer"], r["pass"], r["samples"], r["cycles"])
            for r in result.by_trace_row()
            for _ in range(r["occurrences"])
        )
        assert listed == sorted(
            (i, LAYERS[layer].name, name, n, values["cycles"])
            for i, ran in enumerate(of_iterations)
            for layer, name, n, values in ran
        )
        totals = {}
        for r in result.distinct():
            key = r["layer"], r["pass"], r["samples"]
            totals[key] = totals.get(key, 0) + r["occurrences"] * r["iterations"]
        counted = {}
        for layer, name, n, _ in flat:
            counted[LAYERS[layer].name, name, n] = counted.get((LAYERS[layer].name, name, n), 0) + 1
        assert totals == counted


@pytest.mark.parametrize("hardware", MACHINES)
@pytest.mark.parametrize(("layer", "words"), [(0, 8 * 3 * 9), (1, 40 * 10)])
def test_an_accumulation_reads_two_and_writes_one(hardware, layer, words):
    """dW of the sum and of the group come in, each at its width, their sum goes out; no MACs."""
    values = added(hardware, layer, 4, (4, 4, 8, 8, 4), 32, 48, 64)
    moved = (values["dram_read_bits"], values["dram_write_bits"])
    assert (*moved, values["macs"]) == (words * (32 + 48), words * 64, 0)
    assert sum(values[f"{name}_cycles"] for name in ("issue", "stall")) == values["cycles"]
    rate = float(bitsim.load_hardware(hardware).rate)
    assert values["cycles"] >= sum(moved) / rate


def gated_trace(folder, gates=("gate.project.0", "gate.lstm@2")):
    """conv, the gate's products, then the block they decide for."""
    gate = [Layer(name, "linear", 1, 8, 4, needs_dgrad="false") for name in gates]
    block = [Layer(name, "linear", 1, 40, 40, gate_group="block") for name in ("block.a", "investigate.b")]
    layers = [Layer("conv", "linear", 1, 40, 40), *gate, *block]
    place = {"iteration_start": 0, "iteration_end": 3}
    rows = [place | {"layer": x.name} | dict.fromkeys(WIDTHS, 32) for x in layers if not x.gate_group]
    for samples, bits in ((4, 2), (2, 8)):
        rows.append(place | {"layer": "gate:block", "samples": samples} | dict.fromkeys(WIDTHS, bits))
    run = {"schema": 1, "name": "t", "model": "m", "dataset": "d", "batch": BATCH, "iterations": 3, "source": "s"}
    return write_trace(folder, run | {"synthetic": True}, layers, rows)


WIDTHS = ("activation_bits", "weight_bits", "gradient_bits")


def test_the_wait_is_the_forward_of_the_gates(tmp_path):
    trace, machine = gated_trace(tmp_path / "t"), bitsim.load_hardware(MACHINES[0])
    records = {r["samples"]: r for r in compare_policies(trace, machine)}
    for policy, record in records.items():
        rows = bitsim.simulate(trace, machine, samples=policy).distinct()
        gates = [r for r in rows if r["layer"].startswith("gate.") and r["pass"] == "forward"]
        assert record["gate_wait_cycles_per_iteration"] == sum(r["cycles"] * r["occurrences"] for r in gates) > 0
    waits = {policy: record["gate_wait_cycles_per_iteration"] for policy, record in records.items()}
    assert waits["one-by-one"] > waits["group"]
    without = compare_policies(gated_trace(tmp_path / "u", gates=("delegate", "gates.x")), machine)
    assert [r["gate_wait_cycles_per_iteration"] for r in without] == [None] * 3


def test_needed_bits_are_those_of_each_sample(tmp_path):
    """Of 6 samples 4 need 2x2 bits and 2 need 8x8: batch-max runs 6 at 8x8."""
    trace, machine = gated_trace(tmp_path / "t", gates=()), bitsim.load_hardware(MACHINES[0])
    peak = machine.accelerator.peak_bit_products_per_cycle
    macs = 40 * 40 * 3
    floats = 3 * 40 * 40 * BATCH * 16 * 16
    for record in compare_policies(trace, machine):
        needed = floats + 2 * macs * (4 * 2 * 2 + 2 * 8 * 8)
        assert record["needed_utilisation"] == pytest.approx(needed / (record["cycles_per_iteration"] * peak))
        ran = floats + 2 * macs * BATCH * 8 * 8 if record["samples"] == "batch-max" else needed
        assert record["utilisation"] == pytest.approx(ran / (record["cycles_per_iteration"] * peak))


def test_forms_of_the_table_agree(tmp_path, bitsim_command):
    trace = gated_trace(tmp_path / "t")
    command = ("run", trace.path, "--hw", MACHINES[0], "--hw", MACHINES[1], "--samples", "all")
    listed = json.loads(bitsim_command(*command, "--format", "json")[1])["policies"]
    rows = list(csv.DictReader(io.StringIO(bitsim_command(*command, "--format", "csv")[1])))
    assert [(r["hardware"], r["samples"]) for r in rows] == [
        (name, policy) for name in MACHINES for policy in SAMPLE_POLICIES
    ]
    assert [list(r) for r in rows] == [list(r) for r in listed]
    assert [float(r["cycles_per_iteration"]) for r in rows] == [r["cycles_per_iteration"] for r in listed]
    page = (PAGE.parent / "reference" / "results.md").read_text()
    assert set(listed[0]) <= set(re.findall(r"`(\w+)`", page))
    for policy, record in zip(SAMPLE_POLICIES, listed, strict=False):
        _, text, _ = bitsim_command("run", trace.path, "--hw", MACHINES[0], "--samples", policy, "--format", "json")
        (run,) = json.loads(text)["runs"]
        means = [name for name in run if name.endswith("_per_iteration")]
        assert len(means) == 3 and {name: run[name] for name in means} == {name: record[name] for name in means}
        assert not {"cycles", "latency_s", "energy_j"} & set(record)  # elsewhere totals of a run
    status, out, err = bitsim_command(*command, "--out", tmp_path / "out")
    assert (status, out) == (2, "") and "--samples all: makes one table" in err
    status, out, err = bitsim_command(*command, "--rows", "trace")
    assert (status, out) == (2, "") and "--samples all: makes one table" in err


@pytest.mark.slow
def test_the_page_shows_what_its_commands_print(tmp_path, monkeypatch, bitsim_command):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    fences = re.findall(r"^```bash\n(.*?)^```\n+(?:```text\n(.*?)^```)?", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    shown = 0
    for commands, expected in fences:
        for line in commands.splitlines():
            status, out, err = bitsim_command(*shlex.split(line)[1:])
            assert status == 0, (line, err)
        if expected:
            shown += 1
            assert [row.rstrip() for row in out.splitlines()] == [row.rstrip() for row in expected.splitlines()]
    assert shown >= 3


def shown_tables():
    """{(trace, machine): {line of the table: (batch-max, group, one-by-one)}} of the page, shares in percent."""
    tables = {}
    for text in re.findall(r"^```text\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        trace, machine = re.search(r"(\w+) on (\w+),", text).groups()
        cells = re.findall(r"^ (\S.*?)  +([\d.,]+)[x%]? +([\d.,]+)[x%]? +([\d.,]+)[x%]?$", text, re.MULTILINE)
        tables[trace, machine] = {name: [float(cell.replace(",", "")) for cell in row] for name, *row in cells}
    return tables


def test_the_prose_says_what_the_tables_show():
    tables = shown_tables()
    recorded = tables.pop(("resnet20_digits_dfq", MACHINES[0]))
    assert len(tables) == 4
    prose = " ".join(PAGE.read_text().split())
    summing = [table["summing dW, of cycles"][2] for table in tables.values()]
    said = f"{min(summing):.0f} to {max(summing):.0f} % of its cycles is summing dW in memory, in the recorded run "
    assert f"{said}{recorded['summing dW, of cycles'][2]:.0f} %" in prose
    unasked = [
        100 - 100 * table["peak used for needed bits"][0] / table["peak used"][0]
        for (_, machine), table in tables.items()
        if machine == MACHINES[0]
    ]
    assert f"{min(unasked):.0f} to {max(unasked):.0f} % of the bit products that run are bits that nobody" in prose
    slower = [1 / table["speed over batch-max"][2] for table in tables.values()]
    dearer = [1 / table["energy of batch-max over it"][2] for table in tables.values()]
    assert f"by a factor of {min(slower):.1f} to {max(slower):.1f} at {min(dearer):.1f} to {max(dearer):.1f}" in prose
    assert f"in the recorded one by {recorded['cycles'][2] / recorded['cycles'][0]:.1f}" in prose
    grouped = [tables[name, MACHINES[0]] for name in ("resnet38_dfq", "resnet50_dfq", "resnet38_dfq_16")]
    speed, energy = (
        [f"{table[line][1]:.2f}" for table in grouped]
        for line in ("speed over batch-max", "energy of batch-max over it")
    )
    assert f"`group` is {speed[0]} times as fast as `batch-max` on ResNet-38 and {speed[1]} times on ResNet-50" in prose
    assert f"takes {energy[0]} and {energy[1]} times less energy" in prose
    assert f"With a batch of 16 the gain shrinks to {speed[2]} times in cycles" in prose


@pytest.mark.parametrize("policy", ["group", "one-by-one"])
def test_groups_that_cost_the_same_are_rows_of_their_own(tmp_path, policy):
    """Two groups that differ in activation bits alone have one dgrad cost; neither runs in more iterations than are."""
    rows = [
        dict(zip(WIDTHS, (bits, 4, 8), strict=True), iteration_start=0, iteration_end=3, layer="fc", samples=3)
        for bits in (4, 6)
    ]
    run = {"schema": 1, "name": "t", "model": "m", "dataset": "d", "batch": 6, "iterations": 3, "source": "s"}
    trace = write_trace(tmp_path / "t", run | {"synthetic": True}, [Layer("fc", "linear", 1, 8, 8)], rows)
    listed = bitsim.simulate(trace, bitsim.load_hardware(MACHINES[0]), samples=policy).distinct()
    assert [r["iterations"] for r in listed if r["pass"] == "dgrad"] == [3, 3]
