"""What a published closed-form model says of one pass of one layer, and what none of them has words for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bitsim.workload import Layer


@dataclass(frozen=True)
class AnalyticalCost:
    """Cost of one pass of one layer.

    counters: {BUFFER_read_bits, BUFFER_write_bits, dram_read_bits, dram_write_bits, tiles}; energy_pj:
    {BUFFER_pj, array_pj, dram_pj}; source: of its equations and prices.
    """

    compute_cycles: int
    wait_cycles: int
    input_hw_bits: int
    weight_hw_bits: int
    output_bits: int
    counters: dict[str, int] = field(hash=False)
    energy_pj: dict[str, float] = field(hash=False)
    source: str


def unsaid(layer: Layer) -> Iterator[str]:
    """What of a layer's forward pass the models of inference accelerators have no words for."""
    if layer.kind == "matmul" or layer.groups != 1:
        yield "the model has no groups, nor attention products"
    if (layer.dilation_h, layer.dilation_w) != (1, 1):
        yield "the model has no dilation"
    squares = ((layer.kernel_h, layer.kernel_w), (layer.stride_h, layer.stride_w), (layer.out_h, layer.out_w))
    if layer.kind == "conv" and any(a != b for a, b in squares):
        yield "the model has square kernels, strides and outputs only"
