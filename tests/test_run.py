"""The main job: every machine on every shipped trace, totals, policies, results on disk, laws over widths."""

import functools
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bitsim
from bitsim import data
from bitsim.errors import InputError
from bitsim.simulation.cost import CostModel
from bitsim.simulation.streams import elementwise
from bitsim.workload import Layer, Widths
from tests.conftest import BITFUSION_YAML, PRECISION, RUN, WIDEST

MACHINES = data.names("hw_configs", ".yaml")
TRACES = data.names("traces")
CLASSES = ("issue", "fill_drain", "wait_load", "wait_store", "hazard", "switch", "setup")
# The other machines are controls (docs/machines.md): they run one trace by default, and all of them when slow.
MAIN = (
    "bitfusion_16x32_192b",
    "int8_16x32_192b",
    *(name for name in MACHINES if name.startswith("eyeriss") and "raw" not in name),
)
PAIRS = [
    pytest.param(
        machine,
        trace,
        marks=[pytest.mark.slow] if machine not in MAIN and trace != "resnet38_cifar_fw8bw8" else [],
    )
    for machine in MACHINES
    for trace in TRACES
]


@pytest.mark.parametrize(("machine", "trace"), PAIRS)
def test_every_machine_runs_every_trace(machine, trace):
    result = bitsim.simulate(bitsim.open_trace(trace), bitsim.load_hardware(machine))
    rows = result.rows
    assert (rows.cycles == sum(rows[f"{c}_cycles"] for c in CLASSES)).all()
    assert (rows.stall_cycles == rows.cycles - rows.issue_cycles).all()
    # macs are nominal: with few padding taps utilisation stays below 1
    assert ((rows.utilisation > 0) & (rows.utilisation <= 1)).all()
    assert (rows.occupied_bit_ops <= rows.macs * rows.input_hw_bits * rows.weight_hw_bits).all()
    times = rows.occurrences * rows.iterations
    totals = result.totals
    assert totals["cycles"] == int((rows.cycles * times).sum())
    assert totals["energy_pj"] == pytest.approx((rows.energy_pj * times).sum(), rel=1e-12)
    parts = [c for c in rows.columns if c.endswith("_pj") and c != "energy_pj"]
    assert np.allclose(rows[parts].sum(axis=1), rows.energy_pj, rtol=1e-12)
    one = result.per_iteration()
    lengths = one.iteration_end - one.iteration_start
    assert int((one.cycles * lengths).sum()) == totals["cycles"]
    assert lengths.sum() == result.iterations


def test_traffic_is_at_least_compulsory():
    """Each operand read once, each output written once, at DRAM width."""
    trace = bitsim.open_trace("resnet38_cifar_fw8bw8")
    result = bitsim.simulate(trace, bitsim.load_hardware("bitfusion_16x32_192b"), passes=["forward"])
    by_layer = {layer.name: layer for layer in trace.layers}
    for row in result.rows.to_dict("records"):
        layer = by_layer[row["layer"]]
        weights = layer.in_channels * layer.out_channels * layer.kernel_h * layer.kernel_w
        inputs = 128 * layer.in_channels * (layer.in_h * layer.in_w if layer.kernel_h >= layer.stride_h else 1)
        bits = 8 if layer.kind == "conv" else 16
        assert row["dram_read_bits"] >= (weights + inputs) * bits
        assert row["dram_write_bits"] == 128 * layer.out_channels * layer.out_h * layer.out_w * bits


def test_engines_give_the_same_rows(trace_folder):
    trace, machine = bitsim.open_trace(trace_folder()), bitsim.load_hardware("bitfusion_16x32_192b")
    collapsed, event, stepped = (
        bitsim.simulate(trace, machine, timing=t).rows for t in ("collapsed", "event", "stepped")
    )
    pd.testing.assert_frame_equal(collapsed, event)
    pd.testing.assert_frame_equal(event, stepped)


def test_sample_policies(trace_folder):
    """batch-max runs all at the widest; group and one-by-one pay for weights again and for adding dW up."""
    trace, machine = bitsim.open_trace(trace_folder()), bitsim.load_hardware("bitfusion_16x32_192b")
    rows = {p: bitsim.simulate(trace, machine, samples=p).rows for p in ("batch-max", "group", "one-by-one")}
    widest = rows["batch-max"].query("layer == 'fc' and iterations == 60 and `pass` == 'forward'").iloc[0]
    assert (widest.samples, widest.input_bits, widest.occurrences) == (8, 8, 1)
    grouped = rows["group"].query("layer == 'fc' and iterations == 60 and `pass` == 'forward'")
    assert sorted(zip(grouped.samples, grouped.input_bits, strict=True)) == [(2, 8), (6, 4)]
    single = rows["one-by-one"].query("layer == 'fc' and iterations == 60 and `pass` == 'forward'")
    assert sorted(zip(single.samples, single.occurrences, strict=True)) == [(1, 2), (1, 6)]
    assert "wgrad_accumulate" not in set(rows["batch-max"]["pass"])
    added = rows["group"].query("`pass` == 'wgrad_accumulate' and layer == 'fc'").iloc[0]
    width = added.accumulator_bits
    assert (added.occurrences, added.dram_read_bits, added.dram_write_bits) == (1, 160 * width, 80 * width)
    every = rows["one-by-one"].query("`pass` == 'wgrad_accumulate' and layer == 'fc'").iloc[0]
    assert (every.occurrences, every.iterations) == (7, 100)
    for frame in rows.values():
        real = frame[frame["pass"] != "wgrad_accumulate"]
        assert (real.macs * real.occurrences * real.iterations).sum() == 100 * sum(
            layer.macs(8) * len(layer.passes()) for layer in trace.layers
        )


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 16), st.integers(1, 16), st.integers(1, 16), st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)
)
def test_more_bits_never_issue_or_move_less(a, w, g, da, dw, dg):
    """More bits never fewer issue cycles or bits moved, nor cycles beyond the gap of the search."""
    machine = bitsim.load_hardware(
        "bitfusion_16x32_192b", {"input_buffer": "2 MiB", "weight_buffer": "4 MiB", "clock": "100 MHz"}
    )
    model = CostModel(machine)
    layer = Layer("layer", "linear", 1, 64, 32)
    for name in layer.passes():
        few = model.pass_cost(layer, name, 4, Widths(a, w, g, g, a)).values
        more = model.pass_cost(layer, name, 4, Widths(a + da, w + dw, g + dg, g + dg, a + da)).values
        for column in ("dram_read_bits", "occupied_bit_ops", "bit_ops"):
            assert more[column] >= few[column], (name, column)
        assert more["cycles"] * 1.02 >= few["cycles"], name


def test_counters_and_prices_are_one_to_one():
    model = CostModel(bitsim.load_hardware("bitfusion_16x32_192b"))
    priced = model.prices.energy_pj({"dram_read_bits": 1000, "weight_buffer_read_bits": 7}, 10)
    assert priced["dram_pj"] == 8000
    with pytest.raises(KeyError):
        model.prices.energy_pj({"nobody_read_bits": 1}, 10)
    layer, widths = Layer("layer", "conv", 1, 8, 8, 4, 4, 3, 3), Widths(8, 8, 8, 8, 8)
    stream = functools.partial(elementwise, model.machine.accelerator, layer, 1, widths, backward=False)
    costs = [model.pass_cost(layer, name, 1, widths) for name in ("forward", "wgrad")]
    costs.append(model.stream_cost(layer, "elementwise", stream))
    counted = set().union(*(cost.work.counters for cost in costs)) - {"issue_cycles", "tiles"}
    assert counted == set(model.prices.priced_counters)


def test_json_and_folder(trace_folder, bitsim_command, tmp_path):
    out = tmp_path / "out"
    status, text, _ = bitsim_command(
        "run", trace_folder(), "--hw", MACHINES[0], "--hw", MACHINES[-1], "--format", "json", "--out", out
    )
    document = json.loads(text)
    assert status == 0 and document["bitsim"] == bitsim.__version__
    first, second = document["runs"]
    assert [first["hardware"], second["hardware"]] == [MACHINES[0], MACHINES[-1]]
    assert first["cycles"] == sum(r["cycles"] * r["occurrences"] * r["iterations"] for r in first["rows"])
    assert first["energy_j_per_iteration"] == pytest.approx(first["energy_j"] / 100)
    assert {p.name for p in out.iterdir()} >= {"rows.parquet", "iterations.parquet", "summary.json", "run.yaml"}
    assert "rows" not in json.loads((out / "summary.json").read_text())["runs"][0]
    rows = pd.read_parquet(out / "rows.parquet")
    assert len(rows) == len(first["rows"]) + len(second["rows"])
    assert not rows.filter(like="_bits").isna().any().any()
    status, _, err = bitsim_command("run", trace_folder(), "--hw", MACHINES[0], "--out", out)
    assert status == 2 and "not empty" in err


def test_an_idle_iteration_costs_nothing(trace_folder):
    """Costs are summed up and down along the run: what rounding leaves must not show where nothing runs."""
    count = 300
    changing = "".join(
        f"{i},{i + 1},{layer},,{2 + i * step % 7},{2 + i * i % 5},8\n"
        for layer, step in (("conv", 1), ("fc", 3), ("attend", 5))
        for i in range(count)
    )
    idle = "".join(f"{count},{count + 1},{layer},0,,,\n" for layer in ("conv", "fc", "attend"))
    folder = trace_folder(
        run=RUN.replace("iterations: 100", f"iterations: {count + 1}"),
        precision=PRECISION.splitlines()[0] + "\n" + changing + idle,
    )
    result = bitsim.simulate(bitsim.open_trace(folder), bitsim.load_hardware("bitfusion_16x32_192b"))
    cost = result.per_iteration().drop(columns=["iteration_start", "iteration_end"])
    assert (cost.iloc[-1] == 0).all() and (cost >= 0).all().all()
    assert cost.energy_pj.sum() == pytest.approx(result.totals["energy_pj"], rel=1e-12)


def test_rows_of_the_trace(trace_folder, bitsim_command):
    _, text, _ = bitsim_command(
        "run", trace_folder(), "--hw", MACHINES[0], "--format", "json", "--rows", "trace", "--iterations", "50:70"
    )
    run = json.loads(text)["runs"][0]
    places = [(r["iteration_start"], r["iteration_end"], r["layer"], r["pass"]) for r in run["rows"]]
    assert places[0] == (50, 60, "fc", "forward") or places[0] == (50, 70, "conv", "forward")
    assert places == sorted(places, key=lambda p: p[0])
    assert run["iteration_range"] == [50, 70] and run["iterations"] == 20
    assert run["cycles"] == sum(r["cycles"] * r["occurrences"] * r["iterations"] for r in run["rows"])


def test_csv(trace_folder, bitsim_command):
    _, text, _ = bitsim_command("run", trace_folder(), "--hw", MACHINES[0], "--format", "csv")
    assert text.splitlines()[0].startswith("hardware,layer,pass,samples,occurrences,iterations,input_bits")


def test_a_fusion_unit_of_16_bits_is_a_sound_machine(bitsim_command):
    assert bitsim_command("hw", "check", "bitfusion_16x32_192b", "--set", "precision.max_bits=16")[0] == 0


@pytest.mark.parametrize(
    "settings",
    [["clock=333.333333333 MHz"], ["memory.bandwidth=1 Mbit/s"], ["clock=1 kHz", "memory.bandwidth=1000 Tbit/s"]],
)
def test_odd_rates_stay_exact(trace_folder, bitsim_command, settings):
    options = [part for s in settings for part in ("--set", s)]
    status, out, _ = bitsim_command(
        "run", trace_folder(), "--hw", "bitfusion_16x32_192b", "--format", "json", "--passes", "forward", *options
    )
    assert status == 0
    machine = bitsim.load_hardware("bitfusion_16x32_192b", dict(s.split("=") for s in settings))
    for row in json.loads(out)["runs"][0]["rows"]:
        assert row["cycles"] >= (row["dram_read_bits"] + row["dram_write_bits"]) / machine.rate


def test_overrides_replace_their_pair():
    machine = bitsim.load_hardware("bitfusion_16x32_192b", {"memory.bits_per_cycle": 64, "memory.latency_cycles": 7})
    assert (machine.rate, machine.port.latency_cycles) == (64, 7)
    plain = bitsim.load_hardware("bitfusion_16x32_192b")
    assert (plain.rate, plain.port.latency_cycles) == (192, 40)
    slow = bitsim.load_hardware("bitfusion_16x32_192b", {"clock": "300 MHz"})
    assert slow.rate == 320 and slow.source.config_hash != plain.source.config_hash


def test_hw_commands(bitsim_command):
    _, out, _ = bitsim_command("hw", "list")
    assert [line.split()[0] for line in out.splitlines()] == MACHINES
    for name in MACHINES:
        assert bitsim_command("hw", "check", name)[0] == 0
    assert "sources of prices" in bitsim_command("hw", "show", MACHINES[0])[1]


IDLE = PRECISION.splitlines()[0] + "\n" + "".join(f"0,100,{layer},0,,,\n" for layer in ("conv", "fc", "attend"))


@pytest.mark.parametrize("form", ["table", "csv", "json"])
@pytest.mark.parametrize("machine", [MACHINES[0], "eyeriss_12x14_108k"])
def test_a_selection_without_rows_costs_nothing(trace_folder, bitsim_command, tmp_path, form, machine):
    """Layers that did not run are legal: zeros under the full header, exit 0."""
    out = tmp_path / "out"
    arguments = ["--hw", machine, "--format", form, "--out", out]
    status, text, err = bitsim_command("run", trace_folder(precision=IDLE), *arguments)
    assert status == 0, err
    if form == "json":
        run = json.loads(text)["runs"][0]
        assert (run["cycles"], run["energy_j"], run["rows"]) == (0, 0, [])
    if form == "csv":
        full = bitsim_command("run", trace_folder(name="full"), "--hw", machine, "--format", "csv")[1]
        assert text.splitlines() == full.splitlines()[:1]
    full = tmp_path / "full_out"
    bitsim_command("run", trace_folder(name="full"), "--hw", machine, "--out", full)
    assert list(pd.read_parquet(out / "rows.parquet")) == list(pd.read_parquet(full / "rows.parquet"))


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_comparing_nothing_is_no_bug(trace_folder, bitsim_command, form):
    machines = ["--hw", MACHINES[0], "--hw", "eyeriss_12x14_108k", "--format", form]
    status, _, err = bitsim_command("compare", trace_folder(precision=IDLE), *machines)
    assert status == 2 and "nothing ran" in err


@pytest.mark.parametrize("machine", [MACHINES[0], "eyeriss_12x14_108k"])
def test_each_objective_is_best_at_its_own(machine):
    """No objective finds less energy than energy, less energy x time than edp, nor (to the stated gap) fewer cycles."""
    trace, hardware = bitsim.open_trace("resnet20_digits_pfq"), bitsim.load_hardware(machine)
    found = {
        o: bitsim.simulate(trace, hardware, objective=o, iterations=(0, 1)).rows for o in ("cycles", "energy", "edp")
    }
    for other in found.values():
        assert (found["energy"].energy_pj <= other.energy_pj * (1 + 1e-12)).all()
        assert (found["cycles"].cycles <= other.cycles * 1.005).all()
        # Of a pass of several products each is best at its own, which need not be best for their sums.
        edp = found["edp"].energy_pj * found["edp"].cycles
        assert (edp <= other.energy_pj * other.cycles * 1.01).all()


def test_a_machine_by_path_is_named_as_in_the_results(tmp_path, trace_folder, bitsim_command):
    (tmp_path / "mine.yaml").write_text(BITFUSION_YAML)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.yaml").write_text(BITFUSION_YAML)
    arguments = (
        "run",
        trace_folder(),
        "--format",
        "json",
        "--hw",
        tmp_path / "mine.yaml",
        "--set",
        "mine:array.rows=8",
    )
    status, out, _ = bitsim_command(*arguments)
    (run,) = json.loads(out)["runs"]
    assert status == 0 and run["hardware"] == "mine" and run["overrides"] == {"array.rows": 8}
    status, out, err = bitsim_command(*arguments, "--hw", tmp_path / "other" / "mine.yaml")
    assert status == 2 and out == "" and "two of the machines given are named mine" in err


def test_a_bank_priced_as_a_register_file_is_said(trace_folder, bitsim_command):
    """Below 32 words the price falls and leakage vanishes: whoever compares sizes must be told."""
    arguments = ("run", trace_folder(), "--hw", "bitfusion_16x32_192b", "--iterations", "0:1")
    assert "register file" not in bitsim_command(*arguments)[2]
    status, _, err = bitsim_command(*arguments, "--set", "weight_buffer=32KiB")
    assert status == 0 and "note: bitfusion_16x32_192b: weight_buffer: priced as register files" in err


@pytest.mark.parametrize("machine", MACHINES)
def test_the_widest_operands_run_everywhere(trace_folder, machine):
    """31 x 31 bits need sums above 64: the accumulator widens in steps of 16."""
    trace = bitsim.open_trace(trace_folder(precision=WIDEST))
    rows = bitsim.simulate(trace, bitsim.load_hardware(machine), samples="group").rows
    assert (rows.accumulator_bits >= rows.required_accumulator_bits).all()
    assert set(rows.accumulator_bits) == {64, 80}
    wgrad = rows[rows["pass"] == "wgrad"]
    assert (wgrad.output_bits == wgrad.accumulator_bits).all()


@pytest.mark.parametrize("command", ["run", "compare"])
@pytest.mark.parametrize("kind", ["table", "csv", "json"])
def test_totals_beyond_64_bits_are_exact(trace_folder, bitsim_command, tmp_path, command, kind):
    """As those of GPT-2 XL are: all iterations are alike, so the whole is a multiple of one."""
    many = 2**40
    folder = trace_folder(
        run=RUN.replace("iterations: 100", f"iterations: {many}"), precision=PRECISION.replace("100", str(many))
    )
    machines = ("--hw", "bitfusion_16x32_192b", "--hw", "int8_16x32_192b")
    out = tmp_path / "out"
    status, _, err = bitsim_command(command, folder, *machines, "--format", kind, "--out", out)
    assert status == 0, err
    trace, machine = bitsim.open_trace(folder), bitsim.load_hardware("int8_16x32_192b")
    whole, early = bitsim.simulate(trace, machine), bitsim.simulate(trace, machine, iterations=(0, 60)).totals
    late = bitsim.simulate(trace, machine, iterations=(60, 61)).totals
    for name in ("macs", "occupied_bit_ops", "cycles", "dram_read_bits"):
        assert whole.totals[name] == early[name] + late[name] * (many - 60)
    assert whole.totals["occupied_bit_ops"] > 2**63
    assert int(whole.total["occupied_bit_ops"][0]) == whole.totals["occupied_bit_ops"]
    summary = json.loads((out / "summary.json").read_text())
    assert summary["runs"][1]["cycles"] == whole.totals["cycles"]


def test_the_first_accumulator_that_holds_the_sum_is_taken():
    from bitsim.hardware.schema import Accumulator

    assert [Accumulator().width(bits, 0) for bits in (32, 33, 48, 49, 64, 65, 81)] == [32, 48, 48, 64, 64, 80, 96]
    assert Accumulator(bits=32, wide_bits=16).width(12, 0) == 32
    with pytest.raises(InputError, match="sums need 33 bits, have 32"):
        Accumulator(policy="error").width(33, 0)


@pytest.mark.parametrize(
    "layer",
    [
        Layer("alexnet_conv1", "conv", 1, 3, 96, 227, 227, 11, 11, 4, 4),
        Layer("patch_embedding", "conv", 1, 3, 768, 224, 224, 16, 16, 16, 16),
        Layer("speech", "conv", 1, 1, 64, 1, 4000, 1, 80, 1, 4),
    ],
)
def test_kernels_larger_than_the_output_buffer(layer):
    """A weight gradient whose kernel does not fit is split by taps: every MAC and every output once."""
    model = CostModel(bitsim.load_hardware("bitfusion_16x32_192b"))
    widths = Widths(8, 8, 8, 8, 8)
    cost = model.pass_cost(layer, "wgrad", 2, widths)
    roomy = CostModel(bitsim.load_hardware("bitfusion_16x32_192b", {"output_buffer": "256 KiB"}))
    whole = roomy.pass_cost(layer, "wgrad", 2, widths)
    assert len(cost.mappings) > 1 and len(whole.mappings) == 1
    for name in ("macs", "real_macs", "occupied_bit_ops", "bit_ops"):
        assert cost.values[name] == whole.values[name]
    counters = [sum(t.execution.counters["bit_products"] for t in c.mappings) for c in (cost, whole)]
    assert counters[0] == counters[1]
    outputs = layer.out_channels * layer.in_channels * layer.kernel_h * layer.kernel_w * 32
    assert cost.values["dram_write_bits"] >= outputs
    assert cost.values["cycles"] >= cost.values["macs"] / 512  # units of 8 x 8 bits


def test_large_products_are_quick():
    """Cost follows the different tiles, not their count: a vocabulary layer has millions."""
    layer = Layer("vocabulary", "linear", 1, 1024, 50257, rows=1024)
    model = CostModel(bitsim.load_hardware("bitfusion_16x32_192b"))
    values = model.pass_cost(layer, "dgrad", 64, Widths(8, 8, 8, 8, 8)).values
    assert values["tiles"] > 2_000_000 and values["macs"] == 64 * 1024 * 1024 * 50257
    with pytest.raises(InputError, match="collapsed takes any number"):
        CostModel(model.machine, timing="event").pass_cost(layer, "dgrad", 64, Widths(8, 8, 8, 8, 8))
