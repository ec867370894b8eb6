"""Shapes of all tensors of an ONNX model, those that the model computes from other shapes included.

Exported models reshape by sizes they compute (Shape, Gather, Mul, Concat ...), which ONNX's own inference follows only
in part.  Here such arithmetic is evaluated, by ONNX's reference implementation, as soon as its operands are known, and
inference runs again, until nothing new is learnt.
"""

from __future__ import annotations

import importlib
from math import prod
from typing import Any

import numpy as np

MAX_VALUES = 1024
# Arithmetic on sizes: no products of matrices, nothing random.
_FOLDED = {"Add", "And", "Cast", "Ceil", "Concat", "ConstantOfShape", "Div", "Equal", "Expand", "Floor", "Gather"}
_FOLDED |= {"Greater", "GreaterOrEqual", "Identity", "Less", "LessOrEqual", "Max", "Min", "Mod", "Mul", "Neg", "Not"}
_FOLDED |= {"Or", "Pow", "Range", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum", "Reshape", "ScatterND", "Sign"}
_FOLDED |= {"Slice", "Split", "Sqrt", "Squeeze", "Sub", "Tile", "Transpose", "Unsqueeze", "Where"}


def infer_shapes(model: Any) -> Any:
    """`model` with every shape that can be known in its value_info, and sizes computed from shapes as initializers.

    Data of large weights is dropped on the way.  Raises what onnx raises for shapes that contradict each other.
    """
    onnx = importlib.import_module("onnx")
    known = {w.name: onnx.numpy_helper.to_array(w) for w in model.graph.initializer if _is_small(w)}
    _drop_weights(model.graph)
    while True:
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
        folded = _fold(model, known)
        if not folded:
            return model
        kept = [node for node in model.graph.node if not set(node.output) & set(folded)]
        del model.graph.node[:]
        model.graph.node.extend(kept)
        model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in folded.items())


def _is_small(weight: Any) -> bool:
    return prod(weight.dims) <= MAX_VALUES and weight.data_location == 0


def _drop_weights(graph: Any) -> None:
    """Keep only name, type and shape of large weights: inference copies the whole model each time."""
    for weight in graph.initializer:
        if not _is_small(weight):
            for field in ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data"):
                weight.ClearField(field)
            weight.ClearField("external_data")
            weight.ClearField("data_location")


def _fold(model: Any, known: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs of the nodes that can be evaluated now, added to `known`."""
    graph, folded = model.graph, dict[str, np.ndarray]()
    shapes = {
        tensor.name: [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.type.tensor_type.shape.dim]
        for tensor in (*graph.input, *graph.value_info, *graph.output)
        if tensor.type.tensor_type.HasField("shape")
    } | {weight.name: list(weight.dims) for weight in graph.initializer}
    for node in graph.node:
        if node.op_type in ("Shape", "Size"):
            sizes = shapes.get(node.input[0], [None])
            values = None if None in sizes else _evaluate(model, node, [np.broadcast_to(np.float32(0), sizes)])
        elif node.op_type == "Constant" and node.domain == "":
            values = _evaluate(model, node, [])
        elif node.op_type in _FOLDED and all(name in known for name in node.input if name):
            operands = [known[name] for name in node.input if name]
            values = _evaluate(model, node, operands) if _is_bounded(node.op_type, operands) else None
        else:
            continue
        if values is not None and all(value.size <= MAX_VALUES for value in values):
            folded.update(zip(node.output, values, strict=False))
            known.update(folded)
    return folded


def _is_bounded(operator: str, operands: list[np.ndarray]) -> bool:
    """Whether an operator whose values say how large its result is would stay small; the others cannot grow much."""
    if operator in ("ConstantOfShape", "Expand", "Tile"):
        return prod(operands[0].shape) * prod(int(size) for size in operands[-1].ravel()) <= MAX_VALUES
    if operator == "Range":
        start, limit, step = (float(operand.ravel()[0]) for operand in operands)
        return step != 0 and abs(limit - start) <= MAX_VALUES * abs(step)
    return True


def _evaluate(model: Any, node: Any, values: list[np.ndarray]) -> list[np.ndarray] | None:
    """Outputs of one node, None if the reference implementation cannot say."""
    onnx, reference = importlib.import_module("onnx"), importlib.import_module("onnx.reference")
    names = [name for name in node.input if name]
    make = onnx.helper.make_empty_tensor_value_info
    graph = onnx.helper.make_graph([node], "one", [make(name) for name in names], [make(n) for n in node.output if n])
    single = onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    try:
        outputs = reference.ReferenceEvaluator(single).run(None, dict(zip(names, values, strict=True)))
    except Exception:  # whatever an operator raises on operands it was not made for
        return None
    return [np.asarray(output) for output in outputs]
