"""The search against the best of all mappings: all ceil-splits of every dimension times all loop orders."""

import pytest

from bench.exhaustive import Question, least
from bench.search_quality import gaps, search_with
from bitsim import load_hardware
from bitsim.simulation.cost import CostModel
from bitsim.workload import Layer, Widths, lower


@pytest.mark.parametrize("machine, layers", [("bitfusion_16x32_192b", 10), ("eyeriss_12x14_108k", 4)])
def test_the_search_is_near_the_best_of_all_mappings(machine, layers):
    """A few random layers; `python -m bench --quality` has 200, and docs/performance.md what is missed there."""
    found = gaps(machine, layers, 501, energy=False)
    assert max(gap.mappings for gap in found) > 10_000
    assert all(0 <= gap.cycles < 0.02 for gap in found), found


def square(channels, outputs, side, kernel, stride=1):
    return Layer("layer", "conv", 1, channels, outputs, side, side, kernel, kernel, stride, stride)


@pytest.mark.parametrize(
    "machine, layer, pass_name, samples, bits",
    [
        # 7.3 % above: sizes of outputs and of channels both beside those of the lists.
        ("bitfusion_16x32_192b", square(240, 478, 11, 3, 2), "forward", 5, (2, 6, 2)),
        # 6.0 %: the loop order that estimates misjudge.
        ("bitfusion_16x32_192b", square(440, 130, 8, 3), "dgrad", 13, (2, 8, 2)),
        # 18.3 %: box, outputs and channels all others.
        ("eyeriss_12x14_108k", square(107, 392, 13, 3), "wgrad", 5, (8, 8, 2)),
        # 19.8 %: three times as many outputs.
        ("eyeriss_12x14_108k", square(3, 368, 6, 3), "forward", 1, (2, 8, 3)),
        # 6.6 %: a quick list as fast as one tile of everything, which was taken for the best there can be.
        ("eyeriss_12x14_108k", square(144, 320, 28, 1, 2), "forward", 4, (4, 6, 2)),
    ],
)
def test_layers_that_were_mapped_badly(machine, layer, pass_name, samples, bits):
    activation, weight, gradient = bits
    machine = load_hardware(machine)
    product = lower(layer, pass_name, samples)[0]
    widths = Widths(activation, weight, gradient, gradient, activation)
    datapath = machine.accelerator.datapath(product, *widths.operands(pass_name))
    (chosen,) = search_with(CostModel(machine), product, datapath)
    question = Question(product, machine.accelerator, datapath, machine.rate, machine.port)
    assert chosen.cycles <= 1.001 * least(question, chosen.cycles).best


def test_no_list_crowds_out_another():
    """Between the fewest cycles and the least traffic: a third more of energy times delay, from one list for all."""
    sizes = {"weight_buffer": "15758 B", "input_buffer": "7879 B", "output_buffer": "3939 B"}
    model = CostModel(load_hardware("bitfusion_16x32_192b", sizes), "edp")
    layer = Layer("layer", "conv", 1, 62, 396, 11, 11, 11, 11, 4, 4, 1, 1, 1, 1)
    values = model.pass_cost(layer, "dgrad", 16, Widths(8, 8, 3, 3, 8)).values
    assert values["cycles"] * values["energy_pj"] <= 6.21e14


def test_large_layers_are_mapped_no_worse_for_near_tilings():
    """4 % more cycles: of so many tilings only the nearest are ranked, and they crowded out others."""
    layer = Layer("layer", "conv", 1, 169, 1366, 180, 180, 1, 1)
    model = CostModel(load_hardware("eyeriss_12x14_108k"))
    assert model.pass_cost(layer, "wgrad", 128, Widths(8, 8, 8, 8, 8)).values["cycles"] <= 31_733_422_678
