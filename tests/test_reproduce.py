"""Papers: BitFusion's 61 rows and headline, exactly; a value altered by one is found and named."""

import csv
from pathlib import Path

import pytest

from bitsim.reproduce import bitfusion
from bitsim.reproduce.bitfusion_isca18 import COUNTERS, ENERGIES, Row, layer
from bitsim.reproduce.published_rows import shipped

ROWS = shipped("bitfusion_isca18_layers.csv")


def test_all_rows_and_the_headline():
    found = bitfusion.rows()
    assert (found.exact, len(found.names), found.differences) == (61, 61, [])
    listed = bitfusion.headline(found)
    assert bitfusion.headline_differences(listed) == []
    assert bitfusion.geometric_mean([n.speedup for n in listed]) == pytest.approx(3.925073456, rel=1e-9)  # 3.9x
    assert bitfusion.geometric_mean([n.energy_ratio for n in listed]) == pytest.approx(5.116515042, rel=1e-9)  # 5.1x


def test_making_even_at_the_published_prices_changes_nothing():
    """Eyeriss's own price, 0.15 x 200 units a word, is 6 pJ a bit: only BitFusion's side moves there."""
    for network in bitfusion.headline(bitfusion.rows()):
        if network.eyeriss_units is not None:
            moved = network.bitfusion_nj - network.bitfusion_dram_bits * (15 - 6) / 1e3
            assert network.at(6.0) == pytest.approx(network.eyeriss_nj / moved)


def write(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize("column", [*COUNTERS, *ENERGIES])
def test_a_value_altered_by_one_is_named(tmp_path, bitsim_command, column):
    rows = [dict(row) for row in ROWS[:3]]
    assert_ok = tmp_path / "same.csv"
    write(assert_ok, rows)
    status, out, _ = bitsim_command("reproduce", "bitfusion", "--layers", assert_ok)
    assert status == 0 and out.splitlines()[-1] == "3 of 3 rows exact"
    rows[2][column] = str(float(rows[2][column]) * 1.00001) if column in ENERGIES else str(int(rows[2][column]) + 1)
    path = tmp_path / "altered.csv"
    write(path, rows)
    status, out, _ = bitsim_command("reproduce", "bitfusion", "--layers", path)
    assert status == 1
    assert f"{path}:4 AlexNet {rows[2]['layer']}: {column}: ours" in out
    assert out.splitlines()[-1] == "2 of 3 rows exact"


@pytest.mark.parametrize(
    ("column", "text", "message"),
    [
        ("kernel", "0", "2: kernel: '0', allowed"),
        ("batch", "x", "2: batch: 'x', allowed"),
        ("input_bits", "16", "above max_bits"),
        ("cycles", "many", "cycles: 'many' is not a number"),
        ("weight_buffer_bytes", "1", "no tile fits"),
    ],
)
def test_bad_rows(tmp_path, bitsim_command, column, text, message):
    row = dict(ROWS[0])
    row[column] = text
    path = tmp_path / "bad.csv"
    write(path, [row])
    status, out, err = bitsim_command("reproduce", "bitfusion", "--layers", path)
    assert status == 2 and out == "" and message in err
    assert bitsim_command("reproduce", "bitfusion", "--layers", Path("/nowhere.csv"))[0] == 2


def test_other_arrays_stay_within_laws():
    """More columns never take more compute cycles; a wider port never more cycles."""
    row = Row.read(ROWS[2], "row")
    base = layer(row)
    wide = layer(Row(**{**row.__dict__, "port_bits_per_cycle": 384}))
    assert wide["cycles"] <= base["cycles"]
    assert base["cycles"] == base["compute_cycles"] + base["memory_wait_cycles"]


def test_exact_engine_beside(bitsim_command):
    status, out, _ = bitsim_command("reproduce", "bitfusion")
    assert status == 0 and out.splitlines()[-1] == "61 of 61 rows exact"
    assert "exact engine beside" in out and "VGG-7, RESNET-18: no published Eyeriss rows" in out


@pytest.mark.parametrize("name", ["bitfusion", "eyeriss"])
def test_the_committed_page_is_what_the_command_writes(tmp_path, bitsim_command, name):
    page = tmp_path / f"validation_{name}.md"
    assert bitsim_command("reproduce", name, "--markdown", page)[0] == 0
    committed = Path(__file__).parent.parent / "docs" / page.name
    assert page.read_text() == committed.read_text(), f"write it again: bitsim reproduce {name} --markdown {committed}"


def test_made_even_in_the_published_terms():
    """Known figures over all eight networks: 5.2x / 6.8x at the same width, 10.6x at 6 pJ a DRAM bit."""
    even = {e.what: e for e in bitfusion.made_even(bitfusion.rows())}
    narrow = even["AlexNet and ResNet-18 as wide on BitFusion as on Eyeriss"]
    assert narrow.speedup == pytest.approx(5.2, abs=0.06)
    assert narrow.energy_ratio == pytest.approx(6.8, abs=0.05)
    assert even["DRAM at 6 pJ a bit for both"].energy_ratio == pytest.approx(10.6, abs=0.06)
    assert {e.networks for e in even.values()} == {8, 6}
