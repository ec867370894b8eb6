"""Papers: BitFusion's 61 rows and headline, exactly; a value altered by one is found and named."""

import csv
from functools import cache
from pathlib import Path

import pytest

from bitsim.analytical.bitfusion_isca18 import COUNTERS, ENERGIES, Row, layer
from bitsim.reproduce import bitfusion, headline
from bitsim.reproduce.published_rows import shipped

ROWS = shipped("bitfusion_isca18_layers.csv")


@cache
def networks():
    """The eight networks of the headline."""
    found = bitfusion.rows()
    return headline.networks(found.networks, found.rows, found.ours)


def test_all_rows_and_the_headline():
    found = bitfusion.rows()
    assert (found.exact, len(found.names), found.differences) == (61, 61, [])
    listed = networks()
    assert headline.headline_differences(listed) == []
    assert headline.geometric_mean([n.speedup for n in listed]) == pytest.approx(3.925073456, rel=1e-9)  # 3.9x
    assert headline.geometric_mean([n.energy_ratio for n in listed]) == pytest.approx(5.116515042, rel=1e-9)  # 5.1x


def test_eyeriss_layers_blocked_anew_are_the_published_ones():
    """Every layer with dimensions, on the array it was run on: other arrays follow the same model."""
    for network in networks():
        for one in network.eyeriss:
            if one.shape is not None:
                again = headline.blocked(one.shape, one.batch, headline.ARRAY)
                assert (again.cycles, again.units) == (one.cycles, one.units)


def test_choices_move_only_what_they_name():
    as_published = {n.name: n.even(headline.Choice()) for n in networks()}
    for network in networks():
        speed, energy = as_published[network.name]
        stalled = network.even(headline.Choice(dram_stalls=True))
        assert stalled[0] >= speed and stalled[1] == energy
        priced = network.even(headline.Choice(dram_pj_per_bit=40.0))
        assert priced[0] == speed
        narrow = network.even(headline.Choice(same_width=True))
        assert (narrow == (speed, energy)) == (network.name not in headline.WIDE_NETWORKS)
        assert network.even(headline.Choice(per_area=True))[0] == pytest.approx(speed * 5.87 / 2.14)


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
        ("input_bits", "16", ":2: input_bits: 16, allowed: up to max_bits, 8"),
        ("cycles", "many", "cycles: 'many' is not a number"),
        ("weight_buffer_bytes", "1", "no tile fits"),
        ("total_nj", "inf", "total_nj: 'inf' is not a number, allowed: a finite number"),
        ("cycles", "nan", "cycles: 'nan' is not a number"),
        ("in_channels", "2000000000", "counters would pass int64"),
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


def test_all_faults_of_a_file_at_once(tmp_path, bitsim_command):
    rows = [dict(row) for row in ROWS[:3]]
    rows[0]["cycles"], rows[1]["weight_buffer_bytes"], rows[2]["total_nj"] = "many", "1", "inf"
    path = tmp_path / "bad.csv"
    write(path, rows)
    status, out, err = bitsim_command("reproduce", "bitfusion", "--layers", path)
    assert (status, out) == (2, "")
    assert [line.split(": ")[0].split(":")[1].split()[0] for line in err.splitlines()] == ["2", "3", "4"]
    path.write_text("cycles,kernel,cycles\n1,2,3\n")
    assert ":1: column cycles twice" in bitsim_command("reproduce", "bitfusion", "--layers", path)[2]


def test_other_arrays_stay_within_laws():
    """More columns never take more compute cycles; a wider port never more cycles."""
    row = bitfusion.read_row("row", ROWS[2])
    base = layer(row)
    wide = layer(Row(**{**row.__dict__, "port_bits_per_cycle": 384}))
    assert wide["cycles"] <= base["cycles"]
    assert base["cycles"] == base["compute_cycles"] + base["memory_wait_cycles"]


def test_exact_engine_beside(bitsim_command):
    status, out, _ = bitsim_command("reproduce", "bitfusion")
    assert status == 0 and out.splitlines()[-1] == "61 of 61 rows exact"
    assert "exact engine beside" in out and "our exact engine and prices on both sides" in out


def test_the_committed_page_is_what_the_commands_write(tmp_path, bitsim_command):
    page = tmp_path / "validation.md"
    for name in ("bitfusion", "eyeriss"):
        assert bitsim_command("reproduce", name, "--markdown", page)[0] == 0
    committed = Path(__file__).parent.parent / "docs" / "validation.md"
    assert page.read_text() == committed.read_text(), f"write it again: bitsim reproduce NAME --markdown {committed}"
    # Writing one section again leaves the other alone.
    assert bitsim_command("reproduce", "bitfusion", "--markdown", page)[0] == 0
    assert page.read_text() == committed.read_text()


@pytest.mark.parametrize(
    ("what", "speed", "energy"),
    [
        # bitfusion_isca18.md: "same width gives 5.2x / 6.8x"; "equal prices: 10.6x at 6, 5.87x at 15, 3.19x at 40"
        ("AlexNet and ResNet-18 as wide on BitFusion as on Eyeriss", 5.15, 6.82),
        ("DRAM at 6 pJ a bit for both (published: 15 and 6)", 3.925, 10.645),
        ("DRAM at 15 pJ a bit for both", 3.925, 5.874),
        ("DRAM at 40 pJ a bit for both", 3.925, 3.193),
        # eyeriss.md: "and Eyeriss's MAC at the synthesised price 2.00; and 8-bit Eyeriss 0.84"
        ("DRAM at 15 pJ for both, MAC at 0.6027 pJ", 3.925, 2.000),
        ("DRAM at 15 pJ for both, an 8-bit Eyeriss at its synthesised price", 3.925, 0.842),
    ],
)
def test_made_even_in_the_published_terms(what, speed, energy):
    even = {e.what: e for e in headline.made_even(networks())}[what]
    assert even.speedup == pytest.approx(speed, abs=6e-3)
    assert even.energy_ratio == pytest.approx(energy, abs=6e-3)
    assert len(even.energy_ratios) == 8
