"""What autograd issues in a step, found without the recorder, and small networks to record."""

from collections import Counter, defaultdict

import torch
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from bitsim.record import Recorder
from bitsim.workload import DGRAD, DGRAD_SECOND, FORWARD, RECOMPUTE, WGRAD, lower

torch.set_num_threads(1)
EIGHT = (8, 8, 8)


def eight_bits(layer):
    return EIGHT


# --- What autograd issues, found without the recorder: by operator, and by the graph behind each module's output.


class Issued(TorchDispatchMode):
    """macs: by phase; matrices: (node tag, written sizes, reduced) of backward products; masks: of convolutions."""

    def __init__(self):
        super().__init__()
        self.macs, self.matrices, self.masks = Counter(), [], {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        op, node = func.overloadpacket.__name__, torch._C._current_autograd_node()
        phase = FORWARD if node is None else RECOMPUTE if torch.is_grad_enabled() else "backward"
        if op in ("mm", "bmm", "addmm", "baddbmm"):
            first = args[-2]
            self.macs[phase] += result.numel() * first.shape[-1]
            if phase == "backward":
                tag = node.metadata.get("layer", op)
                self.matrices.append((tag, sorted(result.shape[-2:]), first.shape[-1]))
        elif op == "convolution":
            self.macs[phase] += result.numel() * args[1][0].numel()
        elif op == "convolution_backward":
            self.macs[phase] += sum(args[10][:2]) * args[0].numel() * args[2][0].numel()
            self.masks[node.metadata.get("layer")] = tuple(args[10][:2])
        return result


def tag_nodes(model):
    """Write the name of each conv, linear and Conv1D into the metadata of its autograd node."""

    def tag(name):
        def hook(module, inputs, output):
            node = output.grad_fn
            while not node.name().startswith(("Convolution", "Addmm", "Mm")):
                node = node.next_functions[0][0]
            node.metadata["layer"] = name

        return hook

    for name, module in model.named_modules():
        if type(module).__name__ in ("Conv2d", "Linear", "Conv1D"):
            module.register_forward_hook(tag(name))


def record(model, inputs, batch, loss=lambda out: out.sum()):
    """(layers, what autograd issued) of one step."""
    recorder, issued = Recorder(model, batch, eight_bits), Issued()
    with issued, recorder.step():
        loss(model(**inputs)).backward()
    return recorder, issued


def macs_by_phase(layers, batch):
    found = Counter()
    for layer in layers:
        for name in layer.passes():
            phase = name if name in (FORWARD, RECOMPUTE) else "backward"
            found[phase] += layer.times(name) * layer.macs(batch)
    return found


def written_and_reduced(layer, pass_name, batch):
    (product,) = lower(layer, pass_name, batch)
    if pass_name == WGRAD:
        return sorted((product.outputs, product.channels)), product.positions
    rows = product.positions if layer.kind == "linear" else product.rows.positions
    return sorted((rows, product.outputs)), product.channels


def check_against_autograd(layers, issued, batch):
    """Every layer's backward passes are the products its node issued, in the same orientation."""
    assert macs_by_phase(layers, batch) == issued.macs
    by_tag = defaultdict(list)
    for tag, written, reduced in issued.matrices:
        by_tag[tag].append((written, reduced))
    for layer in layers:
        if layer.kind == "conv":
            assert issued.masks[layer.name] == (layer.needs_dgrad == "true", layer.needs_wgrad), layer.name
        elif layer.kind == "linear":
            expected = [written_and_reduced(layer, p, batch) for p in layer.passes() if p in (DGRAD, WGRAD)]
            assert sorted(by_tag.pop(layer.name, [])) == sorted(expected), layer.name
    expected = [
        written_and_reduced(layer, p, batch)
        for layer in reversed([x for x in layers if x.kind == "matmul"])
        for p in (DGRAD_SECOND, DGRAD)  # the order in which autograd forms them
        if p in layer.passes()
    ]
    assert by_tag.pop("bmm", []) == expected
    assert not by_tag


class Attention(nn.Module):
    def __init__(self, width, heads, fused):
        super().__init__()
        self.heads, self.fused = heads, fused
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in self.qkv(x).chunk(3, -1))
        if self.fused:
            y = functional.scaled_dot_product_attention(q, k, v)
        else:
            y = (q @ k.transpose(-1, -2)).softmax(-1) @ v
        return self.proj(y.transpose(1, 2).flatten(2))


class Stack(nn.Module):
    """Blocks of attention; reentrant None: without checkpoints."""

    def __init__(self, depth=2, fused=False, reentrant=None, shared=False):
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        block = Attention(8, 2, fused)
        self.blocks = nn.ModuleList(block if shared else Attention(8, 2, fused) for _ in range(depth))
        self.reentrant = reentrant

    def forward(self, tokens):
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x) if self.reentrant is None else checkpoint(block, x, use_reentrant=self.reentrant)
        return functional.linear(x, self.embed.weight)


def tokens(batch=4, length=5, device="cpu"):
    return torch.zeros(batch, length, dtype=torch.long, device=device)
