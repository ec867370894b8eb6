"""`--timing analytical`: the published model on a trace, kept apart from the exact engine."""

import json

import pytest

import bitsim
from bitsim.analytical.bitfusion_isca18 import COUNTERS, layer
from bitsim.analytical.isca18_row import Row
from bitsim.errors import InputError
from bitsim.reproduce import beside
from bitsim.reproduce.published_rows import shipped
from bitsim.workload import Widths

MACHINE = "bitfusion_16x32_192b"
RUN = ("run", "resnet38_cifar_fw8bw8", "--hw", MACHINE, "--timing", "analytical", "--iterations", "0:1")
FLOAT = ("--set", "precision.float=8")


def test_rows_are_those_of_the_published_model(bitsim_command):
    status, out, err = bitsim_command(*RUN, *FLOAT, "--passes", "forward", "--format", "json")
    assert status == 0 and "not the exact engine" in err
    (run,) = json.loads(out)["runs"]
    trace = bitsim.open_trace("resnet38_cifar_fw8bw8")
    layers = {one.name: one for one in trace.layers}
    assert len(run["rows"]) == len(layers)
    for found in run["rows"]:
        one = layers[found["layer"]]
        published = layer(
            Row(
                kernel=one.kernel_h,
                out_size=one.out_h if one.kind == "conv" else 1,
                stride=one.stride_h,
                in_channels=one.in_channels,
                out_channels=one.out_channels,
                batch=128,
                input_bits=8,
                weight_bits=8,
                im2col=int(one.name == trace.layers[0].name),
                rows=16,
                cols=32,
                max_bits=8,
                min_bits=2,
                weight_buffer_bytes=65536,
                input_buffer_bytes=32768,
                output_buffer_bytes=16384,
                port_bits_per_cycle=192,
            )
        )
        for name in COUNTERS:
            ours = {"memory_wait_cycles": "stall_cycles", "compute_cycles": "issue_cycles"}.get(name, name)
            assert found[ours] == published[name]
        assert found["energy_pj"] == pytest.approx(published["total_nj"] * 1e3)
        parts = [v for k, v in found.items() if k.endswith("_pj") and k != "energy_pj"]
        assert sum(parts) == pytest.approx(found["energy_pj"])
        assert found["leakage_pj"] == found["dram_static_pj"] == 0
    assert run["cycles"] == sum(found["cycles"] for found in run["rows"])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ((), "the model has no dgrad, dgrad_second, wgrad, allowed: --passes forward"),
        (
            ("--passes", "forward"),
            "--timing analytical, layer fc, forward: precision: 16 bits, but the model has no passes",
        ),
        (("--passes", "forward", "--overlap", "overlap"), "--overlap overlap is not said by the model"),
        (("--passes", "forward", "--objective", "energy"), "--objective energy is not said by the model"),
        (
            ("--passes", "forward", *FLOAT, "--set", "memory.bandwidth=97.1 Gbit/s"),
            "194.2 bits a cycle, allowed for --timing analytical",
        ),
    ],
)
def test_what_the_model_cannot_say(bitsim_command, more, message):
    status, out, err = bitsim_command(*RUN, *more)
    assert (status, out) == (2, "") and message in err


def test_its_results_say_so(bitsim_command):
    forward = ("--passes", "forward", *FLOAT)
    status, out, _ = bitsim_command(*RUN, *forward)
    assert status == 0 and "by the published analytical model" in " ".join(out.split())
    exact = tuple(word for word in RUN if word not in ("--timing", "analytical"))
    for arguments, timing in ((RUN, "analytical"), (exact, "exact")):
        (run,) = json.loads(bitsim_command(*arguments, *forward, "--format", "json")[1])["runs"]
        assert run["timing"] == timing


def test_a_comparison_says_which_side_is_analytical():
    trace = bitsim.open_trace("resnet38_cifar_fw8bw8")
    results = [
        bitsim.simulate(
            trace,
            bitsim.load_hardware(name, {"precision.float": 8}),
            passes=["forward"],
            iterations=(0, 1),
            timing=timing,
        )
        for name, timing in ((MACHINE, "analytical"), ("int8_16x32_192b", "collapsed"))
    ]
    timings = bitsim.compare(results).differences()["timing"]
    assert timings == {MACHINE: "analytical", "int8_16x32_192b": "exact"}


def test_published_rows_of_eyeriss_through_the_machine():
    """All 37, by the costs of a trace on the shipped 256-PE machine: cycles, energy units, words of memory."""
    machine = bitsim.load_hardware("eyeriss_16x16_128k").accelerator
    rows = [cells for cells in shipped("eyeriss_256pe_layers.csv") if cells["kernel"]]
    for cells in rows:
        channels, outputs, kernel, size, stride = (
            int(cells[n]) for n in ("in_channels", "out_channels", "kernel", "out_size", "stride")
        )
        layer = beside.convolution(channels, outputs, kernel, size, stride)
        found = machine.analytical_cost(layer, "forward", int(cells["batch"]), Widths(16, 16, 16, 16, 16))
        assert (found.compute_cycles, found.wait_cycles) == (int(cells["cycles"]), 0)
        units = {name: float(cells[f"{name}_units"]) for name in ("alu", "rf", "noc", "glb", "dram")}
        on_chip = sum(pj for name, pj in found.energy_pj.items() if name != "dram_pj")
        assert on_chip == pytest.approx(3.2 * sum(units[name] for name in ("alu", "rf", "noc", "glb")))
        assert found.energy_pj["dram_pj"] == pytest.approx(3.2 * 0.15 * units["dram"])
        counters = found.counters
        assert counters["dram_read_bits"] + counters["dram_write_bits"] == units["dram"] / 200 * 16
        assert counters["global_buffer_read_bits"] + counters["global_buffer_write_bits"] == units["glb"] / 6 * 16
        assert counters["dram_write_bits"] >= 16 * int(cells["batch"]) * outputs * size**2
    assert len(rows) == 37


@pytest.mark.parametrize(
    ("hw", "more", "message"),
    [
        ("eyeriss_16x16_128k", (), "allowed: --passes forward"),
        ("eyeriss_int8_12x14_108k_500mhz", ("--passes", "forward"), "precision.bits: 8, allowed: 16"),
        (
            "eyeriss_16x16_128k",
            ("--passes", "forward", "--set", "precision.float=31"),
            "layer fc, forward: precision: 31 bits, but the model has no passes",
        ),
    ],
)
def test_what_the_row_stationary_model_cannot_say(bitsim_command, hw, more, message):
    run = ("run", "resnet20_digits_pfq", "--hw", hw, "--timing", "analytical", "--iterations", "0:1")
    status, out, err = bitsim_command(*run, *more)
    assert (status, out) == (2, "") and message in err


def test_a_trace_on_the_row_stationary_model(bitsim_command):
    run = ("run", "resnet20_digits_pfq", "--hw", "eyeriss_16x16_128k", "--timing", "analytical", "--passes", "forward")
    status, out, err = bitsim_command(*run, "--iterations", "0:1", "--format", "json")
    assert status == 0 and "not the exact engine" in err
    (run,) = json.loads(out)["runs"]
    assert run["timing"] == "analytical"
    for row in run["rows"]:
        assert row["cycles"] == row["issue_cycles"] and row["leakage_pj"] == 0
        parts = [v for k, v in row.items() if k.endswith("_pj") and k != "energy_pj"]
        assert sum(parts) == pytest.approx(row["energy_pj"])


def test_a_machine_without_a_model(monkeypatch):
    trace, machine = bitsim.open_trace("resnet20_digits_pfq"), bitsim.load_hardware("eyeriss_12x14_108k")
    monkeypatch.setattr(type(machine.accelerator), "analytical_passes", ())
    with pytest.raises(InputError, match="eyeriss_12x14_108k has no published model that costs a trace"):
        bitsim.simulate(trace, machine, timing="analytical", passes=["forward"])
