"""The shipped trainer: real training runs, small, recorded through the public hooks; and the recordings it made."""

import importlib.util
import sys

import pytest

import bitsim
from bitsim import data
from bitsim.record.policies import POLICIES
from bitsim.schedules import Bits, DynamicPrecision

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None or importlib.util.find_spec("sklearn") is None,
    reason="needs torch and scikit-learn: pip install '.[record]'",
)
GATED = ("dfq", "dfq8", "fractrain")
BLOCKS = [f"layer{stage}.{block}" for stage in (1, 2, 3) for block in range(3)]


@needs_torch
def test_record_writes_a_sound_trace(tmp_path, bitsim_command):
    folder = tmp_path / "recorded"
    status, _, err = bitsim_command("trace", "record", folder, "--epochs", "1", "--seed", "3")
    assert status == 0, err
    trace = bitsim.open_trace(folder)
    shipped = bitsim.open_trace("resnet20_digits_pfq")
    assert trace.layers == shipped.layers
    assert (trace.run.iterations, trace.run.batch, trace.run.synthetic) == (10, 128, False)
    samples = {d.groups[0].samples: d.iterations for d in trace.demands() if d.layer_index == 0}
    assert samples == {128: 9, 1257 - 9 * 128: 1}
    status, _, err = bitsim_command("trace", "record", folder, "--epochs", "1")
    assert status == 2 and "exists" in err


@needs_torch
def test_a_gated_run_records_each_sample_and_the_gate_itself(tmp_path, bitsim_command):
    folder = tmp_path / "recorded"
    status, _, err = bitsim_command("trace", "record", folder, "--schedule", "fractrain", "--epochs", "1")
    assert status == 0, err
    trace = bitsim.open_trace(folder)
    names = [x.name for x in trace.layers]
    assert names[1:4] == ["gate.project.0", "gate.lstm", "gate.lstm@2"]
    assert sum(n.startswith("gate.lstm") for n in names) == 2 * len(BLOCKS)
    assert sum(n.startswith("gate.choose") for n in names) == len(BLOCKS)
    groups = {x.gate_group: x for x in trace.layers if x.gate_group}
    assert list(groups) == BLOCKS
    floats = {x.name for x in trace.layers if not x.gate_group}
    for span in trace.spans(0, 10):
        layer = trace.layers[span.layer_index]
        widths = {(g.widths.activation_bits, g.widths.weight_bits, g.widths.gradient_bits) for g in span.groups}
        if layer.name in floats:
            assert widths == {(32, 32, 32)}
        else:
            assert widths <= {bits[:3] for bits in POLICIES["fractrain"]().candidates}


def test_an_unknown_schedule_is_named(tmp_path, bitsim_command):
    status, out, err = bitsim_command("trace", "record", tmp_path / "t", "--schedule", "dfq9")
    assert (status, out) == (2, "") and "--schedule: 'dfq9' is unknown, allowed: pfq, fw8bw8, dfq, dfq8" in err
    assert list(tmp_path.iterdir()) == []


@needs_torch
def test_quantise_keeps_range_and_levels():
    import torch

    from bitsim.record.quantise import quantise

    torch.manual_seed(0)
    x = torch.randn(1000)
    for bits in (2, 3, 8):
        for stochastic in (False, True):
            q = quantise(x, bits, stochastic)
            assert len(q.unique()) <= 2**bits
            assert (q - x).abs().max() <= x.abs().max() / max(2 ** (bits - 1) - 1, 1) * (1 if stochastic else 0.51)
    mean = torch.stack([quantise(x, 3, stochastic=True) for _ in range(2000)]).mean(0)
    assert (mean - x).abs().max() < 0.15  # stochastic rounding is unbiased


@needs_torch
def test_samples_have_levels_of_their_own():
    import torch

    from bitsim.record.quantise import quantise

    torch.manual_seed(0)
    for x in (torch.randn(3, 2, 4, 4), torch.rand(3, 2, 4, 4)):
        q = quantise(x, torch.tensor([3.0, 8.0, 1.0]))
        for sample, bits in enumerate((3, 8, 1)):
            # The range is the batch's, so each sample is as if the whole batch had its width.
            assert torch.equal(q[sample], quantise(x, bits)[sample])


@needs_torch
def test_the_convolution_quantises_what_its_widths_say():
    import torch

    from bitsim.record.quantise import QuantisedConv2d, quantise

    torch.manual_seed(0)
    conv, x = QuantisedConv2d(3, 2, 1, bias=False), torch.rand(4, 3, 5, 5).requires_grad_()
    plain = torch.nn.functional.conv2d
    assert torch.equal(conv(x), plain(x, conv.weight)) and conv.precision() == (32, 32, 32)
    conv.widths = (2, 3, 4)
    out = conv(x)
    assert torch.equal(out, plain(quantise(x, 2), quantise(conv.weight, 3))) and conv.precision() == (2, 3, 4)
    gradient = torch.randn_like(out)
    torch.manual_seed(1)
    out.backward(gradient)
    torch.manual_seed(1)
    rounded = quantise(gradient, 4, stochastic=True)  # one rounding serves both products
    expected_x = torch.nn.grad.conv2d_input(x.shape, quantise(conv.weight, 3), rounded)
    expected_w = torch.nn.grad.conv2d_weight(quantise(x, 2), conv.weight.shape, rounded)
    torch.testing.assert_close(x.grad, expected_x)
    torch.testing.assert_close(conv.weight.grad, expected_w)
    conv.widths = (torch.tensor([3.0, 4.0, 3.0, 3.0]), 4, torch.tensor([6.0, 6.0, 6.0, 8.0]))
    assert conv.precision() == [(2, (3, 4, 6)), (1, (3, 4, 8)), (1, (4, 4, 6))]


@needs_torch
def test_the_gate_costs_what_it_picks_and_learns_towards_its_target():
    import torch

    from bitsim.record.digits import COST_SCALE, _cost_term
    from bitsim.record.resnet import ResNet

    torch.manual_seed(0)
    model = ResNet(8, 1, 10, DynamicPrecision().candidates)
    x = torch.randn(16, 1, 8, 8)
    for target, sign in ((100.0, -1), (0.1, 1)):
        model(x)
        picked = [
            pair
            for block in model.blocks()
            for pair in zip(*(w.tolist() for w in block.conv1.widths[::2]), strict=True)
        ]
        spent = sum(Bits(int(a), 4, int(g)).cost_percent for a, g in picked) / len(picked)
        assert model.gate.cost().item() == pytest.approx(spent, rel=1e-6)
        term = _cost_term(model, DynamicPrecision(target=target))
        assert term.item() == pytest.approx(sign * COST_SCALE * 1e-3 * spent, rel=1e-6)
        model.zero_grad()
        term.backward()
        # A step down the gradient makes dear candidates likelier below the target, and cheap ones above.
        dearest = int(model.gate.costs.argmax())
        assert sign * model.gate.choose.bias.grad[dearest] > 0


@needs_torch
def test_a_target_below_the_cheapest_candidate_does_not_saturate_the_gate():
    import torch

    from bitsim.record.digits import _cost_term
    from bitsim.record.resnet import ResNet

    controller = DynamicPrecision(target=1.5)  # the cheapest costs 1.758
    model = ResNet(8, 1, 10, controller.candidates)
    for bias, pushes in ((0.0, True), (1e3, False)):
        with torch.no_grad():
            model.gate.choose.bias[0] = bias
            model.gate.choose.bias[1] = 1e2  # some other candidate, unless the cheapest is likelier still
        model(torch.zeros(4, 1, 8, 8))
        assert (float(torch.as_tensor(_cost_term(model, controller)).detach()) != 0) is pushes
    assert _cost_term(model, DynamicPrecision(target=1.8)).item() < 0  # a target above it pulls back


@pytest.mark.parametrize("schedule", list(POLICIES))
def test_shipped_recordings_say_how_they_were_made(schedule):
    name = f"resnet20_digits_{schedule}"
    run = bitsim.open_trace(name).run
    assert not run.synthetic and run.iterations == 600 and run.seed == 0
    assert run.command.startswith(f"bitsim trace record {name} ")
    assert schedule == "pfq" or f"--schedule {schedule} " in run.command
    assert {k: len(v) for k, v in run.loss.items()} == {"train": 60, "validation": 60}
    assert len(run.accuracy["validation"]) == 60 and run.accuracy["test"][0] > 0.95
    assert run.split == {"train": 1257, "validation": 270, "test": 270}


def test_shipped_recordings_are_small():
    names = [f"resnet20_digits_{schedule}" for schedule in POLICIES]
    files = [file for name in names for file in data.find("traces", name).iterdir()]
    assert sum(file.stat().st_size for file in files) < 2**20


def widths_over_time(trace, layer_name):
    index = [x.name for x in trace.layers].index(layer_name)
    return [(s, s.groups) for s in trace.spans(0, trace.run.iterations) if s.layer_index == index]


def test_shipped_pfq_reaches_every_stage():
    trace = bitsim.open_trace("resnet20_digits_pfq")
    widths = [groups[0].widths.activation_bits for _, groups in widths_over_time(trace, "conv1")]
    assert list(dict.fromkeys(widths)) == [3, 4, 6, 8]


def mean_cost(trace, first, last):
    """cp over blocks, samples and iterations [first, last)."""
    spent = samples = 0
    for span in trace.spans(first, last):
        layer = trace.layers[span.layer_index]
        if layer.gate_group and layer.name.endswith("conv1"):
            length = span.iteration_end - span.iteration_start
            for g in span.groups:
                bits = Bits(g.widths.activation_bits, g.widths.weight_bits, g.widths.gradient_bits)
                spent += bits.cost_percent * g.samples * length
                samples += g.samples * length
    return spent / samples


@pytest.mark.parametrize("schedule", GATED)
def test_shipped_gates_choose_for_each_sample_and_meet_their_target(schedule):
    trace = bitsim.open_trace(f"resnet20_digits_{schedule}")
    controller = POLICIES[schedule]()
    candidates = {bits[:3] for bits in controller.candidates}
    used, mixed = set(), 0
    for block in BLOCKS:
        for _, groups in widths_over_time(trace, f"{block}.conv1"):
            used |= {(g.widths.activation_bits, g.widths.weight_bits, g.widths.gradient_bits) for g in groups}
            mixed += len(groups) > 1
    assert used <= candidates and len(used) >= 3 and mixed > 100
    assert max(max(w) for w in used) <= 8 or schedule != "dfq8"
    assert mean_cost(trace, 300, 600) == pytest.approx(3.0, rel=0.02)
    if schedule == "fractrain":  # it starts at the cheapest candidate and rises
        assert mean_cost(trace, 10, 100) == pytest.approx(controller.candidates[0].cost_percent, rel=0.01)
        assert 1.8 < mean_cost(trace, 220, 290) < 3


@pytest.mark.parametrize("missing", ["torch", "sklearn"])
def test_without_torch_the_message_says_what_to_install(tmp_path, monkeypatch, bitsim_command, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    status, out, err = bitsim_command("trace", "record", tmp_path / "t")
    assert status == 2 and out == "" and f"{missing} is not installed: pip install '.[record]'" in err
    assert list(tmp_path.iterdir()) == []
