"""trace synth and trace stages: what they write is what the schedule and the model say, and every fault is named."""

import csv
import io
import json
from itertools import pairwise

import pytest
import yaml

import bitsim
from bitsim import data
from bitsim.networks import NAMES, known_network
from bitsim.schedules import CyclicPrecision, stage_epochs
from bitsim.synthetic.loss_file import read_losses

LOSSES = [2.3, 1.8, 1.5, 1.3, 1.2, *[1.1] * 8, *[1.09] * 8, *[1.085] * 9]


def write_losses(path, losses=LOSSES, key="epoch", first=0):
    path.write_text(f"{key},loss\n" + "".join(f"{i},{loss}\n" for i, loss in enumerate(losses, start=first)))
    return path


@pytest.mark.parametrize("name", ["resnet38_cifar_pfq", "resnet38_cifar_fw8bw8"])
def test_shipped_traces_are_what_their_command_writes(tmp_path, bitsim_command, name):
    shipped = data.find("traces", name)
    words = yaml.safe_load((shipped / "run.yaml").read_text())["command"].split()
    assert words[0] == "bitsim" and words[-2:] == ["--out", name]
    status, out, err = bitsim_command(*words[1:-1], tmp_path / name)
    assert (status, err) == (0, "") and "written" in out
    for file in ("run.yaml", "layers.csv", "precision.csv"):
        assert (tmp_path / name / file).read_bytes() == (shipped / file).read_bytes()


def spans(trace, layer):
    index = [x.name for x in trace.layers].index(layer)
    return [
        (s.iteration_start, s.iteration_end, [(g.samples, *astuple(g.widths)[:3]) for g in s.groups])
        for s in trace.spans(0, trace.run.iterations)
        if s.layer_index == index
    ]


def astuple(widths):
    return (widths.activation_bits, widths.weight_bits, widths.gradient_bits, widths.weight_gradient_bits)


def synth(bitsim_command, folder, *arguments):
    status, _, err = bitsim_command("trace", "synth", *arguments, "--out", folder)
    assert status == 0, err
    trace = bitsim.open_trace(folder)
    assert trace.run.synthetic and trace.run.command.startswith("bitsim trace synth ")
    return trace, err


def test_pfq_by_a_loss_log(tmp_path, bitsim_command):
    loss = write_losses(tmp_path / "loss.csv")
    trace, _ = synth(
        bitsim_command, tmp_path / "t", "pfq", "--model", "resnet18", "--loss", loss, "--eps", 0.1, "--alpha", 0.5
    )
    starts = [5005 * epoch for epoch in stage_epochs(LOSSES, 4, 0.1, 0.5)]
    assert len(starts) == 4 and trace.run.iterations == 5005 * len(LOSSES)
    ladder = [(256, 3, 3, 6), (256, 4, 4, 6), (256, 6, 6, 8), (256, 8, 8, 8)]
    edges = pairwise([*starts, trace.run.iterations])
    assert spans(trace, "layer1.0.conv1") == [(a, b, [bits]) for (a, b), bits in zip(edges, ladder, strict=True)]
    assert {bits for _, _, (bits,) in spans(trace, "fc")} == {(256, 32, 32, 32)}
    assert trace.run.loss == {"train": LOSSES}


def test_a_log_of_iterations_is_averaged_by_epoch(tmp_path):
    path = tmp_path / "loss.csv"
    path.write_text("iteration,loss\n0,2\n5,4\n10,1\n19,2e0\n")
    assert read_losses(path, 10) == [3.0, 1.5]
    assert read_losses(write_losses(tmp_path / "a.csv", first=1), None) == LOSSES


def test_dfq_gates_blocks_of_samples_and_leaves_the_rest_in_float(tmp_path, bitsim_command):
    trace, err = synth(bitsim_command, tmp_path / "t", "dfq", "--model", "resnet38", "--target", 3, "--iterations", 10)
    assert err == ""
    (gated,) = spans(trace, "layer2.0.conv2")
    # (3 - 2.6042) / (3.3854 - 2.6042) of 128 samples is 64.9: 64 whole ones stay below 3
    assert gated == (0, 10, [(64, 4, 4, 8), (64, 6, 4, 8)])
    cost = sum(n * (a * w + g * w + a * g) for n, a, w, g in gated[2]) / 128 / 3 / 1024 * 100
    assert 3 - 0.01 < cost <= 3
    for name in ("conv1", "layer2.0.downsample", "fc"):
        assert spans(trace, name) == [(0, 10, [(128, 32, 32, 32)])]


def test_fractrain_says_which_targets_its_candidates_cannot_meet(tmp_path, bitsim_command):
    trace, err = synth(bitsim_command, tmp_path / "t", "fractrain", "--model", "resnet38")
    assert "target cp 1.5 % is below what the candidates cost (1.758 to 4.688 %)" in err
    stages = spans(trace, "layer1.0.conv1")
    assert [start for start, *_ in stages] == [0, 16000, 32000, 48000]
    assert stages[0][2] == [(128, 3, 4, 6)]


def test_a_cap_and_a_mixture(tmp_path, bitsim_command):
    arguments = ("dfq", "--model", "resnet50", "--cap", 8, "--mixture", "spread", "--target", 4, "--iterations", 4)
    trace, _ = synth(bitsim_command, tmp_path / "t", *arguments)
    ((_, _, groups),) = spans(trace, "layer3.2.conv2")
    assert len(groups) == 4 and max(max(group[1:]) for group in groups) == 8


def test_cpt_follows_its_controller(tmp_path, bitsim_command):
    trace, _ = synth(
        bitsim_command, tmp_path / "t", "cpt", "--model", "gpt2", "--iterations", 640, "--periods", 4, "--batch", 2
    )
    expected = [(a, b, [(2, *bits[:3])]) for a, b, bits in CyclicPrecision(640, periods=4).ranges()]
    assert spans(trace, "transformer.h.3.attn.scores") == expected
    assert {s[2][0][1] for s in spans(trace, "lm_head")} == {32}


@pytest.mark.parametrize(
    ("schedule", "bits"),
    [
        ("sbm-fw8bw8", (8, 8, 8, 8)),
        ("sbm-biprec", (8, 8, 8, 16)),
        ("dorefa", (8, 8, 8, 8)),
        ("wageubn", (8, 8, 8, 8)),
        ("float", (32, 32, 32, 32)),
    ],
)
def test_static_baselines(tmp_path, bitsim_command, schedule, bits):
    trace, _ = synth(bitsim_command, tmp_path / "t", schedule, "--model", "mobilenetv2")
    widths = {layer.name: d.groups[0].widths for d in trace.demands() for layer in [trace.layers[d.layer_index]]}
    assert {astuple(w) for name, w in widths.items() if name != "classifier.1"} == {bits}
    assert astuple(widths["classifier.1"]) == (32,) * 4


@pytest.mark.parametrize("name", NAMES)
def test_every_model_makes_a_trace_at_its_defaults(tmp_path, bitsim_command, name):
    trace, err = synth(bitsim_command, tmp_path / "t", "sbm-fw8bw8", "--model", name)
    network = known_network(name)
    assert err == "" and trace.layers == network.layers
    assert (trace.run.batch, trace.run.iterations) == (network.batch, network.iterations)


def test_static_bits_and_layers_in_float(tmp_path, bitsim_command):
    arguments = (
        "static",
        "--model",
        "resnet18",
        "--bits",
        "4/2/8",
        "--float",
        "conv1",
        "--batch",
        8,
        "--iterations",
        3,
    )
    trace, _ = synth(bitsim_command, tmp_path / "t", *arguments)
    assert spans(trace, "fc") == [(0, 3, [(8, 4, 2, 8)])]  # --float names all that stay in float
    assert spans(trace, "conv1") == [(0, 3, [(8, 32, 32, 32)])]
    assert "--float conv1" in trace.run.command


def test_a_table_of_bits_per_layer(tmp_path, bitsim_command):
    table = tmp_path / "haq.csv"
    names = [layer.name for layer in known_network("resnet18").layers]
    rows = [f"{name},{4 + i % 3},{2 + i % 5},8,{'5' if i else ''}" for i, name in enumerate(names)]
    table.write_text("layer,activation_bits,weight_bits,gradient_bits,output_bits\n" + "\n".join(rows) + "\n")
    trace, _ = synth(bitsim_command, tmp_path / "t", "table", "--model", "resnet18", "--table", table)
    for i, name in enumerate(names):
        assert spans(trace, name) == [(0, trace.run.iterations, [(256, 4 + i % 3, 2 + i % 5, 8)])]
    outputs = {d.layer_index: d.groups[0].widths.output_bits for d in trace.demands()}
    assert outputs[0] == 4 and outputs[1] == 5


def test_a_trace_under_another_schedule(tmp_path, bitsim_command):
    recorded = bitsim.open_trace("resnet20_digits_pfq")
    loss = write_losses(tmp_path / "loss.csv", recorded.run.loss["train"])
    trace, _ = synth(bitsim_command, tmp_path / "t", "pfq", "--model", "resnet20_digits_pfq", "--loss", loss)
    assert trace.layers == recorded.layers and trace.run.iterations == recorded.run.iterations
    first = [s.iteration_start for s in recorded.spans(0, 600) if s.layer_index == 1 and s.groups[0].samples == 128]
    stages = [start for start, *_ in spans(trace, "layer1.0.conv1")]
    assert set(stages) <= set(first)  # the published rule on the recorded losses finds the recorded switches
    widths = {start: bits for start, _, ((_, *bits),) in spans(trace, "layer1.0.conv1")}
    for start, bits in widths.items():
        span = next(s for s in recorded.spans(start, start + 1) if s.layer_index == 1)
        assert list(astuple(span.groups[0].widths)[:3]) == bits
    assert {group[1:] for _, _, groups in spans(trace, "fc") for group in groups} == {(32, 32, 32)}


BAD = [
    (("pqf",), "pqf: unknown schedule, did you mean pfq?"),
    (("pfq", "--model", "resnet39"), "--model resnet39: no such model and no such trace folder, did you mean resnet3"),
    (("pfq", "--model", "some/nowhere"), "nowhere: no such folder"),
    (("pfq", "--bits", "8/8/8"), "--bits: does not apply to pfq, allowed with: static"),
    (("static",), "static: needs --bits"),
    (("static", "--bits", "8/8"), "--bits: '8/8', allowed: activation/weight/gradient bits"),
    (("static", "--bits", "8/8/33"), "--bits: '8/8/33'"),
    (("table",), "table: needs --table"),
    (("table", "--table", "missing.csv"), "missing.csv: no such file"),
    (("pfq", "--eps", "0.1"), "--eps: needs --loss FILE"),
    (("pfq", "--switch-at", "5,3"), "--switch-at: 5, 3, allowed: up to 3 iterations, rising, below 64000"),
    (("pfq", "--switch-at", "1,2,3,4"), "--switch-at: 1, 2, 3, 4, allowed: up to 3"),
    (("pfq", "--switch-at", "70000"), "--switch-at: 70000"),
    (("pfq", "--switch-at", "1;2"), "--switch-at: '1;2', allowed: whole numbers"),
    (("dfq", "--target", "1,2"), "--target: 2 targets, allowed with dfq: one"),
    (("dfq", "--target", "x"), "--target: 'x', allowed: numbers"),
    (("dfq", "--target", "0"), "target: 0.0, allowed: above 0"),
    (("dfq", "--model", "resnet20_digits_pfq"), "has a gate_group"),
    (("cpt", "--lowest", "9"), "cpt: bits 9 to 8, allowed: 1 to 31"),
    (("cpt", "--periods", "70000"), "cpt: periods: 70000, allowed: 1 to 64000"),
    (("pfq", "--tokens", "64"), "--tokens: resnet38 reads images"),
    (("pfq", "--float", "conv9"), "--float conv9: no such layer"),
]


@pytest.mark.parametrize(("arguments", "expected"), BAD)
def test_faults_of_synth(tmp_path, bitsim_command, monkeypatch, arguments, expected):
    monkeypatch.chdir(tmp_path)
    model = () if "--model" in arguments else ("--model", "resnet38")
    status, out, err = bitsim_command("trace", "synth", *arguments, *model)
    assert (status, out) == (2, "") and expected in err, err
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_left_alone(tmp_path, bitsim_command):
    folder = tmp_path / "t"
    folder.mkdir()
    status, out, err = bitsim_command("trace", "synth", "pfq", "--model", "resnet38", "--out", folder)
    assert (status, out) == (2, "") and "exists already" in err
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("epoch,loss\n0,1\n2,1\n", ":3: epoch: 2, allowed: one after the other"),
        ("epoch,loss\n5,1\n", ":2: epoch: 5"),
        ("epoch,loss\n0,x\n1,nan\n2,1\n", ":2: loss: 'x', allowed: a finite number"),
        ("epoch,loss\n0,1e999\n", ":2: loss: '1e999'"),
        ("epoch,loss\n-1,1\n", ":2: epoch: '-1', allowed: a whole number"),
        ("epoch,los\n0,1\n", ":1: missing column loss"),
        ("loss\n1\n", ":1: missing column epoch"),
        ("iteration,loss\n0,1\n900,1\n", "no loss of iterations 391 to 782"),
        ("iteration,loss\n5,1\n5,1\n", ":3: iteration: 5 after 5, allowed: rising"),
        ("", ":1: empty file"),
        ("epoch,loss\n0,1\n", "1 epochs of 391 iterations, but the run has 64000: allowed: --iterations 391"),
    ],
)
def test_faults_of_a_loss_log(tmp_path, bitsim_command, text, expected):
    loss = tmp_path / "loss.csv"
    loss.write_text(text)
    iterations = ("--iterations", 64_000) if "64000" in expected else ()
    status, out, err = bitsim_command(
        "trace", "synth", "pfq", "--model", "resnet38", "--loss", loss, *iterations, "--out", tmp_path / "t"
    )
    assert (status, out) == (2, "") and expected in err, err
    assert [path.name for path in tmp_path.iterdir()] == ["loss.csv"]


def test_all_faults_of_a_table_at_once(tmp_path, bitsim_command):
    table = tmp_path / "bits.csv"
    table.write_text(
        "layer,activation_bits,weight_bits,gradient_bits\nconv1,0,4,8\nlayer1.0.conv,4,4,8\n"
        "layer1.0.conv2,4,4,8\ngate:layer1.0,4,4,\n"
    )
    status, out, err = bitsim_command(
        "trace", "synth", "table", "--model", "resnet18", "--table", table, "--out", tmp_path / "t"
    )
    assert (status, out) == (2, "")
    for part in (
        "bits.csv:2: activation_bits: '0', allowed: whole numbers 1 to 31, or 32 for float",
        "bits.csv:3: layer: 'layer1.0.conv': unknown layer, did you mean layer1.0.conv",
        "bits.csv:5: layer layer1.0.conv2: named twice, first on line 4",
        "bits.csv:5: gradient_bits: ''",
        "bits.csv:5: 18 layers not in the table, allowed: none; by name or by gate: layer1.1.conv1, layer1.1.conv2",
    ):
        assert part in err, err


def stages(bitsim_command, *arguments):
    status, out, err = bitsim_command("trace", "stages", *arguments)
    assert status == 0, err
    return out


def test_stages_over_eps_and_alpha(tmp_path, bitsim_command):
    loss = write_losses(tmp_path / "loss.csv")
    text = stages(bitsim_command, "--loss", loss, "--eps", "0.05:0.2:0.05", "--alpha", "0.3,1", "--format", "json")
    records = json.loads(text)
    assert [(r["eps"], r["alpha"]) for r in records] == [(e, a) for e in (0.05, 0.1, 0.15, 0.2) for a in (0.3, 1.0)]
    costs = [
        bits[0] * bits[1] + bits[2] * bits[1] + bits[0] * bits[2]
        for bits in ((3, 3, 6), (4, 4, 6), (6, 6, 8), (8,) * 3)
    ]
    for record in records:
        starts = stage_epochs(LOSSES, 4, record["eps"], record["alpha"])
        lengths = [record[f"epochs_{bits}"] for bits in ("3_3_6", "4_4_6", "6_6_8", "8_8_8")]
        assert lengths == [b - a for a, b in pairwise([*starts, len(LOSSES)])] + [0] * (4 - len(starts))
        mean = sum(n * c for n, c in zip(lengths, costs, strict=True)) / len(LOSSES)
        assert record["effective_macs_percent"] == pytest.approx(100 * mean / costs[-1], abs=1e-3)
    rows = list(csv.DictReader(io.StringIO(stages(bitsim_command, "--loss", loss, "--eps", "0.1", "--format", "csv"))))
    assert float(rows[0]["effective_macs_percent"]) == records[2]["effective_macs_percent"]


def test_stages_of_a_model_cost_what_its_trace_costs(tmp_path, bitsim_command):
    """The swept percentage equals effective MACs of the trace that synth writes with the same eps and alpha."""
    loss = write_losses(tmp_path / "loss.csv")
    out = stages(bitsim_command, "--loss", loss, "--eps", "0.1", "--model", "resnet74", "--format", "json")
    (record,) = json.loads(out)
    effective = {}
    for name, arguments in (
        ("pfq", ("pfq", "--loss", loss, "--eps", 0.1)),
        ("last", ("sbm-fw8bw8", "--iterations", 391 * len(LOSSES))),
    ):
        synth(bitsim_command, tmp_path / name, *arguments, "--model", "resnet74")
        status, out, _ = bitsim_command("trace", "info", tmp_path / name)
        assert status == 0
        effective[name] = float(next(x for x in out.splitlines() if "effective" in x).split("│")[2].split()[0])
    ratio = 100 * effective["pfq"] / effective["last"]
    assert record["effective_macs_percent"] == pytest.approx(ratio, rel=1e-5)


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_the_heat_map_shows_every_point(tmp_path, bitsim_command, suffix):
    loss, picture = write_losses(tmp_path / "loss.csv"), tmp_path / f"stages.{suffix}"
    out = stages(bitsim_command, "--loss", loss, "--eps", "0.05,0.1", "--alpha", "0.3,0.6", "--picture", picture)
    assert out.count("0.05") == 2 and "effective MACs" in out
    content = picture.read_bytes()
    assert content.startswith(b"\x89PNG" if suffix == "png" else b"<?xml") and len(content) > 5000


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--eps", "0.5:0.1:0.1"), "--eps: '0.5:0.1:0.1', allowed: A:B:STEP"),
        (("--eps", "0:1:0"), "--eps: '0:1:0'"),
        (("--eps", "a:b:c"), "--eps: 'a:b:c'"),
        (("--eps", "0.1", "--alpha", "2"), "alpha: 2.0, allowed: above 0, up to 1"),
        (("--eps", "0:1:0.001", "--alpha", "0.1:1:0.01"), "points, allowed up to"),
        (("--eps", "0.1", "--window", "1"), "window: 1"),
        (("--eps", "0.1", "--picture", "x.gif"), "gif: not a form of picture, allowed: pdf, svg, png"),
        (("--eps", "0.1", "--tokens", "4"), "need --model"),
        (("--eps", "0.1", "--ladder", "3/3"), "--ladder: '3/3'"),
    ],
)
def test_faults_of_stages(tmp_path, bitsim_command, monkeypatch, arguments, expected):
    monkeypatch.chdir(tmp_path)
    write_losses(tmp_path / "loss.csv")
    status, out, err = bitsim_command("trace", "stages", "--loss", "loss.csv", *arguments)
    assert (status, out) == (2, "") and expected in err, err
    assert [path.name for path in tmp_path.iterdir()] == ["loss.csv"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((), "batch 128 and 64,000 iterations as in FracTrain (NeurIPS 2020)"),
        (("--iterations", 100), "batch 128 and 100 iterations as asked for"),
        (("--batch", 16, "--iterations", 2000), "batch 16 and 2,000 iterations as asked for"),
    ],
)
def test_the_source_claims_published_settings_only_where_they_are(tmp_path, bitsim_command, given, said):
    words = "trace", "synth", "static", "--bits", "4/4/8", "--model", "resnet38", *given, "--out", tmp_path / "made"
    status, _, err = bitsim_command(*words)
    assert status == 0, err
    source = yaml.safe_load((tmp_path / "made" / "run.yaml").read_text())["source"]
    assert source.endswith(said)
