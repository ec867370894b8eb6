"""FracTrain's methods on the model BitFusion's numbers were published with (ISCA 2018), untuned.

FracTrain measured with that simulator, on a configuration and a lowering it does not describe.  The model knows
forward passes only, so each gradient has to be said as one; how is varied, and the spread is the band.

Assumptions
    - dgrad is a convolution of the output gradient with channels swapped: over an output gradient with zeros inserted,
      or (``phases``) over as many positions as the layer has outputs.
    - wgrad is a matrix product reduced over batch and positions: kernel taps stream past the output channels held in
      columns, or (``taps``) the other way round.
    - A width above the array's largest runs in passes of that width, each with all traffic of one; layers outside the
      gates, and the classifier, run at the largest width.
    - Samples of one gate choice run as one batch, or (``alone``) one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from math import prod

from bitsim.accelerators.registry import load_hardware
from bitsim.analytical.bitfusion_isca18 import layer as best_schedule
from bitsim.analytical.isca18_row import Row
from bitsim.networks import Network
from bitsim.networks.known import known_network
from bitsim.reproduce.fractrain_costs import MACHINE, STATIC_BITS
from bitsim.schedules import Bits, DynamicPrecision
from bitsim.schedules.dynamic import MIXTURES
from bitsim.workload import Layer


@dataclass(frozen=True)
class Lowering:
    """How gradients are said as forward passes, and how many samples run together."""

    dgrad: str
    wgrad: str
    samples: str

    def __str__(self) -> str:
        return f"dgrad {self.dgrad}, wgrad columns {self.wgrad}, samples {self.samples}"


LOWERINGS = tuple(
    Lowering(*choice) for choice in product(("zeros", "phases"), ("outputs", "taps"), ("together", "alone"))
)


@dataclass(frozen=True)
class OriginalRatio:
    """DFQ over static FW8/BW8 on the original model."""

    mixture: str
    lowering: Lowering
    time: float
    energy: float


def original_ratios(network: str) -> list[OriginalRatio]:
    """One for each mixture and lowering."""
    found = []
    for mixture, lowering in product(MIXTURES, LOWERINGS):
        static, dynamic = (_cost(known_network(network), lowering, groups) for groups in _groups(network, mixture))
        found.append(OriginalRatio(mixture, lowering, dynamic[0] / static[0], dynamic[1] / static[1]))
    return found


def _groups(network: str, mixture: str) -> Iterator[list[tuple[int, Bits]]]:
    """(samples, bits) of the gated blocks: of a static batch, of a dynamic one."""
    batch, dynamic = known_network(network).batch, DynamicPrecision()
    yield [(batch, STATIC_BITS)]
    counts = dynamic.mixture(batch, mixture)
    yield [(count, bits) for count, bits in zip(counts, dynamic.candidates, strict=True) if count]


def _cost(network: Network, lowering: Lowering, groups: list[tuple[int, Bits]]) -> tuple[float, float]:
    """(cycles, nJ) of an iteration."""
    cycles = nj = 0.0
    for layer in network.layers:
        for samples, bits in groups if layer.gate_group else [(network.batch, STATIC_BITS)]:
            together, times = (samples, 1) if lowering.samples == "together" else (1, samples)
            for row in product_rows(layer, lowering, together, bits):
                found, passes = _fitting(row)
                cycles += times * passes * found["cycles"]
                nj += times * passes * found["total_nj"]
    return cycles, nj


def product_rows(layer: Layer, lowering: Lowering, samples: int, bits: Bits) -> Iterator[Row]:
    """The three products of a layer as forward passes."""
    conv = layer.kind == "conv"
    forward = replace(
        _array(),
        kernel=layer.kernel_h if conv else 1,
        out_size=layer.out_h if conv else 1,
        stride=layer.stride_h if conv else 1,
        in_channels=layer.in_channels,
        out_channels=layer.out_channels,
        batch=samples if conv else samples * layer.rows,
        input_bits=bits.activation_bits,
        weight_bits=bits.weight_bits,
        im2col=int(conv and layer.needs_dgrad == "false"),
    )
    yield forward
    positions, taps = samples * forward.out_size**2, layer.in_channels * forward.kernel**2
    # (how many, bits) of what stands in columns, and of what streams past it
    held, streamed = (layer.out_channels, bits.gradient_bits), (taps, bits.activation_bits)
    if lowering.wgrad == "taps":
        held, streamed = streamed, held
    yield replace(
        forward,
        kernel=1,
        out_size=1,
        stride=1,
        in_channels=positions,
        out_channels=held[0],
        batch=streamed[0],
        input_bits=streamed[1],
        weight_bits=held[1],
        im2col=0,
    )
    if layer.needs_dgrad == "true":
        yield replace(
            forward,
            out_size=(layer.in_h if lowering.dgrad == "zeros" else layer.out_h) if conv else 1,
            stride=1,
            in_channels=layer.out_channels,
            out_channels=layer.in_channels,
            input_bits=bits.gradient_bits,
        )


def _fitting(row: Row) -> tuple[dict[str, int | float], int]:
    """(best schedule, passes) of a row whose widths may exceed the array's."""
    passes = [-(-bits // row.max_bits) for bits in (row.input_bits, row.weight_bits)]
    narrow = replace(row, input_bits=min(row.input_bits, row.max_bits), weight_bits=min(row.weight_bits, row.max_bits))
    return best_schedule(narrow), prod(passes)


@lru_cache(maxsize=1)
def _array() -> Row:
    """The published array, without a layer."""
    machine = load_hardware(MACHINE)
    config = machine.accelerator.config
    return Row(
        *(1,) * 9,
        rows=config.array.rows,
        cols=config.array.cols,
        max_bits=config.precision.max_bits,
        min_bits=config.precision.min_bits,
        weight_buffer_bytes=config.weight_buffer // 8,
        input_buffer_bytes=config.input_buffer // 8,
        output_buffer_bytes=config.output_buffer // 8,
        port_bits_per_cycle=int(config.memory.rate_bits_per_cycle(config.clock)),
    )
