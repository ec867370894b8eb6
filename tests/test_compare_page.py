"""docs/compare.md: the tables of sizes, and of a trace, are what the program computes."""

from pathlib import Path

import pytest

from bench import iso

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
