"""ONNX models as layer tables: convolutions, products with weights, and products of two activations.

Assumptions
    - A product with a constant matrix is a linear layer; one of two activations is an attention product, as many
      independent ones a sample as there are leading positions.
    - An input needs a gradient if a trained weight stands before it: a convolution's, a matrix's, a normalisation's,
      or an embedding's (Gather on a constant table).
    - A weight that several nodes use makes several layers, named after the nodes.
    - Operators that do not multiply matrices (element-wise, pooling, normalisation) have no layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import Any

from bitsim.networks.onnx_graph import OnnxGraph, attributes, load_graph, subgraph_nodes
from bitsim.networks.unsupported import Unsupported
from bitsim.workload import Layer

_QUANTISED = {"QLinearConv": 3, "QLinearMatMul": 3, "ConvInteger": 1, "MatMulInteger": 1}
_RECURRENT = ("LSTM", "GRU", "RNN")
_CONTROL = ("If", "Loop", "Scan", "SequenceMap")
_NOT_SAID = {
    "ConvTranspose": "a transposed convolution, allowed: convolutions",
    "DeformConv": "a deformable convolution, allowed: convolutions",
    "Einsum": "an Einsum, allowed: MatMul or Gemm",
    "Attention": "fused attention, allowed: its products as MatMul",
} | dict.fromkeys(_RECURRENT, "a recurrent layer, whose steps follow each other, allowed: MatMul or Gemm")


def read_onnx(path: Path, dims: Mapping[str, int]) -> tuple[list[Layer], list[Unsupported]]:
    """Layers of a model in the order of its nodes, and the nodes that cannot be said as layers.

    dims: lengths of named dimensions.  InputError for a file that is not a model (`load_graph`).
    """
    graph = load_graph(path, dims)
    layers: dict[str, Layer] = {}
    unsupported: list[Unsupported] = []
    for node in graph.nodes:
        name = _name(node, layers)
        where = f" node {name} ({node.op_type})"
        try:
            layer = _layer(name, node, graph)
            if layer is not None:
                layers[name] = layer
        except ValueError as error:
            unsupported.append(Unsupported(where, str(error), _macs(node, graph)))
    return list(layers.values()), unsupported


def _layer(name: str, node: Any, graph: OnnxGraph) -> Layer | None:
    """The layer of a node, None if it multiplies no matrices.  ValueError if it cannot be said as one."""
    makers: dict[str, Callable[[str, Any, OnnxGraph], Layer | None]] = {"Conv": _conv, "MatMul": _matmul, "Gemm": _gemm}
    if node.domain not in ("", "ai.onnx"):
        raise ValueError(f"an operator of {node.domain}, whose products are not known, allowed: ONNX's own operators")
    if node.op_type in makers:
        return makers[node.op_type](name, node, graph)
    if node.op_type in _QUANTISED:
        raise ValueError("a quantised operator, allowed: the model in float; a precision schedule gives the widths")
    if node.op_type in _NOT_SAID:
        raise ValueError(_NOT_SAID[node.op_type])
    products = {*makers, *_QUANTISED, *_NOT_SAID}
    if node.op_type in _CONTROL and any(inner.op_type in products or inner.domain for inner in subgraph_nodes(node)):
        raise ValueError("products run a variable number of times, allowed: a graph without branches and loops")
    return None


def _conv(name: str, node: Any, graph: OnnxGraph) -> Layer:
    x, w, given = graph.shape(node.input[0]), graph.shape(node.input[1]), attributes(node)
    spatial = len(x) - 2
    if spatial not in (1, 2):
        raise ValueError(f"a {spatial}-D convolution, allowed: 1-D and 2-D")
    if x[0] != graph.batch:
        raise ValueError(f"{x[0]} images for {graph.batch} samples, allowed: one a sample")
    ones = [1] * spatial
    strides, dilations = given.get("strides", ones), given.get("dilations", ones)
    pads = _pads(given, x[2:], w[2:], strides, dilations)
    if min(pads) < 0:
        raise ValueError(f"padding {list(pads)}, allowed: 0 or more")

    def pair(values: Any) -> list[int]:
        return [int(value) for value in values] + [1] * (2 - spatial)

    (in_h, in_w), (kernel_h, kernel_w), (stride_h, stride_w) = pair(x[2:]), pair(w[2:]), pair(strides)
    dilation_h, dilation_w = pair(dilations)
    return Layer(
        name,
        "conv",
        int(given.get("group", 1)),
        x[1],
        w[0],
        in_h=in_h,
        in_w=in_w,
        kernel_h=kernel_h,
        kernel_w=kernel_w,
        stride_h=stride_h,
        stride_w=stride_w,
        padding_h=int(pads[0]),
        padding_w=int(pads[1]) if spatial == 2 else 0,
        padding_h_end=int(pads[spatial]),
        padding_w_end=int(pads[3]) if spatial == 2 else 0,
        dilation_h=dilation_h,
        dilation_w=dilation_w,
        needs_dgrad=_true(node.input[0] in graph.trained),
    )


def _pads(given: dict[str, Any], sizes: Any, kernel: Any, strides: Any, dilations: Any) -> list[int]:
    """Padding at the start of each axis, then at its end, as ONNX orders them."""
    mode = given.get("auto_pad", "NOTSET")
    if mode == "NOTSET":
        return list(given.get("pads", [0] * 2 * len(sizes)))
    if mode == "VALID":
        return [0] * 2 * len(sizes)
    starts, ends = [], []
    for size, taps, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True):
        total = max((-(-size // stride) - 1) * stride + dilation * (taps - 1) + 1 - size, 0)
        starts.append(total // 2 if mode == "SAME_UPPER" else total - total // 2)
        ends.append(total - starts[-1])
    return starts + ends


def _matmul(name: str, node: Any, graph: OnnxGraph) -> Layer | None:
    first, second = node.input[:2]
    if {first, second} <= graph.constant:
        return None
    a, b = graph.shape(first), graph.shape(second)
    if len(a) < 2 or len(b) < 2:
        raise ValueError(f"a product with a vector ({list(a)} x {list(b)}), allowed: two matrices or stacks of them")
    if second in graph.constant:
        return _linear(name, b, prod(a[:-1]), first, graph)
    if first in graph.constant:  # W X: the columns of X are the rows of a linear layer
        return _linear(name, (*a[:-2], a[-1], a[-2]), prod(b[:-2]) * b[-1], second, graph)
    leading = [max(pair) for pair in zip(*_aligned(a[:-2], b[:-2]), strict=True)]
    return _pair(name, prod(leading), a[-2:], b[-2:], (first, second), graph)


def _gemm(name: str, node: Any, graph: OnnxGraph) -> Layer | None:
    first, second = node.input[:2]
    if {first, second} <= graph.constant:
        return None
    given = attributes(node)
    a, b = graph.shape(first), graph.shape(second)
    a = a[::-1] if given.get("transA") else a
    b = b[::-1] if given.get("transB") else b
    if second in graph.constant:
        return _linear(name, b, a[0], first, graph)
    if first in graph.constant:
        return _linear(name, a[::-1], b[1], second, graph)
    return _pair(name, 1, a, b, (first, second), graph)


def _linear(name: str, matrix: tuple[int, ...], positions: int, read: str, graph: OnnxGraph) -> Layer:
    if prod(matrix[:-2]) != 1:
        raise ValueError(f"a stack of {prod(matrix[:-2])} weight matrices, allowed: one")
    rows = graph.per_sample(positions, "rows")
    return Layer(name, "linear", 1, matrix[-2], matrix[-1], rows=rows, needs_dgrad=_true(read in graph.trained))


def _pair(
    name: str, products: int, a: tuple[int, ...], b: tuple[int, ...], operands: tuple[str, str], graph: OnnxGraph
) -> Layer:
    groups = graph.per_sample(products, "products of activations")
    first, second = (operand in graph.trained for operand in operands)
    needs = "true" if first and second else "first" if first else "second" if second else "false"
    return Layer(name, "matmul", groups, groups * a[1], groups * b[1], rows=a[0], needs_dgrad=needs)


def _aligned(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    most = max(len(a), len(b))
    return (1,) * (most - len(a)) + a, (1,) * (most - len(b)) + b


def _macs(node: Any, graph: OnnxGraph) -> int | None:
    """Forward MACs a sample of a node that has no layer, None if they cannot be known."""
    try:
        shapes = [graph.shape(name) if name else () for name in node.input]
        if node.op_type == "ConvTranspose":  # every input value meets every tap of the filters of its group
            total = prod(shapes[0]) * prod(shapes[1][1:])
        elif node.op_type in _RECURRENT:
            total = shapes[0][0] * shapes[0][1] * (prod(shapes[1]) + prod(shapes[2]))
        elif node.op_type == "Einsum":
            total = _einsum_macs(attributes(node)["equation"], shapes)
        elif node.op_type in ("Conv", "DeformConv", "ConvInteger", "QLinearConv"):
            weight = shapes[_QUANTISED.get(node.op_type, 1)]
            out = graph.shape(node.output[0])
            total = out[0] * prod(out[2:]) * prod(weight)
        elif node.op_type in ("MatMul", "Gemm", "MatMulInteger", "QLinearMatMul"):
            total = prod(graph.shape(node.output[0])) * shapes[0][-1]
        else:
            return None
    except (ValueError, IndexError, KeyError):
        return None
    return total // graph.batch


def _einsum_macs(equation: str, shapes: list[tuple[int, ...]]) -> int:
    """Product of the lengths of all indices.  ValueError for an ellipsis."""
    terms = equation.replace(" ", "").split("->")[0].split(",")
    if "." in equation:
        raise ValueError("an ellipsis")
    return prod(
        {
            index: size
            for term, shape in zip(terms, shapes, strict=True)
            for index, size in zip(term, shape, strict=True)
        }.values()
    )


def _name(node: Any, taken: Mapping[str, Layer]) -> str:
    """The node's name, or its operator and first output; numbered where that is taken."""
    base = node.name.strip() or f"{node.op_type}:{node.output[0]}"
    name, count = base, 1
    while name in taken:
        count += 1
        name = f"{base}#{count}"
    return name


def _true(value: bool) -> str:
    return "true" if value else "false"
