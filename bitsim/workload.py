"""A layer, and the products of training it, as loop nests without any hardware in them.

One nest (groups, batch, out channels, in channels, out rows, out columns, kernel rows, kernel
columns) serves the three training products; which tensor is written is what differs
(forward: output, dgrad: input gradient, wgrad: weight gradient).

Assumptions
    - A strided dgrad is by default decomposed into ``stride_h * stride_w`` phases, each a stride-1
      product over the taps that meet that phase; a phase without taps writes zeros to memory,
      since the next reader expects a whole tensor. ``zero-inserted`` is the alternative: one
      product over the gradient with ``stride - 1`` zeros between its rows and columns.
    - An attention product (``matmul``) is ``batch * heads`` independent products: groups.
    - A layer inside an activation checkpoint runs its forward product again in the backward pass
      (pass `recompute`): the same product at the same widths.
    - Padding is never stored: a tap outside the tensor multiplies nothing ("real" taps leave it out).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TypeVar

import numpy as np

FORWARD, DGRAD, WGRAD, DGRAD_SECOND = "forward", "dgrad", "wgrad", "dgrad_second"
RECOMPUTE = "recompute"
PASSES = (FORWARD, DGRAD, WGRAD)
FLOAT_BITS = 32
MAX_BITS = 32


@dataclass(frozen=True)
class Layer:
    """One row of layers.csv. Channels are totals over groups; linear and matmul have 1x1 kernels.

    needs_dgrad is ``true``, ``false``, or for a matmul also ``first`` or ``second``: which of its
    operands needs a gradient.  needs_wgrad is False where the weights are frozen (matmul: no meaning).
    recomputes: how often an iteration runs the forward product again, under activation checkpointing.
    """

    name: str
    kind: str
    groups: int
    in_channels: int
    out_channels: int
    in_h: int = 1
    in_w: int = 1
    kernel_h: int = 1
    kernel_w: int = 1
    stride_h: int = 1
    stride_w: int = 1
    padding_h: int = 0
    padding_w: int = 0
    padding_h_end: int = 0
    padding_w_end: int = 0
    dilation_h: int = 1
    dilation_w: int = 1
    rows: int = 1
    needs_dgrad: str = "true"
    gate_group: str = ""
    needs_wgrad: bool = True
    recomputes: int = 0

    @property
    def out_h(self) -> int:
        """Output rows of one sample (linear and matmul: rows)."""
        if self.kind != "conv":
            return self.rows
        span = self.in_h + self.padding_h + self.padding_h_end - self.dilation_h * (self.kernel_h - 1) - 1
        return span // self.stride_h + 1

    @property
    def out_w(self) -> int:
        """Output columns of one sample."""
        if self.kind != "conv":
            return 1
        span = self.in_w + self.padding_w + self.padding_w_end - self.dilation_w * (self.kernel_w - 1) - 1
        return span // self.stride_w + 1

    def macs(self, batch: int) -> int:
        """Nominal multiply-accumulates of any one pass over `batch` samples, padding taps counted."""
        per_position = self.out_channels * (self.in_channels // self.groups) * self.kernel_h * self.kernel_w
        return batch * self.out_h * self.out_w * per_position

    @property
    def has_dgrad(self) -> bool:
        """Whether its (first) operand needs a gradient."""
        return self.needs_dgrad in ("true", "first")

    def passes(self) -> tuple[str, ...]:
        """The training products this layer has, in the order they run."""
        matmul = self.kind == "matmul"
        has = {
            FORWARD: True,
            RECOMPUTE: self.recomputes > 0,
            DGRAD: self.has_dgrad,
            DGRAD_SECOND: matmul and self.needs_dgrad in ("true", "second"),
            WGRAD: not matmul and self.needs_wgrad,
        }
        return tuple(name for name, runs in has.items() if runs)

    def times(self, pass_name: str) -> int:
        """How often one iteration runs a pass of `passes`."""
        return self.recomputes if pass_name == RECOMPUTE else 1

    def training_macs(self, batch: int) -> int:
        """Nominal multiply-accumulates of all passes of one iteration."""
        return self.macs(batch) * sum(self.times(name) for name in self.passes())


_Value = TypeVar("_Value", "Axis", "Product")


@dataclass(frozen=True, order=True)
class Axis:
    """One spatial axis of a product: position p with tap offset t reads input index ``p * stride + t``.

    Indices outside ``[0, extent)`` are padding.  `hole` > 1 marks a zero-inserted axis: only the
    indices divisible by `hole` hold data, the others are inserted zeros.
    """

    positions: int
    taps: tuple[int, ...] = (0,)
    stride: int = 1
    extent: int = 1
    hole: int = 1

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """Searches ask for what is known of an axis again and again."""
        return hash((self.positions, self.taps, self.stride, self.extent, self.hole))

    @cached_property
    def step(self) -> int:
        """Input indices between neighbouring taps (1 where there is only one tap)."""
        return abs(self.taps[1] - self.taps[0]) if len(self.taps) > 1 else 1

    def _valid(self) -> np.ndarray:
        index = np.arange(self.positions)[:, None] * self.stride + np.array(self.taps, dtype=np.int64)[None, :]
        inside = (index >= 0) & (index < self.extent) & (index % self.hole == 0)
        return np.where(inside, index // self.hole, -1)

    def real_taps(self, tile: int) -> np.ndarray:
        """(tiles,) pairs (position, tap) inside the tensor for each tile of `tile` positions."""
        return _axis_tables(self, tile)[0]

    def unique_inputs(self, tile: int) -> np.ndarray:
        """(tiles,) distinct input indices each tile of `tile` positions reads, halo included."""
        return _axis_tables(self, tile)[1]


@lru_cache(maxsize=65536)
def _axis_tables(axis: Axis, tile: int) -> tuple[np.ndarray, np.ndarray]:
    tiles = -(-axis.positions // tile)
    if axis.taps == (0,) and axis.stride == axis.hole == 1 and axis.extent == axis.positions:
        lengths = np.full(tiles, tile, np.int64)
        lengths[-1] = axis.positions - tile * (tiles - 1)
        lengths.setflags(write=False)
        return lengths, lengths
    valid = axis._valid()
    real = np.zeros(tiles, np.int64)
    unique = np.zeros(tiles, np.int64)
    for i in range(tiles):
        part = valid[i * tile : (i + 1) * tile]
        real[i] = np.count_nonzero(part >= 0)
        unique[i] = np.unique(part[part >= 0]).size
    real.setflags(write=False)
    unique.setflags(write=False)
    return real, unique


@dataclass(frozen=True)
class Product:
    """One loop nest ready to be mapped: what a pass, or one phase of a strided dgrad, computes.

    writes_filter is False for forward and dgrad (the output is a map: reduced over channels and
    taps) and True for wgrad (the output is a filter: reduced over batch, rows and columns, its
    weight operand being the output gradient).  All counts are per group except `groups`.
    """

    groups: int
    batch: int
    rows: Axis
    cols: Axis
    outputs: int
    channels: int
    writes_filter: bool = False

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        axes = self.rows, self.cols
        return hash((self.groups, self.batch, *axes, self.outputs, self.channels, self.writes_filter))

    @cached_property
    def taps(self) -> int:
        """Kernel taps, rows times columns; 0 for a dgrad phase nothing flows into."""
        return len(self.rows.taps) * len(self.cols.taps)

    @cached_property
    def positions(self) -> int:
        """Positions over the batch: batch x rows x columns."""
        return self.batch * self.rows.positions * self.cols.positions

    @property
    def nominal_macs(self) -> int:
        """Multiply-accumulates this nest issues, padding taps counted."""
        return self.groups * self.positions * self.taps * self.outputs * self.channels

    @cached_property
    def real_macs(self) -> int:
        """Multiply-accumulates with both operands inside their tensors."""
        if not self.taps:
            return 0
        real = [int(axis.real_taps(axis.positions)[0]) for axis in (self.rows, self.cols)]
        return self.groups * self.batch * real[0] * real[1] * self.outputs * self.channels

    @cached_property
    def reduction(self) -> int:
        """Products summed into one output: sets the accumulator width."""
        return self.positions if self.writes_filter else self.taps * self.channels

    @cached_property
    def output_words(self) -> int:
        """Words of the written tensor."""
        return self.groups * self.outputs * (self.channels * self.taps if self.writes_filter else self.positions)

    @property
    def turned(self) -> Product:
        """The same with rows and columns changed over."""
        return replace(self, rows=self.cols, cols=self.rows)

    def kernel_parts(self) -> Iterator[tuple[Product, ...]]:
        """The same product as several, each with a part of the kernel: more and more parts, rows before columns."""
        rows, cols = self.rows.taps, self.cols.taps
        for count in _counts_of_parts(len(rows)):
            yield tuple(replace(self, rows=replace(self.rows, taps=part)) for part in _split(rows, count))
        for count in _counts_of_parts(len(cols)):
            yield tuple(
                replace(self, rows=replace(self.rows, taps=(row,)), cols=replace(self.cols, taps=part))
                for row in rows
                for part in _split(cols, count)
            )


def _counts_of_parts(size: int) -> list[int]:
    """Counts above 1 that make different ceil-splits of `size`."""
    return sorted({-(-size // part) for part in range(1, size)})


def _split(taps: tuple[int, ...], count: int) -> list[tuple[int, ...]]:
    part = -(-len(taps) // count)
    return [taps[i : i + part] for i in range(0, len(taps), part)]


def _forward_axis(out: int, kernel: int, stride: int, padding: int, dilation: int, extent: int) -> Axis:
    return Axis(out, tuple(k * dilation - padding for k in range(kernel)), stride, extent)


def _dgrad_axes(forward: Axis, phased: bool) -> list[Axis]:
    """Axes over the input gradient: one a phase, or one over the zero-inserted output gradient."""
    stride = forward.stride
    if not phased or stride == 1:
        taps = tuple(-t for t in reversed(forward.taps))
        return [Axis(forward.extent, taps, 1, (forward.positions - 1) * stride + 1, stride)]
    phases = []
    for phase in range(min(stride, forward.extent)):
        taps = tuple((phase - t) // stride for t in reversed(forward.taps) if (phase - t) % stride == 0)
        phases.append(Axis(-(-(forward.extent - phase) // stride), taps, 1, forward.positions))
    return phases


@lru_cache(maxsize=16384)
def lower(layer: Layer, pass_name: str, samples: int, zero_inserted: bool = False) -> tuple[Product, ...]:
    """The products (loop nests) that pass `pass_name` of `layer` runs over `samples` samples.

    Several only for a strided dgrad in phases.  Sources: design of the three passes as one nest;
    GEMM forms of ISCA 2018 for the forward pass.
    Of equal products, and axes, it is the same object: told from others at once, with what was found of it.
    """
    return tuple(
        _first_equal(replace(product, rows=_first_equal(product.rows), cols=_first_equal(product.cols)))
        for product in _products(layer, pass_name, samples, zero_inserted)
    )


@lru_cache(maxsize=65536)
def _first_equal(value: _Value) -> _Value:
    return value


def _products(layer: Layer, pass_name: str, samples: int, zero_inserted: bool) -> tuple[Product, ...]:
    channels, outputs = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    if pass_name == RECOMPUTE:
        pass_name = FORWARD
    if layer.kind == "matmul":
        # Y[rows, out] = A[rows, in] B[in, out]; dA = dY B^T; dB^T = dY^T A, rows reduced.
        sizes = {
            FORWARD: (layer.rows, outputs, channels),
            DGRAD: (layer.rows, channels, outputs),
            DGRAD_SECOND: (outputs, channels, layer.rows),
        }[pass_name]
        rows = Axis(sizes[0], extent=sizes[0])
        return (Product(layer.groups * samples, 1, rows, Axis(1), sizes[1], sizes[2]),)
    if layer.kind == "linear":
        rows, cols = Axis(layer.rows, extent=layer.rows), Axis(1)
    else:
        rows = _forward_axis(layer.out_h, layer.kernel_h, layer.stride_h, layer.padding_h, layer.dilation_h, layer.in_h)
        cols = _forward_axis(layer.out_w, layer.kernel_w, layer.stride_w, layer.padding_w, layer.dilation_w, layer.in_w)
    if pass_name == FORWARD:
        return (Product(layer.groups, samples, rows, cols, outputs, channels),)
    if pass_name == WGRAD:
        return (Product(layer.groups, samples, rows, cols, outputs, channels, writes_filter=True),)
    pairs = [(r, c) for r in _dgrad_axes(rows, not zero_inserted) for c in _dgrad_axes(cols, not zero_inserted)]
    return tuple(
        Product(layer.groups, samples, r, c, channels, outputs)
        if r.taps and c.taps
        # Where no tap meets a phase nothing is reduced: one channel, so that no loop runs over nothing,
        # and no taps along either axis, so that neither is taken for work.
        else Product(layer.groups, samples, replace(r, taps=()), replace(c, taps=()), channels, 1)
        for r, c in pairs
    )


@dataclass(frozen=True)
class Widths:
    """Bits of the operands of one layer as a trace gives them; 32 means float."""

    activation_bits: int
    weight_bits: int
    gradient_bits: int
    weight_gradient_bits: int
    output_bits: int

    def operands(self, pass_name: str) -> tuple[int, int, int | None]:
        """(input, weight, output) bits of a pass; output None = accumulator width (wgrad)."""
        return {
            FORWARD: (self.activation_bits, self.weight_bits, self.output_bits),
            RECOMPUTE: (self.activation_bits, self.weight_bits, self.output_bits),
            DGRAD: (self.gradient_bits, self.weight_bits, self.gradient_bits),
            WGRAD: (self.activation_bits, self.weight_gradient_bits, None),
            DGRAD_SECOND: (self.gradient_bits, self.activation_bits, self.gradient_bits),
        }[pass_name]


def effective_macs(layer: Layer, widths: Widths, samples: int) -> float:
    """Effective MACs of all training products of `layer` over `samples` samples: MACs x bits1 x bits2 / 1024.

    Source: FracTrain (NeurIPS 2020): a product of 32 x 32 bits is one.
    """
    bit_products = 0
    for name in layer.passes():
        first, second, _ = widths.operands(name)
        bit_products += layer.times(name) * first * second
    return layer.macs(samples) * bit_products / FLOAT_BITS**2


def required_accumulator_bits(input_bits: int, weight_bits: int, reduction: int) -> int:
    """Bits a signed sum of `reduction` products needs: a + w - 1 + ceil(log2 K)."""
    return input_bits + weight_bits - 1 + (max(reduction, 1) - 1).bit_length()
