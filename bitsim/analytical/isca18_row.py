"""One layer on one machine, as the model behind BitFusion's published numbers takes it (ISCA 2018)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bitsim.analytical.isca18_prices import Prices, prices
from bitsim.technology import logic

OUTPUT_BITS = 32
MOST_BITS = 2**60


@dataclass(frozen=True)
class Row:
    """One layer with the machine it ran on, as a row of bitfusion_isca18_layers.csv gives them."""

    kernel: int
    out_size: int
    stride: int
    in_channels: int
    out_channels: int
    batch: int
    input_bits: int
    weight_bits: int
    im2col: int
    rows: int
    cols: int
    max_bits: int
    min_bits: int
    weight_buffer_bytes: int
    input_buffer_bytes: int
    output_buffer_bytes: int
    port_bits_per_cycle: int

    def faults(self) -> Iterator[str]:
        """What the model cannot run, and what it can."""
        widths = sorted({high for high, _ in logic.synthesised_widths()})
        if self.max_bits not in widths:
            yield f"max_bits: {self.max_bits}, allowed: {', '.join(map(str, widths))}"
        if self.min_bits > self.max_bits:
            yield f"min_bits: {self.min_bits}, allowed: up to max_bits, {self.max_bits}"
        for name, bits in (("input_bits", self.input_bits), ("weight_bits", self.weight_bits)):
            if bits > self.max_bits:
                yield f"{name}: {bits}, allowed: up to max_bits, {self.max_bits}, as the model has no passes"
        if self.im2col > 1:
            yield f"im2col: {self.im2col}, allowed: 0 or 1"
        if self._most_bits >= MOST_BITS:
            yield "counters would pass int64, allowed: smaller dimensions"

    @property
    def _most_bits(self) -> int:
        """Above every count of any schedule: each product with all its operands moved anew."""
        side = self.out_size * self.stride + self.kernel
        spots = self.batch * side * side * self.kernel**2
        channels = (self.in_channels + self.rows * self.max_bits**2) * (self.out_channels + self.cols)
        return spots * channels * (self.input_bits + self.weight_bits + OUTPUT_BITS)

    @property
    def lanes(self) -> int:
        """Products of a column a cycle; a fusion unit splits into powers of two, so odd widths round up."""
        fused = 1
        for bits in (self.input_bits, self.weight_bits):
            fused *= self.max_bits // (1 << (max(bits, self.min_bits) - 1).bit_length())
        return self.rows * fused

    @property
    def half_bits(self) -> tuple[int, int, int]:
        """What a tile may fill of each buffer, in the order of OPERANDS."""
        return self.weight_buffer_bytes * 4, self.input_buffer_bytes * 4, self.output_buffer_bytes * 4

    @property
    def prices(self) -> Prices:
        """Prices of the machine."""
        sizes = (self.weight_buffer_bytes, self.input_buffer_bytes, self.output_buffer_bytes)
        return prices(self.rows, self.cols, self.max_bits, self.min_bits, sizes)
