"""docs/energy.md: the row by hand is the row of the result, and the figures of its text are those of the tables."""

import re
from pathlib import Path

import pytest

import bitsim
from bitsim.technology import logic
from bitsim.technology.arithmetic import arithmetic
from bitsim.technology.price import table

PAGE = (Path(__file__).parent.parent / "docs" / "energy.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def result():
    machine = bitsim.load_hardware("bitfusion_16x32_192b")
    return bitsim.simulate(bitsim.open_trace("resnet20_digits_pfq"), machine, passes=["forward"], iterations=(0, 1))


@pytest.fixture(scope="module")
def row(result):
    return next(r for r in result.distinct() if r["layer"] == "layer1.1.conv1")


def test_the_row_by_hand(result, row):
    listed = re.findall(r"^\| `(\w+)`[^|]* \| ([\d,]*) *\| ([\d.e-]*) *\| ([\d,]+) \|$", PAGE, re.MULTILINE)
    lines = {name: (count.replace(",", ""), each, int(pj.replace(",", ""))) for name, count, each, pj in listed}
    total = lines.pop("energy_pj")[2]
    assert set(lines) == {name for name in result.prices.priced_counters if row[name]} | {"cycles"}
    for name, (count, each, pj) in lines.items():
        assert int(count) == row[name], name
        assert pj == pytest.approx(int(count) * float(each), rel=1e-5, abs=0.5), name
    assert sum(pj for *_, pj in lines.values()) == pytest.approx(total, abs=len(lines))
    assert total == pytest.approx(row["energy_pj"], abs=1)
    assert lines["cycles"][2] == pytest.approx(row["leakage_pj"], abs=1)


def test_the_counts_by_hand(row):
    """As the page derives them from the layer's shape."""
    assert row["bit_products"] == 16 * 16 * 128 * 484 * 4 * 4
    assert row["column_steps"] == 16 * (128 * 64) * 9
    assert (row["accumulated_bits"], row["requantised_bits"]) == (32 * row["column_steps"], 128 * 64 * 16 * 32)


def test_the_estimate():
    found = arithmetic()
    for figure in (found.constant_pj, found.per_bit_pj, found.per_bit_product_pj):
        assert f"{figure:.4g}" in PAGE.replace("0.01110", "0.0111")
    cycle_pj = [logic.unit_price(bits, bits).active_pj_per_cycle for bits in (2, 4, 8, 16)]
    assert [f"{pj:.4f}" for pj in cycle_pj] == ["0.0407", "0.0824", "0.2034", "0.6027"]
    assert "0.0407, 0.0824, 0.2034 and 0.6027" in PAGE
    # What a column of 8-bit units takes beside them: 4 rows less four times what a row more takes.
    pj = {
        int(r["rows"]): float(r["dynamic_nw"]) / float(r["frequency_hz"]) * 1e3 / 4
        for r in table("logic_synthesis_45nm.csv")
        if (r["cols"], r["max_bits"], r["min_bits"]) == ("4", "8", "8")
    }
    beside_pj = pj[1] - (pj[4] - pj[1]) / 3
    assert beside_pj == pytest.approx(0.107, abs=5e-4) and "0.0067 pJ a bit" in PAGE
    assert beside_pj / 16 == pytest.approx(0.0067, abs=5e-5)


def test_every_component_is_on_the_page(result):
    for column in result.prices.component_columns:
        assert f"`{column}`" in PAGE or column.removesuffix("_pj") in result.prices.buffers
    for counter in result.prices.priced_counters:
        assert f"`{counter}`" in PAGE
