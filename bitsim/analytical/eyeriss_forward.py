"""A layer of a trace by the published row-stationary blocking (eyeriss_blocking): forward passes only.

Assumptions
    - All registers of a PE are one file, all buffers one, neither doubled; a linear layer is a 1x1 kernel on 1x1 maps.
    - Words are 16 bits.  Energy is that of BitFusion's comparison (ISCA 2018): 3.2 pJ a unit, DRAM at 0.15 of its
      units; a quarter of the register units is an access of filter, input, psum read and psum write each.
    - Filling the buffer is not counted again, as in the model; averages over folds are rounded to whole words.
"""

from __future__ import annotations

from bitsim.analytical.cost import AnalyticalCost, unsaid
from bitsim.analytical.eyeriss_blocking import (
    BUFFER_COST,
    DRAM_COST,
    REGISTER_ACCESSES_PER_MAC,
    Blocking,
    best_blocking,
)
from bitsim.errors import InputError
from bitsim.workload import Layer

WORD_BITS = 16
UNIT_PJ, DRAM_SHARE = 3.2, 0.15
SOURCE = "energy-minimising row-stationary blocking behind the Eyeriss rows of BitFusion (ISCA 2018)"


def forward_cost(
    layer: Layer, samples: int, bits: int, array: tuple[int, int], register_words: int, buffer_words: int
) -> AnalyticalCost:
    """Cost of a forward pass over `samples` samples with operands of up to `bits` bits.

    array: rows, columns; register_words: of a PE; buffer_words: of all buffers.
    Raises InputError for what the model has no words for, and if nothing fits.
    """
    faults = list(unsaid(layer))
    if bits > WORD_BITS:
        faults.append(f"precision: {bits} bits, but the model has no passes for wider operands, allowed: up to 16")
    if faults:
        raise InputError(faults)
    conv = layer.kind == "conv"
    shape = (layer.kernel_h, layer.out_h, layer.stride_h) if conv else (1, 1, 1)
    batch = samples if conv else samples * layer.rows
    channels = layer.in_channels, layer.out_channels
    found = best_blocking(*channels, *shape, batch, *array, register_words, buffer_words)
    registers_pj = UNIT_PJ * float(found.rf_units) / REGISTER_ACCESSES_PER_MAC
    return AnalyticalCost(
        compute_cycles=found.cycles,
        wait_cycles=0,
        input_hw_bits=WORD_BITS,
        weight_hw_bits=WORD_BITS,
        output_bits=WORD_BITS,
        counters=_counters(found),
        energy_pj={
            "array_pj": UNIT_PJ * float(found.alu_units + found.noc_units),
            "input_spad_pj": registers_pj,
            "weight_spad_pj": registers_pj,
            "psum_spad_pj": 2 * registers_pj,
            "global_buffer_pj": UNIT_PJ * float(found.glb_units),
            "dram_pj": UNIT_PJ * DRAM_SHARE * float(found.dram_units),
        },
        source=SOURCE,
    )


def _counters(found: Blocking) -> dict[str, int]:
    words = {
        "global_buffer_read_bits": found.glb_units / BUFFER_COST - found.buffer_write_words,
        "global_buffer_write_bits": found.buffer_write_words,
        "dram_read_bits": found.dram_units / DRAM_COST - found.dram_write_words,
        "dram_write_bits": found.dram_write_words,
    }
    spads = ("input_spad_read_bits", "weight_spad_read_bits", "psum_spad_read_bits", "psum_spad_write_bits")
    words |= dict.fromkeys(spads, found.rf_units / REGISTER_ACCESSES_PER_MAC)
    return {name: round(count) * WORD_BITS for name, count in words.items()} | {"tiles": 1}
