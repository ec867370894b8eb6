"""Reuse of each operand at each level of memory, for any pass: how often a word moved is multiplied.

MACs per DRAM word say what tiling and loop order give, MACs per buffer read what the array's registers
give, and both beside MACs per word of the tensor, which no mapping can pass.

Assumptions
    - MACs are real ones (taps in the padding left out), each counted once however many slices its operands
      take; a word read once more for each slice of the other operand counts each time.
    - Operands that share a buffer are told apart by counting the same tile program with the storage width of
      one operand 1 and of the others 0: every counter of bits is linear in these widths.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from bitsim.accelerators.seam import INPUT, OUTPUT, ROLES, WEIGHT, Accelerator, Datapath
from bitsim.mapping.program import execute
from bitsim.mapping.shortlist import Timed
from bitsim.workload import Product

DRAM = "dram"
# Beats are not looked at: any rate gives the same counters.
_ANY_RATE = Fraction(1)


@dataclass(frozen=True)
class Traffic:
    """Words of one operand read from and written to one level: `dram`, or a buffer by its YAML key."""

    level: str
    read_words: int
    write_words: int


@dataclass(frozen=True)
class OperandReuse:
    """One operand of a pass.  tensor_words: its distinct words; levels: those it passes, DRAM first."""

    role: str
    macs: int
    tensor_words: int
    levels: tuple[Traffic, ...]

    @property
    def most_macs_per_word(self) -> float:
        """MACs per word of the tensor: the reuse of a mapping that moves each word once."""
        return self.macs / self.tensor_words if self.tensor_words else 0.0

    def macs_per_access(self, level: str) -> float | None:
        """MACs per word moved between `level` and the array; None where the operand does not pass it.

        Of an input or a weight its reads, of the output reads and writes together.  At `dram` it is the reuse
        on chip, at a buffer the reuse in the registers of the array.
        """
        moved = sum(
            t.read_words + (t.write_words if self.role == OUTPUT else 0) for t in self.levels if t.level == level
        )
        return self.macs / moved if moved else None


def reuse(accelerator: Accelerator, parts: Iterable[tuple[Product, Datapath, Timed]]) -> dict[str, OperandReuse]:
    """Reuse by role (input, weight, output) of a pass that runs `parts`: its products as they were mapped."""
    macs = 0
    words = dict.fromkeys(ROLES, 0)
    levels: dict[str, dict[str, list[int]]] = {role: {} for role in ROLES}
    for product, datapath, timed in parts:
        macs += product.real_macs
        for role in ROLES:
            words[role] += tensor_words(product, role)
            for level, (reads, writes) in _words_moved(accelerator, product, datapath, timed, role).items():
                sums = levels[role].setdefault(level, [0, 0])
                sums[0], sums[1] = sums[0] + reads, sums[1] + writes
    return {
        role: OperandReuse(role, macs, words[role], tuple(Traffic(name, *sums) for name, sums in levels[role].items()))
        for role in ROLES
    }


def tensor_words(product: Product, role: str) -> int:
    """Distinct words of an operand that a product touches; padding is none."""
    if role == OUTPUT:
        return product.output_words
    if role == INPUT:
        axes = product.rows, product.cols
        rows, cols = (int(axis.unique_inputs(axis.positions)[0]) for axis in axes)
        return product.groups * product.batch * rows * cols * product.channels
    per_output = product.positions if product.writes_filter else product.taps * product.channels
    return product.groups * product.outputs * per_output


def _words_moved(
    accelerator: Accelerator, product: Product, datapath: Datapath, timed: Timed, role: str
) -> dict[str, tuple[int, int]]:
    """{level: (words read, words written)} of one operand, levels it does not pass left out."""
    # The accumulator keeps its width, as register blocking follows from it; what is stored gets the same.
    widths = {INPUT: (1, 0), WEIGHT: (0, 1), OUTPUT: (0, 0)}
    plain = replace(datapath, output_bits=datapath.accumulator_bits, dram_bits=(0, 0), buffer_bits=(0, 0))
    outputs = _bits(execute(product, accelerator, plain, timed.orientation, timed.mapping, _ANY_RATE).counters)
    if role == OUTPUT:
        counted = {name: bits // datapath.accumulator_bits for name, bits in outputs.items()}
    else:
        alone = replace(plain, dram_bits=widths[role], buffer_bits=widths[role])
        counted = _bits(execute(product, accelerator, alone, timed.orientation, timed.mapping, _ANY_RATE).counters)
        counted = {name: bits - outputs.get(name, 0) for name, bits in counted.items()}
    names = [DRAM, *(buffer.name for buffer in accelerator.buffers())]
    moved = {name: (counted.get(f"{name}_read_bits", 0), counted.get(f"{name}_write_bits", 0)) for name in names}
    return {name: words for name, words in moved.items() if any(words)}


def _bits(counters: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counters.items() if name.endswith(("_read_bits", "_write_bits"))}
