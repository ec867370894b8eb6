"""Laws and edges of prices: what the tables promise on both sides of every limit."""

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsim.accelerators.registry import load_hardware
from bitsim.energy import PriceList
from bitsim.errors import InputError
from bitsim.technology import dram, logic, registers, sram
from bitsim.technology.price import table

MHZ_500 = Fraction(500_000_000)
SLOW = Fraction(1_000_000)  # no macro is too slow
# Default buffers of BitFusion's released configuration, 4-byte access: (bits, banks, extra ports)
BITFUSION = [(512 * 128 * 8, 512, 0), (16 * 2048 * 8, 16, 0), (32 * 512 * 8, 32, 1)]
WIDTHS = [8, 16, 32, 64, 128, 256]


def price(bits, banks=1, width=32, node=45, cells="itrs-lstp", ports=0, clock_hz=SLOW):
    return sram.buffer_price(bits, banks, width, node, cells, ports, clock_hz)


@pytest.mark.parametrize(("cells", "leakage_mw"), [("itrs-hp", 212.5 + 8.6), ("itrs-lstp", 0.0471 + 0.0025)])
def test_bitfusion_buffers_leakage_with_gates(cells, leakage_mw):
    total = sum(price(b, n, cells=cells, ports=p, clock_hz=MHZ_500).leakage_mw for b, n, p in BITFUSION)
    assert total == pytest.approx(leakage_mw, rel=2e-3)


def test_bitfusion_buffers_area():
    total = sum(price(b, n, cells="itrs-hp", ports=p).area_mm2 for b, n, p in BITFUSION)
    assert total == pytest.approx(1.253, abs=5e-4)


def test_every_row_is_looked_up_exactly():
    for row in table("sram_cacti7.csv"):
        size, width = int(row["size_bits"]), int(row["access_width_bits"])
        got = price(size, 1, width, int(row["technology_nm"]), row["cell_type"], int(row["read_write_ports"]))
        assert got.read_pj_per_bit * width == pytest.approx(float(row["read_pj"]), rel=1e-12)
        assert got.write_pj_per_bit * width == pytest.approx(float(row["write_pj"]), rel=1e-12)
        assert got.leakage_mw == float(row["leakage_mw"]) + float(row["gate_leakage_mw"])
        assert "interpolated" not in got.source and "extrapolated" not in got.source


def test_one_bit_more_than_a_table_size_is_one_word_more_and_interpolated():
    assert "interpolated" not in price(16384).source
    assert "interpolated" not in price(16384 - 31).source  # rounds up to whole words
    assert "interpolated" in price(16384 + 1).source
    assert price(16384 + 1) == price(16384 + 32)


def test_largest_bank_and_one_bit_more():
    assert price(2**24).source
    with pytest.raises(InputError, match="allowed up to 2097152 B"):
        price(2**24 + 1)


@given(st.sampled_from(WIDTHS), st.integers(0, 4000), st.integers(1, 300), st.sampled_from(["itrs-hp", "itrs-lstp"]))
def test_read_energy_never_falls_with_size(width, words, more, cells):
    # From 1024 bits up: below are register files, a model of its own.
    least = max(1024, 32 * width)
    one, bigger = (price(least + n * width, 1, width, cells=cells) for n in (words, words + more))
    assert one.read_pj_per_bit <= bigger.read_pj_per_bit * (1 + 1e-12)


@given(st.integers(1, 600), st.integers(1, 600), st.integers(1, 300))
def test_register_files_grow_with_depth_and_linearly_with_width(words, more, bits):
    one, deeper = (registers.register_file_price(n, bits) for n in (words, words + more))
    wide = registers.register_file_price(words, 2 * bits)
    assert 0 < one.read_pj_per_bit < deeper.read_pj_per_bit
    assert wide.read_pj_per_bit == pytest.approx(one.read_pj_per_bit)
    assert wide.area_mm2 == pytest.approx(2 * one.area_mm2)


@pytest.mark.parametrize(("words", "mark"), [(11, "extra"), (12, "row"), (13, "inter"), (192, "row"), (193, "extra")])
def test_register_file_says_how_it_was_found(words, mark):
    found = registers.register_file_price(words, 16)
    assert mark in found.source and "leakage not listed" in found.source
    assert found.leakage_mw == 0


def test_register_file_rows():
    read_pj = [registers.register_file_price(words, 16).read_pj_per_bit * 16 for words in (12, 16, 192)]
    assert read_pj == pytest.approx([0.146, 0.153, 0.823])


@pytest.mark.parametrize("width", [1, 10, 24, 32, 512])
def test_banks_below_32_words_have_a_price_at_any_width(width):
    assert "register_file" in price(31 * width, 1, width).source


def test_32_words_need_a_width_of_the_table():
    assert "cacti" in price(32 * 32, 1, 32).source
    with pytest.raises(InputError, match="allowed: 8, 16, 32, 64, 128, 256"):
        price(32 * 24, 1, 24)


def test_below_the_smallest_macro_is_a_register_file():
    assert "extrapolated" in price(127 * 8, 1, 8).source
    assert "cacti" in price(128 * 8, 1, 8).source


@pytest.mark.parametrize("node", [22, 32])
def test_register_files_at_other_nodes_are_refused_by_name(node):
    with pytest.raises(InputError, match=r"node_nm.*allowed: 45"):
        price(31 * 32, 1, 32, node)
    assert price(32 * 32, 1, 32, node).source


def test_access_as_long_as_the_period_is_too_slow():
    access_ns = Fraction(price(8192).access_time_ns)
    with pytest.raises(InputError, match=r"too slow.*period.*itrs-hp"):
        price(8192, clock_hz=10**9 / access_ns)
    assert price(8192, clock_hz=10**9 / (access_ns * Fraction(1001, 1000))).source


@pytest.mark.parametrize(
    ("changed", "allowed"),
    [
        ({"node": 28}, "allowed: 22, 32, 45"),
        ({"cells": "tfet"}, "allowed: itrs-hp, itrs-lstp"),
        ({"ports": 1, "node": 22}, "allowed: 0$"),
        ({"ports": 2}, "allowed: 0, 1"),
        ({"banks": 0}, "banks: 0: allowed"),
        ({"width": 0}, "access_bits: 0: allowed"),
        ({"bits": 0}, "capacity_bits: 0: allowed"),
        ({"bits": -1024}, "capacity_bits: -1024: allowed"),
        ({"clock_hz": Fraction(0)}, "clock_hz: 0: allowed"),
    ],
)
def test_bad_buffers_are_input_errors_that_say_what_is_allowed(changed, allowed):
    with pytest.raises(InputError, match=allowed):
        price(**{"bits": 65536} | changed)


@pytest.mark.parametrize(("words", "bits"), [(0, 16), (16, 0), (-1, 16)])
def test_register_files_without_words_or_bits(words, bits):
    with pytest.raises(InputError, match="allowed: 1 or more"):
        registers.register_file_price(words, bits)


def test_512_fusion_units_take_the_published_core_energy():
    unit = logic.unit_price(8, 2)
    assert unit.active_pj_per_cycle * 512 == pytest.approx(235.104)  # 0.235104 nJ a cycle, ISCA 2018
    assert unit.leakage_mw * 16 == pytest.approx(0.94924)


def test_every_dram_row_has_a_price_and_a_source():
    for row in table("dram_energy.csv"):
        found = dram.dram_price(row["name"])
        assert found.read_pj_per_bit == float(row["read_pj_per_bit"]) > 0
        assert found.write_pj_per_bit == float(row["write_pj_per_bit"]) > 0
        assert found.static_mw >= 0 and row["name"] in found.source


def test_every_price_of_a_row_is_shown(bitsim_command):
    """What `hw show` prints is enough to work out a row's energy, what time costs included."""
    status, out, _ = bitsim_command("hw", "show", "bitfusion_16x32_192b")
    prices = PriceList(load_hardware("bitfusion_16x32_192b"))
    assert status == 0 and f"leakage {prices.array.leakage_mw:.4g} mW" in out
    shown = dict(re.findall(r"│ ([\w, ]+?) +│ ([\d.e+-]+) +│", out.partition("prices, pJ each")[2]))
    for name in ("leakage_pj", "dram_static_pj"):
        assert float(shown[f"cycles, {name}"]) == pytest.approx(prices.energy_pj({}, 1)[name], rel=1e-3)
    assert set(prices.priced_counters) <= set(shown)
