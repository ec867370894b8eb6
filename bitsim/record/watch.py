"""Watching one training step of a torch model: every product autograd runs, and in which module.

A dispatch mode sees the operators that really run, below autograd: forward, in the backward pass, and
what activation checkpoints run again.  Module hooks say where.  Autograd numbers its nodes: the number
ties a product of the backward pass to the forward product it belongs to.

Assumptions
    - What runs inside a node of the backward pass with gradients enabled is a checkpoint's recomputation,
      without them a gradient.
    - A recomputation repeats forward products in their order, one after the other unless a selective
      checkpoint kept some; where shared modules leave a choice, it is the least often recomputed, then the latest.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from bitsim.errors import InputError
from bitsim.record import products
from bitsim.record.products import FIRST, SECOND, Product

# Modules whose product bears their own name even if they have children, such as parametrisations.
_PRODUCT_MODULES = (nn.Linear, nn.modules.conv._ConvNd)


@dataclass
class Call:
    """A product that ran.  node: number of its autograd node, -1 for none; wanted: operands that require a gradient.

    gradients: operands whose gradient autograd formed; recomputes: how often the call was repeated.
    """

    name: str
    product: Product
    node: int
    with_graph: bool
    wanted: frozenset[str]
    gradients: set[str] = field(default_factory=set)
    recomputes: int = 0


@dataclass
class Segment:
    """Products a checkpoint ran again, in one node of the backward pass."""

    node: int
    calls: list[Call]


class Watch(TorchDispatchMode):
    """Notes what one step of `model` over `samples` samples runs, between ``with`` and the end of it."""

    def __init__(self, model: nn.Module, samples: int) -> None:
        super().__init__()
        self.samples = samples
        self.calls: list[Call] = []
        self.unsupported: dict[str, str] = {}
        self._segments: list[Segment] = []
        self._of_node: dict[int, list[Call]] = {}
        self._modules: list[tuple[str, nn.Module]] = [("", model)]
        self._parameters = {id(p): name for name, p in model.named_parameters()}

    @contextmanager
    def modules_named(self) -> Iterator[None]:
        """Hooks on every module, for as long as the step lasts."""
        handles = []
        for name, module in self._modules[0][1].named_modules():
            handles += [
                module.register_forward_pre_hook(self._entering(name)),
                module.register_forward_hook(self._leaving(), always_call=True),
            ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def finish(self) -> list[Call]:
        """The forward calls in order, with their gradients and recomputations.

        InputError if something ran again in the backward pass that is no repetition of forward.
        """
        for segment in self._segments:
            repeated = _repeated(self.calls, segment.calls)
            for call, again in zip(repeated, segment.calls, strict=True):
                call.recomputes += 1 + again.recomputes
                call.gradients |= again.gradients
        return self.calls

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator and note it if it is a product."""
        result = func(*args, **(kwargs or {}))
        op = func.overloadpacket.__name__
        # There is no public name for the node that autograd is in; torch's own tools use this one.
        node = torch._C._current_autograd_node()
        if node is not None and not torch.is_grad_enabled():
            self._note_gradient(op, args, node)
        else:
            self._note_forward(op, args, node)
        return result

    def _note_forward(self, op: str, args: Any, node: Any) -> None:
        operands: tuple[Any, Any] | None = None
        if op in products.MATRIX:
            operands = args[products.MATRIX[op]], args[products.MATRIX[op] + 1]
            if not all(t.numel() for t in operands):
                return  # an expert without tokens, say
            count, rows, reduced, columns = products.matrix_sizes(op, args)
            if count == 1:
                if self._parameter(operands[0]) and not self._parameter(operands[1]):
                    operands, rows, columns = operands[::-1], columns, rows
                found = [products.linear(rows, reduced, columns, self.samples)]
            else:
                found = [products.matmul(count, rows, reduced, columns, self.samples)]
        elif op == products.CONVOLUTION:
            operands = args[0], args[1]
            conv = products.convolution(args)
            found = [conv] if conv else []
        elif op.startswith(products.FUSED_ATTENTION):
            found = products.fused_attention(args, self.samples)
        else:
            found = []
        if not found:
            if op in products.UNSUPPORTED or op == products.CONVOLUTION:
                self.unsupported.setdefault(self._modules[-1][0] or "the model", op)
            return
        into = self.calls
        if node is not None:
            number = node._sequence_nr()
            if not self._segments or self._segments[-1].node != number:
                self._segments.append(Segment(number, []))
            into = self._segments[-1].calls
        for product in found:
            call = self._call(product, operands, args)
            into.append(call)
            self._of_node.setdefault(call.node, []).append(call)

    def _call(self, product: Product, operands: tuple[Any, Any] | None, args: Any) -> Call:
        wanted = frozenset(which for which, t in zip((FIRST, SECOND), operands or (), strict=False) if t.requires_grad)
        # The operator's node was numbered just before the operator runs.
        any_graph = any(isinstance(t, torch.Tensor) and t.requires_grad for t in args)
        node = torch.autograd._get_sequence_nr() - 1 if any_graph else -1
        return Call(self._name(product, operands), product, node, torch.is_grad_enabled(), wanted)

    def _note_gradient(self, op: str, args: Any, node: Any) -> None:
        if op in products.MATRIX:
            _, *sizes = products.matrix_sizes(op, args)
            noted = not all(sizes) or self._note_matrix_gradient(tuple(sizes), self._calls_of(node))
        elif op == products.CONVOLUTION_BACKWARD:
            wanted = {which for which, on in zip((FIRST, SECOND), args[10], strict=False) if on}
            noted = _note_all(self._calls_of(node), "conv", ("",), wanted)
        elif op.startswith(products.FUSED_ATTENTION):
            noted = _note_all(self._calls_of(node), "matmul", ("qk", "av"), {FIRST, SECOND})
        else:
            return
        if not noted:
            self.unsupported.setdefault(f"backward pass, {node.name()}", op)

    def _calls_of(self, node: Any) -> list[Call]:
        """Calls that `node` may belong to, the latest first: a checkpoint on another thread counts its nodes anew."""
        # A product without a graph of its own can only belong to a custom function, which runs it in its forward.
        custom = isinstance(node, torch.autograd.function.BackwardCFunction)
        return [c for c in reversed(self._of_node.get(node._sequence_nr(), [])) if c.with_graph is not custom]

    def _note_matrix_gradient(self, sizes: tuple[int, ...], calls: list[Call]) -> bool:
        for call in calls:
            which = call.product.gradient_of(sizes) - call.gradients
            if which:
                # Square products fit both: what requires a gradient decides.
                call.gradients.add(min(which & call.wanted or which))
                return True
        for call in calls:
            if call.product.sizes == sizes:  # a custom function forms once more what it did not keep
                call.recomputes += 1
                return True
        return False

    def _name(self, product: Product, operands: tuple[Any, Any] | None) -> str:
        path, module = self._modules[-1]
        if isinstance(module, _PRODUCT_MODULES) or not any(True for _ in module.children()):
            own = ""
        else:
            parameter = self._parameter(operands[1]) if operands else ""
            if parameter:
                return parameter.removesuffix(".weight").removesuffix("_weight")
            own = product.layer.kind
        return ".".join(filter(None, (path, product.part or own))) or product.layer.kind

    def _parameter(self, tensor: Any) -> str:
        """Name of the parameter that `tensor` is, or is a view of; empty for none."""
        base = tensor if tensor._base is None else tensor._base
        return self._parameters.get(id(base), "")

    def _entering(self, name: str) -> Any:
        def enter(module: nn.Module, _: Any) -> None:
            self._modules.append((name, module))

        return enter

    def _leaving(self) -> Any:
        def leave(*_: Any) -> None:
            self._modules.pop()

        return leave


def _note_all(calls: list[Call], kind: str, parts: tuple[str, ...], gradients: set[str]) -> bool:
    """Give the latest call of each part its gradients; False if one has them already, or there is none."""
    for part in parts:
        fitting = [c for c in calls if (c.product.layer.kind, c.product.part) == (kind, part) and not c.gradients]
        if not fitting:
            return False
        fitting[0].gradients |= gradients
        fitting[0].recomputes += part == "qk"  # fused attention keeps no scores
    return True


def _repeated(calls: list[Call], again: list[Call]) -> list[Call]:
    """Those of `calls` that `again` repeats."""
    shapes, names = [c.product for c in again], [c.name for c in again]
    fitting = []
    for start in range(len(calls) - len(again) + 1):
        run = calls[start : start + len(again)]
        if all(c.product == shape for c, shape in zip(run, shapes, strict=True)):
            other_names = sum(c.name != name for c, name in zip(run, names, strict=True))
            fitting.append((other_names, sum(c.recomputes for c in run), -start))
    if fitting:
        start = -min(fitting)[2]
        return calls[start : start + len(again)]
    found: list[Call] = []
    before = len(calls)
    for call in reversed(again):
        before = next((i for i in reversed(range(before)) if _same(calls[i], call)), -1)
        if before >= 0:
            found.insert(0, calls[before])
    if len(found) < len(again):
        raise InputError(
            f"{names[0]}: the backward pass runs a product with gradients enabled that repeats none of forward, "
            "allowed: checkpoints (gradients of gradients cannot be recorded)"
        )
    return found


def _same(call: Call, other: Call) -> bool:
    return call.product == other.product and call.name == other.name
