"""Papers: prices are the published ones; both sides of every edge of the tables."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsim.errors import InputError
from bitsim.technology import dram, logic, registers, sram

MHZ_500 = Fraction(500_000_000)
# BitFusion's buffers, ISCA 2018: (bits, banks, extra ports)
BITFUSION = [(524288, 512, 0), (262144, 16, 0), (131072, 32, 1)]


def total_leakage(cells):
    return sum(
        sram.buffer_price(bits, banks, 32, 45, cells, ports, MHZ_500).leakage_mw for bits, banks, ports in BITFUSION
    )


def test_bitfusion_buffers_leak_what_was_published():
    assert total_leakage("itrs-hp") == pytest.approx(212.5 + 8.6, rel=2e-3)
    assert total_leakage("itrs-lstp") < 0.5


@pytest.mark.parametrize(
    ("buffer", "read", "write"),
    [(BITFUSION[0], 0.683701, 0.925317), (BITFUSION[1], 1.90318, 3.63853), (BITFUSION[2], 1.06112, 2.33854)],
)
def test_bitfusion_access_energies(buffer, read, write):
    bits, banks, ports = buffer
    price = sram.buffer_price(bits, banks, 32, 45, "itrs-hp", ports, MHZ_500)
    # The table has 1.06097 and 2.33869 pJ for the output bank, 1.4e-4 off the published pair.
    assert price.read_pj_per_bit * 32 == pytest.approx(read, rel=2e-4)
    assert price.write_pj_per_bit * 32 == pytest.approx(write, rel=2e-4)
    assert "interpolated" not in price.source


def test_units():
    assert logic.unit_price(8, 2).active_pj_per_cycle * 512 == pytest.approx(235.104, rel=1e-6)
    assert logic.unit_price(8, 8).active_pj_per_cycle == pytest.approx(0.2034, abs=1e-4)
    assert logic.unit_price(16, 16).active_pj_per_cycle == pytest.approx(0.6027, abs=1e-4)
    assert [round(logic.unit_price(*w).area_mm2 * 1e6) for w in ((8, 8), (16, 16), (8, 2))] == [511, 1679, 1735]
    with pytest.raises(InputError, match="8/2"):
        logic.unit_price(8, 4)


def test_between_sizes_is_marked_and_lies_between():
    low, mid, high = (sram.buffer_price(b, 1, 32, 45, "itrs-hp", 0, MHZ_500) for b in (8192, 12288, 16384))
    assert "interpolated" in mid.source
    assert low.read_pj_per_bit < mid.read_pj_per_bit < high.read_pj_per_bit


def test_below_32_words_is_a_register_file():
    assert "register" in sram.buffer_price(31 * 32, 1, 32, 45, "itrs-lstp", 0, MHZ_500).source
    assert "cacti" in sram.buffer_price(32 * 32, 1, 32, 45, "itrs-lstp", 0, MHZ_500).source


def test_slower_than_the_clock_is_an_error():
    size = 64 * 1024 * 8
    with pytest.raises(InputError, match="itrs-hp"):
        sram.buffer_price(size, 1, 32, 45, "itrs-lstp", 0, MHZ_500)
    assert sram.buffer_price(size, 1, 32, 45, "itrs-lstp", 0, MHZ_500 / 4).access_time_ns < 8


@pytest.mark.parametrize(
    "args",
    [
        (8192, 1, 24, 45, "itrs-hp", 0),
        (8192, 1, 32, 28, "itrs-hp", 0),
        (8192, 1, 32, 45, "tfet", 0),
        (8192, 1, 32, 22, "itrs-hp", 1),
        (2**30, 1, 32, 45, "itrs-hp", 0),
    ],
)
def test_outside_the_table(args):
    with pytest.raises(InputError, match="allowed"):
        sram.buffer_price(*args, MHZ_500)


@given(st.integers(1, 4096), st.integers(1, 64))
def test_register_files_never_cost_less_when_deeper(words, bits):
    one, more = (registers.register_file_price(w, bits) for w in (words, words + 8))
    assert 0 < one.read_pj_per_bit <= more.read_pj_per_bit * (1 + 1e-9)


def test_dram():
    price = dram.dram_price("LPDDR4-flat")
    assert (price.read_pj_per_bit, price.write_pj_per_bit, price.static_mw) == (8, 8, 0)
    with pytest.raises(InputError, match="did you mean LPDDR4-flat"):
        dram.dram_price("LPDDR4-flut")
