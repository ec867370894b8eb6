"""Which constants a verdict turns on: scaled prices are those of dearer parts, flips are real, controls have none."""

import json

import pytest

import bitsim
from bitsim.simulation.constants import Continuous
from bitsim.simulation.metrics import verdict
from bitsim.simulation.price_scale import NOMINAL, PriceScale, components_j, energy_j, repriced_j
from bitsim.simulation.sensitivity import METRICS, ratios_at, sensitivity
from bitsim.technology import logic
from bitsim.technology.arithmetic import arithmetic

FLEXIBLE, FIXED, ROW_STATIONARY = "bitfusion_16x32_192b", "int8_16x32_192b", "eyeriss_12x14_108k_500mhz"
MEMORY = ("dram_read_bits", "dram_write_bits", "wgrad_copy_bits")


@pytest.fixture
def trace(trace_folder):
    return bitsim.open_trace(trace_folder())


def run(trace, name, **overrides):
    return bitsim.simulate(trace, bitsim.load_hardware(name, overrides))


def found(trace, *names, baseline=None):
    results = [run(trace, name) for name in names]
    return results, sensitivity(results, baseline or results[0].machine.name, lambda one: bitsim.simulate(trace, one))


@pytest.mark.parametrize("name", [FLEXIBLE, ROW_STATIONARY])
def test_prices_scaled_are_those_of_a_dearer_dram(trace, name):
    """Two rows of the table without static power, 8 and 15 pJ a bit: scaled, repriced and simulated anew."""
    cheap, dear = run(trace, name), run(trace, name, **{"memory.energy": "bitfusion-isca18"})
    assert [cheap.totals[c] for c in MEMORY] == [dear.totals[c] for c in MEMORY]  # the same mappings
    assert energy_j(cheap) == pytest.approx(cheap.totals["energy_j"], rel=1e-12)
    assert energy_j(cheap, PriceScale(dram=15 / 8)) == pytest.approx(dear.totals["energy_j"], rel=1e-12)
    assert repriced_j(cheap, dear.prices) == pytest.approx(dear.totals["energy_j"], rel=1e-12)


def test_other_cells_cost_what_a_machine_of_them_costs(trace):
    low, high = run(trace, FLEXIBLE), run(trace, FLEXIBLE, **{"technology.sram_cells": "itrs-hp"})
    counters = [name for name in low.prices.counter_columns if name.endswith("_bits")]
    assert [low.totals[name] for name in counters] == [high.totals[name] for name in counters]
    assert repriced_j(low, high.prices) == pytest.approx(high.totals["energy_j"], rel=1e-12)
    assert repriced_j(low, high.prices) > 2 * low.totals["leakage_pj"] * 1e-12


@pytest.mark.parametrize("group", list(PriceScale.__dataclass_fields__))
def test_energy_is_linear_in_every_group(trace, group):
    result = run(trace, FLEXIBLE)
    at = [energy_j(result, PriceScale(**{group: factor})) for factor in (0.0, 1.0, 3.0)]
    assert at[2] - at[1] == pytest.approx(2 * (at[1] - at[0]), rel=1e-9, abs=1e-18)
    assert energy_j(result, NOMINAL) == at[1]


def test_groups_cover_every_component_once(trace):
    result = run(trace, ROW_STATIONARY)
    all_zero = PriceScale(**dict.fromkeys(PriceScale.__dataclass_fields__, 0.0))
    assert energy_j(result, all_zero) == 0.0
    spads = PriceScale(registers=2.0)
    before, after = components_j(result), components_j(result, spads)
    doubled = {name for name in before if after[name] != before[name]}
    assert doubled == {"input_spad", "weight_spad", "psum_spad"}


def test_without_a_register_share_lanes_pay_for_all_of_a_unit(trace):
    """docs/energy.md: then a bit product takes the unit's cycle over 64, and columns only their accumulators."""
    result = run(trace, FLEXIBLE)
    totals, unit_pj = result.totals, logic.unit_price(8, 2).active_pj_per_cycle
    by_hand_pj = totals["bit_products"] * unit_pj / 64 + totals["accumulated_bits"] * arithmetic().add_pj_per_bit
    assert components_j(result, PriceScale(passing=0.0))["array"] == pytest.approx(by_hand_pj * 1e-12, rel=1e-9)


def test_flips_are_real_on_both_sides():
    trace = bitsim.open_trace("resnet20_digits_pfq")
    results = [bitsim.simulate(trace, bitsim.load_hardware(name)) for name in (FIXED, FLEXIBLE)]
    turns = sensitivity(results, FIXED, lambda one: bitsim.simulate(trace, one))
    continuous = {one.constant.label: one.constant for one in turns.tried if isinstance(one.constant, Continuous)}
    checked = [flip for flip in turns.flips if flip.constant in continuous]
    assert {flip.constant for flip in checked} >= {"DRAM energy a bit", f"unit energy of {FLEXIBLE}"}
    for flip in checked:
        constant = continuous[flip.constant]
        assert constant.low <= flip.value <= constant.high
        away = 1e-6 if flip.value > 1 else -1e-6
        before, after = (
            verdict(ratios_at(results, FIXED, constant, flip.value * (1 + step))[flip.hardware][flip.metric])
            for step in (-away, away)
        )
        assert (before != flip.after, after) == (True, flip.after) and flip.before != flip.after


def test_what_does_not_flip_keeps_its_verdict_throughout(trace):
    results, turns = found(trace, FLEXIBLE, FIXED)
    flipped = {(flip.constant, flip.hardware, flip.metric) for flip in turns.flips}
    for one in turns.tried:
        if not isinstance(one.constant, Continuous):
            continue
        for step in range(9):
            factor = one.constant.low + (one.constant.high - one.constant.low) * step / 8
            ratios = ratios_at(results, FLEXIBLE, one.constant, factor)[FIXED]
            for metric in METRICS:
                if (one.constant.label, FIXED, metric) not in flipped:
                    assert verdict(ratios[metric]) == verdict(turns.nominal[FIXED][metric])


def test_a_twin_flips_by_nothing_both_share(trace, tmp_path):
    twin = tmp_path / "twin.yaml"
    twin.write_text(bitsim.load_hardware(FLEXIBLE).source.path.read_text())
    _, turns = found(trace, FLEXIBLE, twin)
    assert turns.nominal["twin"] == dict.fromkeys(METRICS, 1.0)
    alone = {"unit energy of twin", f"unit energy of {FLEXIBLE}"}
    assert {flip.constant for flip in turns.flips} == alone


def test_time_turns_on_no_price(trace):
    _, turns = found(trace, FLEXIBLE, ROW_STATIONARY)
    for one in turns.tried:
        if one.constant.label != "lane packing":
            assert {t.ratios[ROW_STATIONARY]["time"] for t in one.trials} == {turns.nominal[ROW_STATIONARY]["time"]}


def test_the_command_prints_draws_and_refuses(trace_folder, bitsim_command, tmp_path):
    call = ("compare", trace_folder(), "--hw", FLEXIBLE, "--hw", ROW_STATIONARY)
    status, out, _ = bitsim_command(*call, "--sensitivity", "--picture", tmp_path / "tornado.svg")
    assert status == 0 and "Verdicts that flip:" in out and "Ranges, and why:" in out
    assert "DRAM energy a bit" in (tmp_path / "tornado.svg").read_text()
    document = json.loads(bitsim_command(*call, "--sensitivity", "--format", "json")[1])
    assert {"baseline", "nominal", "constants"} <= document.keys() and document["baseline"] == FLEXIBLE
    for extra, said in (
        (("--picture", "x.png"), "nothing to draw"),
        (("--sensitivity", "--break-even"), "two views at once"),
        (("--sensitivity", "--picture", tmp_path / "x.bmp"), "not a form of picture"),
        (("--sensitivity", "--picture", tmp_path), "is a folder"),
        (("--break-even", "--out", tmp_path / "o"), "--out"),
        (("--break-even", "--iterations", "0:1"), "--iterations"),
    ):
        status, out, err = bitsim_command(*call, *extra)
        assert (status, out) == (2, "") and said in err
    assert not (tmp_path / "o").exists()


def test_a_published_model_is_refused(trace_folder, bitsim_command):
    layers = trace_folder()
    call = ("compare", layers, "--hw", FLEXIBLE, "--hw", FIXED, "--timing", "analytical", "--passes", "forward")
    status, out, err = bitsim_command(*call, "--sensitivity")
    assert (status, out) == (2, "") and err


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        ("file/x.pdf", "x.pdf: cannot be written: "),
        ("/proc/x.pdf", "x.pdf: cannot be written: "),
        ("made/x.pdf", "allowed: folders apart"),
        ("made/deeper/x.pdf", "allowed: folders apart"),
        ("made", "allowed: folders apart"),
    ],
)
def test_a_picture_that_cannot_be_written_is_refused_before_work(
    trace_folder, bitsim_command, tmp_path, monkeypatch, picture, said
):
    monkeypatch.setattr("bitsim.cli.compare_command.open_all", lambda *_: pytest.fail("worked before the refusal"))
    (tmp_path / "file").touch()
    paths = "--sensitivity", "--picture", tmp_path / picture, "--out", tmp_path / "made"
    status, out, err = bitsim_command("compare", trace_folder(), "--hw", FLEXIBLE, "--hw", FIXED, *paths)
    assert (status, out) == (2, "") and said in err
    assert not (tmp_path / "made").exists()
