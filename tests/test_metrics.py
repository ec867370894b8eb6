"""Metrics side by side: the same figures as the result's, reasons that multiply up, words where winners differ."""

import math
from dataclasses import replace

import pytest

import bitsim
from bitsim.report.metrics_text import sentence
from bitsim.simulation.metrics import EQUAL, METRIC_OF, TIE, disagreements, measure, over_training, ratios, verdict

FLEXIBLE, FIXED, ROW_STATIONARY = "bitfusion_16x32_192b", "int8_16x32_192b", "eyeriss_12x14_108k"


@pytest.fixture(scope="module")
def comparison():
    trace = bitsim.open_trace("resnet20_digits_pfq")
    given = [bitsim.load_hardware(name) for name in (FLEXIBLE, FIXED, ROW_STATIONARY)]
    return bitsim.compare([bitsim.simulate(trace, machine, passes=["dgrad"]) for machine in given])


@pytest.fixture(scope="module")
def at_eight_bits():
    """As fast on both arrays, at different energy."""
    trace = bitsim.open_trace("resnet20_digits_fw8bw8")
    return bitsim.compare([bitsim.simulate(trace, bitsim.load_hardware(name)) for name in (FLEXIBLE, FIXED)])


def test_figures_are_those_of_the_result(comparison):
    for result, one in zip(comparison.results, comparison.measured, strict=True):
        totals, area = result.totals, bitsim.area_of(result.machine)
        for name in ("macs", "effective_macs", "bit_ops", "occupied_bit_ops", "cycles", "latency_s", "energy_j"):
            assert one.values[name] == totals[name]
        assert one.values["edp_j_s"] == totals["energy_j"] * totals["latency_s"]
        rate = totals["macs"] / totals["latency_s"]
        assert one.values["macs_per_s_per_core_mm2"] * area.core_mm2 == pytest.approx(rate)
        assert one.values["macs_per_s_per_chip_mm2"] * area.chip_mm2 == pytest.approx(rate)
        assert sum(one.components_j.values()) == pytest.approx(one.values["energy_j"])


def test_cycles_are_the_product_of_their_factors(comparison):
    for one in comparison.measured:
        factors = one.factors
        rate = factors["peak"] * factors["filled"] * factors["issuing"]
        assert one.values["bit_ops"] * factors["widths"] / rate == pytest.approx(one.values["cycles"])
        assert 0 < factors["filled"] <= 1 and 0 < factors["issuing"] <= 1


def test_reasons_multiply_up_and_components_add_up(comparison, at_eight_bits):
    compared = [(one, each.measured_baseline) for each in (comparison, at_eight_bits) for one in each.disagreements()]
    assert {(one.first, one.second) for one, _ in compared} >= {("effective_macs", "cycles"), ("latency_s", "energy_j")}
    for one, base in compared:
        assert verdict(one.first_ratio) != verdict(one.second_ratio)
        if one.factors:
            product = one.first_ratio * math.prod(factor.times for factor in one.factors)
            assert product == pytest.approx(one.second_ratio)
        else:
            more_j = sum(part.machine_j - part.baseline_j for part in one.components)
            assert base.values["energy_j"] / (base.values["energy_j"] + more_j) == pytest.approx(one.second_ratio)


def test_trace_metrics_know_no_machine(comparison):
    base = comparison.measured_baseline
    for one in comparison.measured:
        by_metric = ratios(one, base)
        assert by_metric["macs"] == by_metric["effective_macs"] == by_metric["bit_ops"] == 1
        own = ratios(one, one)
        assert set(own) == set(METRIC_OF) and set(own.values()) == {1.0}


def test_sentences_say_both_verdicts_and_the_largest_reason(comparison):
    one = next(d for d in comparison.disagreements() if d.hardware == FIXED and d.second == "cycles")
    text = sentence(one, FLEXIBLE)
    assert text.startswith(f"{FIXED}: effective MACs: no difference, but cycles: worse, {one.second_ratio:.3f}x; ")
    largest = max(one.factors, key=lambda factor: abs(math.log(factor.times)))
    assert text.split("; ")[1].startswith(f"{largest.times:.3g}x as it")
    energy = next(d for d in comparison.disagreements() if d.components)
    assert "against" in sentence(energy, FLEXIBLE)


def test_verdict_on_both_sides_of_a_tie():
    assert [verdict(1 + TIE / 2), verdict(1 - TIE / 2), verdict(1)] == [EQUAL] * 3
    assert (verdict(1 + 2 * TIE), verdict(1 - 2 * TIE)) == ("better", "worse")


def test_effective_macs_promise_more_than_any_machine_keeps(comparison):
    """The recorded ladder ends at 8 bits and starts at 3: hardware keeps only part of what that saves on paper."""
    flexible, fixed, _ = comparison.over_training
    assert flexible.effective_macs == fixed.effective_macs < flexible.cycles < fixed.cycles <= 1
    assert flexible.energy < fixed.energy


def test_a_run_that_never_changes_says_nothing_of_training(trace_folder):
    trace = bitsim.open_trace(trace_folder())
    machine = bitsim.load_hardware(FLEXIBLE)
    assert over_training(bitsim.simulate(trace, machine, iterations=(0, 10))) is None
    whole = over_training(bitsim.simulate(trace, machine))
    assert whole is not None and whole.effective_macs < 1


def test_logic_without_an_area_leaves_its_throughput_out(trace_folder, monkeypatch):
    machine = bitsim.load_hardware(FLEXIBLE)
    monkeypatch.setattr(type(machine.accelerator), "logic", lambda self: ())
    one = measure(bitsim.simulate(bitsim.open_trace(trace_folder()), machine))
    assert "macs_per_s_per_core_mm2" not in one.values and "macs_per_s_per_chip_mm2" in one.values


def test_work_without_products_gives_no_reasons_of_lanes(comparison):
    """Nothing multiplied (a pass of another kind alone): the trace's metrics are 0 on both and say nothing."""
    idle = []
    for one in comparison.measured[:2]:
        values = one.values | dict.fromkeys(("macs", "effective_macs", "bit_ops", "occupied_bit_ops"), 0)
        factors = {name: one.factors[name] for name in ("core", "chip", "clock", "energy")}
        idle.append(replace(one, values=values, factors=factors))
    found = disagreements(idle[1], idle[0])
    assert all(one.second != "cycles" for one in found)


def test_command_shows_metrics(trace_folder, bitsim_command):
    status, out, _ = bitsim_command("compare", trace_folder(), "--hw", FLEXIBLE, "--hw", FIXED)
    assert status == 0
    order = ("energy by component", "metrics, whole run", "Where metrics disagree", "cheapest iteration", "by layer")
    places = [out.index(part) for part in order]
    assert places == sorted(places)
