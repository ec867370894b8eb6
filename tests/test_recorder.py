"""Recording a loop: checkpoints, shared and custom modules, steps, and what is refused; then a trace."""

import functools
import importlib.util
from pathlib import Path

import pytest

import bitsim
from bitsim.errors import InputError
from bitsim.workload import DGRAD, DGRAD_SECOND, FORWARD, RECOMPUTE, WGRAD

if importlib.util.find_spec("torch") is None:
    pytest.skip("needs torch: pip install '.[record]'", allow_module_level=True)

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from bitsim.record import Recorder
from bitsim.record.ranges import groups_of
from bitsim.workload import Layer
from tests.autograd import EIGHT, Stack, eight_bits, macs_by_phase, record, tokens

# --- What a training loop may hold.


# torch's own formulas, which it applies to the fused kernels of GPUs only.
FUSED_ON_CPU = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v),
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: lambda g, q, k, v, *_, **__: (
        sdpa_backward_flop_count(g, q, k, v)
    ),
}


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("shared", [False, True])
def test_checkpoints(reentrant, fused, shared):
    torch.manual_seed(0)
    model = Stack(3, fused, reentrant, shared)
    counter = FlopCounterMode(display=False, custom_mapping=FUSED_ON_CPU)
    recorder = Recorder(model, 4, eight_bits)
    with counter, recorder.step():
        model(tokens()).sum().backward()
    assert 2 * sum(x.training_macs(4) for x in recorder.layers) == counter.get_total_flops()
    recomputed = {x.name: x.recomputes for x in recorder.layers}
    first = "blocks.0.qk" if fused else "blocks.0.matmul"
    assert recomputed[first] == 1 + fused  # fused attention keeps no scores
    # Only the reentrant kind runs the last product of a block again, which nothing reads.
    assert recomputed["blocks.0.proj"] == reentrant
    assert recomputed["embed"] == 0
    plain = Recorder(Stack(3, fused, None, shared), 4, eight_bits)
    with plain.step():
        plain.model(tokens()).sum().backward()
    assert [(x.name, x.needs_dgrad) for x in plain.layers] == [(x.name, x.needs_dgrad) for x in recorder.layers]


def test_fused_attention_is_its_two_products():
    layers = {}
    for fused in (False, True):
        recorder, _ = record(Stack(1, fused), {"tokens": tokens()}, 4)
        layers[fused] = [x for x in recorder.layers if x.kind == "matmul"]
    assert [x.name for x in layers[True]] == ["blocks.0.qk", "blocks.0.av"]
    for plain, fused in zip(layers[False], layers[True], strict=True):
        assert (fused.groups, fused.in_channels, fused.out_channels, fused.rows) == (
            plain.groups,
            plain.in_channels,
            plain.out_channels,
            plain.rows,
        )
        assert set(plain.passes()) <= set(fused.passes())
    assert [x.recomputes for x in layers[True]] == [1, 0]


def test_shared_modules_are_a_layer_a_call():
    recorder, issued = record(Stack(2, shared=True), {"tokens": tokens()}, 4)
    assert [x.name for x in recorder.layers if "qkv" in x.name] == ["blocks.0.qkv", "blocks.0.qkv@2"]
    assert macs_by_phase(recorder.layers, 4) == issued.macs


def test_a_functional_use_of_a_tied_weight_is_named_after_it():
    recorder, _ = record(Stack(1), {"tokens": tokens()}, 4)
    assert recorder.layers[-1].name == "embed" and recorder.layers[-1].kind == "linear"


def test_multihead_attention_module():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.attend = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x):
            return self.attend(x, x, x, need_weights=False)[0]

    recorder, issued = record(Net().to("meta"), {"x": torch.empty(4, 5, 8, device="meta")}, 4)
    assert [x.name for x in recorder.layers] == [
        "attend.in_proj",
        "attend.matmul",
        "attend.matmul@2",
        "attend.out_proj",
    ]
    assert recorder.layers[0].needs_dgrad == "false"
    assert macs_by_phase(recorder.layers, 4) == issued.macs


def test_recurrent_cells_run_once_a_step_of_time():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.LSTMCell(6, 4)

        def forward(self, x):
            state = None
            for t in range(3):
                state = self.cell(x[:, t], state)
            return state[0]

    recorder, issued = record(Net(), {"x": torch.zeros(5, 3, 6)}, 5)
    assert [x.name for x in recorder.layers] == ["cell", *[f"cell@{i}" for i in range(2, 7)]]
    assert macs_by_phase(recorder.layers, 5) == issued.macs


class DoubleProduct(torch.autograd.Function):
    """A product with a hand-written backward pass, as large-model libraries have."""

    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x @ weight

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        return gradient @ weight.t(), x.t() @ gradient


class Custom(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.weight = nn.Linear(6, 4), nn.Parameter(torch.zeros(4, 7))

    def forward(self, x):
        return DoubleProduct.apply(self.first(x), self.weight)


def test_custom_functions_run_their_own_gradients():
    recorder, issued = record(Custom(), {"x": torch.zeros(5, 6)}, 5)
    assert [(x.name, x.passes()) for x in recorder.layers] == [
        ("first", (FORWARD, WGRAD)),
        ("weight", (FORWARD, DGRAD, WGRAD)),
    ]
    assert macs_by_phase(recorder.layers, 5) == issued.macs


class Forgetful(torch.autograd.Function):
    """Scores of attention that are formed again in the backward pass, and a product that belongs to nothing."""

    @staticmethod
    def forward(ctx, q, k, stray):
        ctx.save_for_backward(q, k)
        ctx.stray = stray
        return (q @ k.transpose(-1, -2)).sigmoid()

    @staticmethod
    def backward(ctx, gradient):
        q, k = ctx.saved_tensors
        y = (q @ k.transpose(-1, -2)).sigmoid()
        if ctx.stray:
            torch.zeros(7, 9) @ torch.zeros(9, 11)
        gradient = gradient * y * (1 - y)
        return gradient @ k, gradient.transpose(-1, -2) @ q, None


@pytest.mark.parametrize("stray", [False, True])
def test_custom_functions_may_form_their_product_again(tmp_path, stray):
    class Net(nn.Module):
        def forward(self, q, k):
            return Forgetful.apply(q, k, stray)

    inputs = {name: torch.zeros(6, 5, 4, requires_grad=True) for name in "qk"}
    recorder, issued = record(Net(), inputs, 3)
    (layer,) = recorder.layers
    assert (layer.groups, layer.recomputes, layer.passes()[1:]) == (2, 1, (RECOMPUTE, DGRAD, DGRAD_SECOND))
    assert sum(issued.macs.values()) == layer.training_macs(3) + 7 * 9 * 11 * stray
    if stray:
        with pytest.raises(InputError, match=r"backward pass, ForgetfulBackward \(mm\): cannot be said"):
            recorder.save(tmp_path / "t", dataset="none")
    else:
        recorder.save(tmp_path / "t", dataset="none")


def test_selective_checkpoints_run_again_what_they_did_not_keep():
    def keep(context, op, *args, **kwargs):
        policy = torch.utils.checkpoint.CheckpointPolicy
        return policy.MUST_SAVE if op == torch.ops.aten.bmm.default else policy.PREFER_RECOMPUTE

    class Net(Stack):
        def forward(self, tokens):
            contexts = functools.partial(torch.utils.checkpoint.create_selective_checkpoint_contexts, keep)
            x = self.embed(tokens)
            for block in self.blocks:
                x = checkpoint(block, x, use_reentrant=False, context_fn=contexts)
            return x

    counter, recorder = FlopCounterMode(display=False), Recorder(Net(2), 4, eight_bits)
    with counter, recorder.step():
        recorder.model(tokens()).sum().backward()
    assert 2 * sum(x.training_macs(4) for x in recorder.layers) == counter.get_total_flops()
    assert {x.kind for x in recorder.layers if x.recomputes} == {"linear"}


def test_checkpoints_inside_checkpoints_run_twice_more():
    class Net(Stack):
        def forward(self, tokens):
            def pair(x):
                for block in self.blocks:
                    x = checkpoint(block, x, use_reentrant=False)
                return x

            return checkpoint(pair, self.embed(tokens), use_reentrant=False)

    counter, recorder = FlopCounterMode(display=False), Recorder(Net(3), 4, eight_bits)
    with counter, recorder.step():
        recorder.model(tokens()).sum().backward()
    assert 2 * sum(x.training_macs(4) for x in recorder.layers) == counter.get_total_flops()
    assert next(x for x in recorder.layers if x.name == "blocks.0.qkv").recomputes == 2


def test_experts_without_tokens_and_images_folded_into_the_batch(tmp_path):
    model = nn.ModuleDict({"frames": nn.Conv2d(1, 2, 3), "expert": nn.Linear(2, 3)})
    recorder = Recorder(model, 4, eight_bits)
    for count in (5, 0):
        with recorder.step():
            y = model["frames"](torch.zeros(4 * 3, 1, 5, 5)).mean(dim=(2, 3))
            (model["expert"](y[:count]).sum() + y.sum()).backward()
    trace = recorder.save(tmp_path / "t", dataset="none")
    assert trace.run.batch == 12  # samples that run together
    runs = [(trace.layers[s.layer_index].name, [g.samples for g in s.groups]) for s in trace.spans(0, 2)]
    assert runs == [("frames", [12]), ("expert", [1]), ("expert", [])]
    assert trace.layers[1].rows == 5


def test_a_graph_that_is_gone_through_twice_is_named(tmp_path):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(18, 4))
    recorder = Recorder(model, 3, eight_bits)
    with recorder.step():
        y = model(torch.zeros(3, 1, 5, 5))
        y[:, 0].sum().backward(retain_graph=True)
        y[:, 1].sum().backward()
    with pytest.raises(InputError) as raised:
        recorder.save(tmp_path / "t", dataset="none")
    assert [fault.split(":")[0] for fault in raised.value.faults] == [
        "backward pass, AddmmBackward0 (mm)",
        "backward pass, ConvolutionBackward0 (convolution_backward)",
    ]


def test_forward_only_products_have_no_gradients():
    """A teacher without gradients, and a branch that does not reach the loss."""
    student, teacher, unused = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 6)
    model = nn.ModuleDict({"student": student, "teacher": teacher, "unused": unused})
    recorder, x = Recorder(model, 6, eight_bits), torch.zeros(6, 6, requires_grad=True)
    with recorder.step():
        out = student(x)
        with torch.no_grad():
            goal = teacher(x)
        unused(x)
        (out - goal).sum().backward()
    assert {n.name: n.passes() for n in recorder.layers} == {
        "student": (FORWARD, DGRAD, WGRAD),
        "teacher": (FORWARD,),
        "unused": (FORWARD,),
    }


def test_one_dimensional_convolutions_have_one_row():
    model = nn.Sequential(nn.Conv1d(4, 6, 5, stride=2, padding=1, dilation=2, groups=2))
    recorder, issued = record(model, {"input": torch.zeros(3, 4, 20)}, 3)
    (layer,) = recorder.layers
    assert (layer.in_h, layer.in_w, layer.kernel_h, layer.kernel_w) == (1, 20, 1, 5)
    assert (layer.stride_h, layer.stride_w, layer.padding_h, layer.padding_w, layer.dilation_w) == (1, 2, 0, 1, 2)
    assert layer.macs(3) == issued.macs[FORWARD]


def test_gradients_of_gradients_are_refused():
    model, x = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 1)), torch.zeros(4, 6, requires_grad=True)
    recorder = Recorder(model, 4, eight_bits)
    with pytest.raises(InputError, match="gradients of gradients"), recorder.step():
        (gradient,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
        gradient.square().sum().backward()
    assert recorder.layers == ()


def test_what_cannot_be_said_is_named(tmp_path):
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ConvTranspose2d(4, 2, 3))
    recorder, _ = record(model, {"input": torch.zeros(2, 2, 6, 6)}, 2)
    with pytest.raises(InputError, match=r"1 \(convolution\): cannot be said"):
        recorder.save(tmp_path / "t", dataset="none")
    assert list(tmp_path.iterdir()) == []
    trace = recorder.save(tmp_path / "t", dataset="none", skip_unsupported=True)
    assert [x.name for x in trace.layers] == ["0"] and "left out: 1 (convolution)" in trace.run.source


# --- From steps to a trace.


def test_a_loop_with_a_short_batch_a_skipped_layer_and_another_length(tmp_path):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 2)

        def forward(self, x, skip):
            x = self.first(x)
            return self.last(x if skip else self.second(x))

    def precision(layer):
        if layer.name == "second":
            return [(1, (3, 4, 6)), (batch - 3, (4, 4, 8)), (2, (3, 4, 6))]
        return (8, 4, 8, 16)

    model = Net()
    recorder = Recorder(model, 8, precision, lambda layer: "gate" if layer.name == "second" else "")
    for batch, length, skip in ((8, 3, False), (8, 3, False), (5, 3, False), (8, 3, True), (8, 4, True)):
        with recorder.step(batch):
            model(torch.zeros(batch, length, 6), skip).sum().backward()
    trace = recorder.save(tmp_path / "loop", dataset="none", seed=3, compress=True)
    assert (trace.run.iterations, trace.run.batch, trace.run.seed) == (5, 8, 3)
    assert (tmp_path / "loop" / "precision.csv.gz").is_file()
    said = {
        (trace.layers[s.layer_index].name, s.iteration_start, s.iteration_end): [
            (g.samples, g.widths.activation_bits, g.widths.weight_gradient_bits) for g in s.groups
        ]
        for s in trace.spans(0, 5)
    }
    assert said == {
        ("first", 0, 2): [(8, 8, 16)],
        ("first", 2, 3): [(5, 8, 16)],
        ("first", 3, 4): [(8, 8, 16)],
        ("first", 4, 5): [],
        ("first~2", 0, 4): [],
        ("first~2", 4, 5): [(8, 8, 16)],
        ("second", 0, 2): [(3, 3, 6), (5, 4, 8)],
        ("second", 2, 3): [(3, 3, 6), (2, 4, 8)],
        ("second", 3, 5): [],
        ("last", 0, 2): [(8, 8, 16)],
        ("last", 2, 3): [(5, 8, 16)],
        ("last", 3, 4): [(8, 8, 16)],
        ("last", 4, 5): [],
        ("last~2", 0, 4): [],
        ("last~2", 4, 5): [(8, 8, 16)],
    }
    result = bitsim.simulate(trace, bitsim.load_hardware("bitfusion_16x32_192b"))
    rows = 3 * (8 + 8 + 5 + 8) + 4 * 8
    assert result.totals["macs"] == rows * (2 * 36 + 3 * 12) + 3 * (8 + 8 + 5) * 3 * 36


def test_a_step_that_raises_is_not_recorded_and_leaves_no_hooks():
    model = nn.Sequential(nn.Linear(3, 3))
    recorder = Recorder(model, 2, eight_bits)
    with pytest.raises(RuntimeError, match="stop"), recorder.step():
        model(torch.zeros(2, 3))
        raise RuntimeError("stop")
    assert recorder.layers == ()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    with recorder.step():
        model(torch.zeros(2, 3)).sum().backward()
    assert [x.name for x in recorder.layers] == ["0"]


@pytest.mark.parametrize(
    ("precision", "message"),
    [
        ((8, 8), "3 to 5 widths"),
        ([(3, EIGHT)], "said of 3 samples, it ran on 4"),
        ("8", "3 to 5 widths"),
        ([], "said of 0 samples"),
        ((8, None, 8), "3 to 5 widths"),
    ],
)
def test_bad_precisions_are_named(precision, message):
    with pytest.raises(InputError, match=f"layer fc: .*{message}"):
        groups_of(Layer("fc", "linear", 1, 2, 2), 4, precision)


def test_nothing_recorded(tmp_path):
    with pytest.raises(InputError, match="no products were recorded"):
        Recorder(nn.Identity(), 1, eight_bits).save(tmp_path / "t", dataset="none")


def test_the_lines_of_the_page(tmp_path, monkeypatch):
    page = (Path(__file__).parent.parent / "docs" / "traces.md").read_text()
    loop, controlled = (
        part.split("```")[0] for part in page.split("<!-- test: the five lines -->")[1].split("```python")[1:]
    )
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    batches = [(torch.zeros(n, 1, 8, 8), torch.zeros(n, dtype=torch.long)) for n in (32, 32, 7)]
    monkeypatch.chdir(tmp_path)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    names = {"torch": torch, "model": model, "batches": batches, "optimizer": optimizer}
    exec(loop, names)
    trace = bitsim.open_trace(tmp_path / "my_run")
    assert [(x.name, x.passes()) for x in trace.layers] == [
        ("0", (FORWARD, WGRAD)),
        ("3", (FORWARD, DGRAD, WGRAD)),
    ]
    assert (trace.run.iterations, trace.run.batch) == (3, 32)
    assert bitsim.simulate(trace, bitsim.load_hardware("bitfusion_16x32_192b")).totals["cycles"] > 0
    exec(controlled, names)
    exec(loop[loop.index("for images") :].replace("my_run", "controlled"), names)
    controlled_trace = bitsim.open_trace(tmp_path / "controlled")
    assert {g.widths.activation_bits for d in controlled_trace.demands() for g in d.groups} == {3, 32}
