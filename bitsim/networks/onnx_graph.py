"""An ONNX graph with every shape that can be known: loaded, batch and named dimensions fixed, shapes inferred.

Weights need not be there: only their shapes are read.

Assumption: the first dimension of the first input is the batch; where it has a name and no length, it is 1.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bitsim.errors import InputError
from bitsim.networks.onnx_shapes import infer_shapes

Shape = tuple[int | str, ...]
# Operators whose constant operands are trained.
_WEIGHTED = {"Conv", "ConvTranspose", "DeformConv", "Gemm", "MatMul", "Einsum", "LSTM", "GRU", "RNN", "PRelu"}
_NORMS = {"BatchNormalization", "InstanceNormalization", "LayerNormalization", "GroupNormalization"}
_FLOAT_TYPES = {1, 10, 11, 16}  # TensorProto.FLOAT, FLOAT16, DOUBLE, BFLOAT16


@dataclass(frozen=True)
class OnnxGraph:
    """nodes in an order in which they can run; batch: samples the shapes are for.

    shapes: {tensor: sizes}, a name where a size is not fixed; variable: names of dimensions without a length.
    constant: tensors that no input changes.
    trained: tensors that depend on a trained weight, so that a gradient flows into them.
    """

    nodes: tuple[Any, ...]
    batch: int
    shapes: Mapping[str, Shape]
    variable: tuple[str, ...]
    constant: frozenset[str]
    trained: frozenset[str]

    def shape(self, name: str) -> tuple[int, ...]:
        """Sizes of a tensor.  ValueError, naming what is variable, unless all are fixed."""
        sizes = self.shapes.get(name, ("",))
        hint = ", ".join(f"--dim {dim}=LENGTH" for dim in self.variable) or "fixed lengths"
        fixed = tuple(size for size in sizes if isinstance(size, int))
        if len(fixed) < len(sizes):
            raise ValueError(f"variable length: the shape of {name!r} is not known, allowed: {hint}")
        return fixed

    def per_sample(self, count: int, what: str) -> int:
        """`count` divided by the batch.  ValueError if it does not divide."""
        if count % self.batch:
            raise ValueError(f"{count} {what} are not a whole number for each of {self.batch} samples")
        return count // self.batch


def load_graph(path: Path, dims: Mapping[str, int]) -> OnnxGraph:
    """Read a model.  InputError without the onnx package, for a broken file, or for a dimension it does not have."""
    try:
        onnx = importlib.import_module("onnx")
        inliner = importlib.import_module("onnx.inliner")
    except ImportError:
        raise InputError("onnx is not installed: pip install '.[onnx]'") from None
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        model = onnx.load(str(path), load_external_data=False)
        if model.functions:
            model = inliner.inline_local_functions(model)
    except Exception as error:  # protobuf's and onnx's own families
        raise InputError(f"{path}:1: not an ONNX model: {str(error).splitlines()[0][:200]}") from None
    if not model.graph.node:
        raise InputError(f"{path}:1: not an ONNX model: no nodes")
    batch, variable = _fix_dimensions(path, model.graph, dims)
    try:
        model = infer_shapes(model)
    except Exception as error:
        raise InputError(f"{path}:1: shapes contradict each other: {' '.join(str(error).split())[:300]}") from None
    graph = model.graph
    tensors = [*graph.input, *graph.value_info, *graph.output]
    shapes: dict[str, Shape] = {t.name: _sizes(t) for t in tensors if t.type.tensor_type.HasField("shape")}
    types = {t.name: t.type.tensor_type.elem_type for t in tensors}
    for weight in graph.initializer:
        shapes[weight.name], types[weight.name] = tuple(weight.dims), weight.data_type
    constant = _constants(graph)
    return OnnxGraph(
        tuple(graph.node), batch, shapes, variable, constant, _trained(graph.node, constant, shapes, types)
    )


def attributes(node: Any) -> dict[str, Any]:
    """{name: value} of a node's attributes; text is decoded."""
    helper = importlib.import_module("onnx.helper")
    values = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return {
        name: value.decode("utf-8", "replace") if isinstance(value, bytes) else value for name, value in values.items()
    }


def subgraph_nodes(node: Any) -> Iterator[Any]:
    """Nodes of the graphs that a control-flow node holds, at any depth."""
    for attribute in node.attribute:
        for graph in [attribute.g, *attribute.graphs]:
            for inner in graph.node:
                yield inner
                yield from subgraph_nodes(inner)


def _fix_dimensions(path: Path, graph: Any, dims: Mapping[str, int]) -> tuple[int, tuple[str, ...]]:
    """Set named lengths in the inputs, forget shapes that were stored with other lengths.

    Returns the batch, and the names of dimensions still without a length.
    """
    weights = {weight.name for weight in graph.initializer}
    inputs = [tensor for tensor in graph.input if tensor.name not in weights]
    if not inputs or not inputs[0].type.tensor_type.shape.dim:
        raise InputError(f"{path}:1: the first input has no dimensions, allowed: a batch of samples")
    first = inputs[0].type.tensor_type.shape.dim[0]
    lengths = dict(dims)
    if not first.HasField("dim_value"):
        lengths.setdefault(first.dim_param, 1)
    names = {dim.dim_param for tensor in inputs for dim in tensor.type.tensor_type.shape.dim if dim.dim_param}
    faults = [
        f"{path}:1: --dim {name}: no input has such a dimension, allowed: {', '.join(sorted(names)) or 'none'}"
        for name in dims
        if name not in names
    ]
    if faults:
        raise InputError(faults)
    for tensor in inputs:
        for dim in tensor.type.tensor_type.shape.dim:
            if dim.dim_param in lengths and (dim.dim_param or dim is first) and not dim.HasField("dim_value"):
                dim.dim_value = lengths[dim.dim_param]
    del graph.value_info[:]
    for tensor in graph.output:
        tensor.type.tensor_type.ClearField("shape")
    return int(first.dim_value), tuple(sorted(names - set(lengths)))


def _sizes(tensor: Any) -> Shape:
    dims = tensor.type.tensor_type.shape.dim
    return tuple(int(dim.dim_value) if dim.HasField("dim_value") else str(dim.dim_param) for dim in dims)


def _constants(graph: Any) -> frozenset[str]:
    constant = {weight.name for weight in graph.initializer} | {
        weight.values.name for weight in graph.sparse_initializer
    }
    for node in graph.node:
        inputs = [name for name in node.input if name]
        holds_graph = any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute)
        if node.op_type == "Constant" or (inputs and not holds_graph and constant.issuperset(inputs)):
            constant.update(node.output)
    return frozenset(constant)


def _trained(
    nodes: Any, constant: frozenset[str], shapes: Mapping[str, Shape], types: Mapping[str, int]
) -> frozenset[str]:
    trained: set[str] = set()
    for node in nodes:
        held = [name for name in node.input if name in constant and types.get(name) in _FLOAT_TYPES]
        embedding = node.op_type == "Gather" and node.input[0] in held and len(shapes.get(node.input[0], ())) == 2
        weighted = bool(held) and node.op_type in _WEIGHTED | _NORMS
        if embedding or weighted or trained.intersection(node.input):
            trained.update(node.output)
    return frozenset(trained)
