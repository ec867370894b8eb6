"""Which products a call of torch's operators is: layers without names, and gradients of them.

Shapes only, so that it serves tensors on any device, meta tensors too.

Assumptions
    - A product of two matrices is a linear layer, its second operand the weight, unless the first is a
      parameter and the second is not; a batch of matrix products is attention (`matmul`).
    - The positions of a linear layer, and the products of a batch, are spread over the samples of the step;
      where they do not divide, over the most samples that do: the number of multiply-accumulates is kept.
    - Fused attention is its two products; its backward pass forms the scores once more (`recompute`),
      since it keeps none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from bitsim.workload import Layer

FIRST, SECOND = "first", "second"  # the operand a gradient is of
MATRIX = {"mm": 0, "addmm": 1, "bmm": 0, "baddbmm": 1}  # where the first operand stands
CONVOLUTION, CONVOLUTION_BACKWARD = "convolution", "convolution_backward"
FUSED_ATTENTION = "_scaled_dot_product_"
# Products that cannot be said as a layer of a trace.
UNSUPPORTED = frozenset(
    {
        "mv",
        "addmv",
        "addbmm",
        "mkldnn_rnn_layer",
        "_cudnn_rnn",
        "miopen_rnn",
        "_int_mm",
        "_scaled_mm",
        "_grouped_mm",
        "_scaled_grouped_mm",
        "_flash_attention_forward",
        "_efficient_attention_forward",
        "mkldnn_convolution",
    }
)


@dataclass(frozen=True)
class Product:
    """One product run forward: a nameless `layer` over `samples` samples, and its sizes as matrices.

    sizes: (rows of the first operand, reduced, columns of the second), of each product of a batch;
    none for a convolution.  part: which of the products of a fused call it is.
    """

    layer: Layer
    samples: int
    sizes: tuple[int, int, int] | None = None
    part: str = ""

    def gradient_of(self, sizes: tuple[int, ...]) -> set[str]:
        """The operands of which a product of these sizes may be the gradient; either way round."""
        if self.sizes is None:
            return set()
        rows, reduced, columns = self.sizes
        written, summed = sorted((sizes[0], sizes[2])), sizes[1]
        found = set()
        if written == sorted((rows, reduced)) and summed == columns:
            found.add(FIRST)
        if written == sorted((reduced, columns)) and summed == rows:
            found.add(SECOND)
        return found


def spread(count: int, samples: int) -> tuple[int, int]:
    """(samples, count for each of them): as many samples as divide `count`."""
    most = next(n for n in range(min(count, samples), 0, -1) if count % n == 0)
    return most, count // most


def matrix_sizes(op: str, args: Sequence[Any]) -> tuple[int, int, int, int]:
    """(products, rows, reduced, columns) of a call of one of MATRIX."""
    first, second = args[MATRIX[op]], args[MATRIX[op] + 1]
    return (first.shape[0] if first.dim() == 3 else 1), first.shape[-2], first.shape[-1], second.shape[-1]


def linear(rows: int, reduced: int, columns: int, samples: int) -> Product:
    """rows x reduced activations by reduced x columns weights."""
    count, per_sample = spread(rows, samples)
    return Product(Layer("", "linear", 1, reduced, columns, rows=per_sample), count, (rows, reduced, columns))


def matmul(products: int, rows: int, reduced: int, columns: int, samples: int, part: str = "") -> Product:
    """`products` independent products of rows x reduced by reduced x columns."""
    count, groups = spread(products, samples)
    layer = Layer("", "matmul", groups, groups * reduced, groups * columns, rows=rows)
    return Product(layer, count, (rows, reduced, columns), part)


def convolution(args: Sequence[Any]) -> Product | None:
    """A convolution of one or two dimensions; None if it is transposed or has three.

    args: input (B, C, H, W) or (B, C, W), weight, bias, stride, padding, dilation, transposed, ..., groups.
    """
    image, weight, _, stride, padding, dilation, transposed = args[:7]
    if transposed or image.dim() not in (3, 4):
        return None
    *height, width = tuple(image.shape[2:])
    *kernel_h, kernel_w = tuple(weight.shape[2:])
    (stride_h, stride_w), (padding_h, padding_w), (dilation_h, dilation_w) = (
        _pair(values, flat, neutral)
        for values, flat, neutral in ((stride, not height, 1), (padding, not height, 0), (dilation, not height, 1))
    )
    layer = Layer(
        "",
        "conv",
        int(args[8]),
        image.shape[1],
        weight.shape[0],
        height[0] if height else 1,
        width,
        kernel_h[0] if kernel_h else 1,
        kernel_w,
        stride_h,
        stride_w,
        padding_h,
        padding_w,
        padding_h,
        padding_w,
        dilation_h,
        dilation_w,
    )
    return Product(layer, image.shape[0])


def fused_attention(args: Sequence[Any], samples: int) -> list[Product]:
    """Scores and weighted values; args: query (B, heads, T, d), key, value (B, heads, S, d)."""
    query, key, value = args[:3]
    products = query.shape[0] * query.shape[1]
    rows, depth, columns = query.shape[2], query.shape[3], key.shape[2]
    return [
        matmul(products, rows, depth, columns, samples, "qk"),
        matmul(products, rows, columns, value.shape[3], samples, "av"),
    ]


def with_passes(layer: Layer, gradients: frozenset[str], recomputes: int) -> Layer:
    """`layer` with the passes it ran besides forward."""
    if layer.kind == "matmul":
        needs = "true" if gradients == {FIRST, SECOND} else next(iter(gradients), "false")
        return replace(layer, needs_dgrad=needs, recomputes=recomputes)
    needs = "true" if FIRST in gradients else "false"
    return replace(layer, needs_dgrad=needs, needs_wgrad=SECOND in gradients, recomputes=recomputes)


def _pair(values: Sequence[int], flat: bool, neutral: int) -> tuple[int, int]:
    """(rows, columns) of a setting; a convolution of one dimension has one row."""
    if flat:
        return neutral, int(values[0])
    return int(values[0]), int(values[-1])
