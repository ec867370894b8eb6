"""Optional passes without products: off by default, and on, each row is what its words make it."""

import json

import pytest

import bitsim
from bitsim.errors import InputError
from bitsim.simulation.optimizer import OPTIMIZERS, optimizer_of
from tests.conftest import RUN

ALL = "forward,dgrad,wgrad,update,elementwise"
FLEXIBLE, INTEGER = "bitfusion_16x32_192b", "eyeriss_12x14_108k"


def rows_of(result):
    return {(row["layer"], row["pass"]): row for row in result.distinct()}


@pytest.fixture
def opened(trace_folder):
    return bitsim.open_trace(trace_folder())


@pytest.mark.parametrize("machine", [FLEXIBLE, INTEGER])
def test_off_by_default_and_products_do_not_change(opened, machine):
    plain = rows_of(bitsim.simulate(opened, bitsim.load_hardware(machine)))
    more = rows_of(bitsim.simulate(opened, bitsim.load_hardware(machine), passes=ALL.split(",")))
    assert {name for _, name in plain} <= {"forward", "dgrad", "wgrad", "dgrad_second"}
    assert {key: more[key] for key in plain} == plain
    assert {name for key, name in more.keys() - plain.keys()} == {"update", "elementwise", "elementwise_backward"}
    layers = {layer.name: layer for layer in opened.layers}
    assert {key for key, name in more if name == "update"} == {n for n, x in layers.items() if "wgrad" in x.passes()}


@pytest.mark.parametrize(("optimizer", "states"), [("SGD", 0), ("SGD, momentum 0.9", 1), ("AdamW, rate 1e-3", 2)])
def test_an_update_by_hand(trace_folder, optimizer, states):
    """dW, master copy and states are read; master copy, states and the weight as products read it are written."""
    trace = bitsim.open_trace(trace_folder(run=RUN + f"optimizer: {optimizer}\n"))
    machine = bitsim.load_hardware(FLEXIBLE, {"update.master_bits": 24, "update.state_bits": 16})
    rows = rows_of(bitsim.simulate(trace, machine, passes=["wgrad", "update"]))
    for layer in trace.layers:
        if "wgrad" not in layer.passes():
            continue
        row, gradient = rows[layer.name, "update"], rows[layer.name, "wgrad"]["output_bits"]
        words = layer.out_channels * (layer.in_channels // layer.groups) * layer.kernel_h * layer.kernel_w
        kept = 24 + 16 * states
        assert row["dram_read_bits"] == words * (gradient + kept)
        assert row["dram_write_bits"] == words * (kept + row["output_bits"])
        assert row["output_buffer_read_bits"] == row["dram_read_bits"] + row["dram_write_bits"]
        assert row["vector_multiply_bits"] == words * 24 * {0: 1, 1: 2, 2: 8}[states]
        assert row["requantised_bits"] == words * 24
        # One tile: grant, beats, latency, words through 32 adders, drain, store, as of any isolated tile.
        beats = [-(-row[f"dram_{way}_bits"] // 192) for way in ("read", "write")]
        if row["tiles"] == 1:
            assert row["cycles"] == 1 + beats[0] + 40 + 1 + -(-words // 32) + 1 + beats[1]
        assert row["cycles"] >= sum(beats) and row["macs"] == row["array_pj"] == 0
        assert row["dram_pj"] == 8 * (row["dram_read_bits"] + row["dram_write_bits"])


def test_widths_of_adders(opened):
    """An update changes master copies, elementwise is priced at accumulator.bits; neither says how much it sums."""
    machine = bitsim.load_hardware(FLEXIBLE, {"update.master_bits": 24, "accumulator.bits": 40})
    rows = rows_of(bitsim.simulate(opened, machine, passes=ALL.split(",")))
    for (layer, name), row in rows.items():
        if row["orientation"] != "stream":
            continue
        assert row["accumulator_bits"] == (24 if name == "update" else 40), name
        assert row["required_accumulator_bits"] == 0
        if name == "update":
            assert (row["input_bits"], row["weight_bits"]) == (rows[layer, "wgrad"]["output_bits"], 24)
            assert row["output_bits"] == rows[layer, "forward"]["weight_bits"]


@pytest.mark.parametrize("policy", ["group", "one-by-one"])
def test_weights_are_updated_once_a_batch(opened, policy):
    rows = bitsim.simulate(opened, bitsim.load_hardware(FLEXIBLE), passes=["update"], samples=policy).distinct()
    assert rows and all(row["pass"] == "update" and row["occurrences"] == 1 for row in rows)
    per_layer = {}
    for row in rows:
        per_layer[row["layer"]] = per_layer.get(row["layer"], 0) + row["iterations"]
    assert set(per_layer.values()) == {100}


def test_elementwise_by_hand(opened):
    machine = bitsim.load_hardware(FLEXIBLE)
    rows = rows_of(bitsim.simulate(opened, machine, passes=["forward", "dgrad", "elementwise"]))
    conv = next(layer for layer in opened.layers if layer.kind == "conv")
    words = opened.run.batch * conv.out_channels * conv.out_h * conv.out_w
    forward, backward = rows[conv.name, "elementwise"], rows.get((conv.name, "elementwise_backward"))
    value = rows[conv.name, "forward"]["output_bits"]
    assert forward["dram_read_bits"] == (2 * words + -(-words // 2)) * value
    assert forward["dram_write_bits"] == words * value
    assert (backward is None) == ("dgrad" not in conv.passes())
    none = bitsim.load_hardware(FLEXIBLE, {"elementwise.convolutions_per_residual": 0})
    assert rows_of(bitsim.simulate(opened, none, passes=["elementwise"]))[conv.name, "elementwise"][
        "dram_read_bits"
    ] == (2 * words * value)
    linear = next(layer for layer in opened.layers if layer.kind == "linear")
    forward, backward = rows[linear.name, "elementwise"], rows[linear.name, "elementwise_backward"]
    words = opened.run.batch * linear.out_channels * linear.rows
    assert forward["dram_read_bits"] == forward["dram_write_bits"] == words * forward["output_bits"]
    assert backward["dram_read_bits"] == words * (forward["output_bits"] + backward["output_bits"])


def test_without_gradients_nothing_runs_backwards(opened):
    result = bitsim.simulate(opened, bitsim.load_hardware(FLEXIBLE), passes=["forward", "elementwise"])
    assert {row["pass"] for row in result.distinct()} == {"forward", "elementwise"}


def test_in_one_program_with_the_rows_around_them(opened):
    machine = bitsim.load_hardware(FLEXIBLE)
    apart, together = (
        bitsim.simulate(opened, machine, passes=ALL.split(","), overlap=o) for o in ("barrier", "overlap")
    )
    assert together.totals["cycles"] <= apart.totals["cycles"]
    for name in ("dram_read_bits", "dram_write_bits", "issue_cycles", "vector_pj"):
        assert together.totals[name] == pytest.approx(apart.totals[name], rel=1e-12)


def test_on_the_command_line(trace_folder, bitsim_command):
    status, out, _ = bitsim_command("run", trace_folder(), "--hw", INTEGER, "--passes", ALL, "--format", "json")
    assert status == 0
    assert "update" in {row["pass"] for row in json.loads(out)["runs"][0]["rows"]}
    status, out, err = bitsim_command("run", trace_folder(), "--hw", INTEGER, "--passes", "forward,upgrade")
    assert (status, out) == (2, "") and "allowed: forward, dgrad, wgrad, update, elementwise" in err


@pytest.mark.parametrize(
    ("described", "name"),
    [
        (None, "momentum"),
        ("SGD, learning rate 0.05, momentum 0.9, weight decay 0.0001", "momentum"),
        ("sgd with momentum", "momentum"),
        ("SGD nesterov", "momentum"),
        ("SGD, momentum 0", "sgd"),
        ({"name": "SGD", "momentum": 0.0}, "sgd"),
        ({"name": "SGD", "momentum": 0.9}, "momentum"),
        ("sgd, no momentum", "sgd"),
        ("SGD without momentum", "sgd"),
        ("SGD without Nesterov momentum, rate 0.1", "sgd"),
        ("plain SGD (momentum-free), weight decay 0.1", "sgd"),
        ("sgd_no_momentum", "sgd"),
        ("SGD w/o weight decay and momentum", "sgd"),
        ("SGD, momentum=None, nesterov=False", "sgd"),
        ("SGD, momentum coefficient of 0, weight decay 0.9", "sgd"),
        ("SGD (0.0 momentum)", "sgd"),
        ("SGD, not Adam", "sgd"),
        ("SGD without weight decay, momentum 0.9", "momentum"),
        ("SGD, momentum 0.9, without Nesterov", "momentum"),
        ("SGD momentum without weight decay", "momentum"),
        ("SGD, no weight decay but momentum", "momentum"),
        ("SGD, no weight decay and momentum 0.9", "momentum"),
        ("stochastic gradient descent, momentum (0.9)", "momentum"),
        ("momentum 0.9", "momentum"),
        ("momentum=0, nesterov=True", "momentum"),
        ("Adam", "adam"),
        ("Adam without weight decay", "adam"),
        ("Adam instead of SGD with momentum", "adam"),
        ("torch.optim.NAdam", "adam"),
        ({"momentum": None}, "sgd"),
        ({"momentum": 0}, "sgd"),
        ({"nesterov": False}, "sgd"),
        ({"type": "SGD", "Momentum": "none", "nesterov": False}, "sgd"),
        ({"name": "SGD", "momentum": None, "weight_decay": 0.9}, "sgd"),
        ({"name": "sgd", "rates": {"momentum": 0.9}}, "sgd"),
        ({"name": "SGD with momentum"}, "momentum"),
        ({"name": "SGD with momentum", "nesterov": False}, "momentum"),
        ({"name": "SGD", "nesterov": True}, "momentum"),
        ({"optimizer": "SGD", "momentum": "0.9"}, "momentum"),
        ({"name": "adam", "comment": "not SGD, momentum 0.9"}, "adam"),
        ({"name": "AdamW", "betas": [0.9, 0.999]}, "adam"),
    ],
)
def test_optimizers_by_what_runs_say(described, name):
    assert optimizer_of(described, "run.yaml") == OPTIMIZERS[name]


@pytest.mark.parametrize(
    "described",
    [
        "RMSprop, momentum 0.9",
        "not SGD",
        "no momentum",
        "SGD, Adam for the gates",
        {"name": "RMSprop", "momentum": 0.9},
        {"name": "SGD", "momentum": [0.9]},
        {"betas": [0.9, 0.999], "comment": "adam"},
        {},
    ],
)
def test_an_optimizer_is_not_guessed(described):
    with pytest.raises(InputError, match=r"run\.yaml: optimizer: .* allowed for --passes update: "):
        optimizer_of(described, "run.yaml")


def test_an_optimizer_nobody_knows(trace_folder, bitsim_command):
    with pytest.raises(InputError, match="allowed for --passes update"):
        optimizer_of("LAMB", "run.yaml")
    folder = trace_folder(run=RUN + "optimizer: LAMB\n")
    status, out, err = bitsim_command("run", folder, "--hw", FLEXIBLE, "--passes", "update")
    assert (status, out) == (2, "") and "run.yaml: optimizer: 'LAMB'" in err
    assert bitsim_command("run", folder, "--hw", FLEXIBLE, "--passes", "forward")[0] == 0
