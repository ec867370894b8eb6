"""docs/compare.md: the tables of sizes, and of a trace, are what the program computes."""

from pathlib import Path

import pytest

import bitsim
from bench import iso
from bitsim.simulation.metrics import over_training

PAGE = Path(__file__).parents[1] / "docs" / "compare.md"


def rows_of(lines):
    """Table rows as lists of cells, heads and rules included."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in "\n".join(lines).splitlines()]


def test_sizes_are_what_the_rules_give():
    page = rows_of(PAGE.read_text().splitlines())
    for row in rows_of(iso.sizes()):
        assert row in page


@pytest.mark.slow
@pytest.mark.parametrize("trace", ["resnet20_digits_fw8bw8", "resnet38_cifar_pfq"])
def test_verdicts_are_what_the_program_computes(trace):
    text = PAGE.read_text()
    page = rows_of(text[text.index(f"| {trace} |") :].splitlines())
    for row, computed in zip(page, rows_of(iso.verdicts(trace, iso.OTHERS[:1])), strict=False):
        assert row[:3] == computed


@pytest.mark.slow
@pytest.mark.parametrize("trace", ["resnet20_digits_pfq", "resnet38_cifar_pfq"])
def test_the_cheapest_iteration_over_the_dearest(trace):
    lines = PAGE.read_text().splitlines()
    for name in ("bitfusion_16x32_192b", "int8_16x32_192b"):
        found = over_training(bitsim.simulate(bitsim.open_trace(trace), bitsim.load_hardware(name)))
        cells = " | ".join(f"{ratio:.3f}" for ratio in (found.effective_macs, found.cycles, found.energy))
        assert f"| {trace}, {name} | {cells} |" in lines
