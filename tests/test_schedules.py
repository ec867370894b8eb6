"""Controllers: both sides of PFQ's switching rule; costs, mixtures and cosines against their equations."""

import math
import subprocess
import sys

import pytest

from bitsim.schedules import (
    STATIC,
    Bits,
    CyclicPrecision,
    DynamicPrecision,
    FracTrain,
    LossSwitch,
    ProgressivePrecision,
    StaticPrecision,
    capped,
    stage_epochs,
)
from bitsim.schedules.dynamic import CIFAR_CANDIDATES, IMAGENET_CANDIDATES, MIXTURES

STAGES = (Bits(3, 3, 6), Bits(4, 4, 6), Bits(6, 6, 8), Bits(8, 8, 8))


def feed(controller, *losses):
    return [controller.update(loss) for loss in losses]


def test_switches_when_five_losses_agree():
    assert feed(ProgressivePrecision(STAGES, eps=0.05), *[1.0] * 5) == [False] * 4 + [True]


def test_threshold_is_eps_of_the_mean_of_early_losses():
    within, beyond = 1.0 + 0.0499, 1.0 + 0.056
    assert feed(ProgressivePrecision(STAGES, eps=0.05), within, 1, 1, 1, 1)[-1]
    assert not feed(ProgressivePrecision(STAGES, eps=0.05), beyond, 1, 1, 1, 1)[-1]


def test_eps_decays_twice_and_the_window_empties():
    controller = ProgressivePrecision(STAGES, eps=0.1, alpha=0.5)
    assert feed(controller, *[1.0] * 5)[-1] and controller.switch.eps == 0.05
    assert feed(controller, *[1.0] * 4) == [False] * 4
    assert feed(controller, 1.0) == [True] and controller.switch.eps == 0.025
    assert feed(controller, *[1.0] * 5)[-1] and controller.switch.eps == 0.025
    assert controller.bits() == (8, 8, 8, None)
    assert not any(feed(controller, *[1.0] * 9))


def test_a_diverged_loss_never_switches():
    nan = float("nan")
    assert not any(feed(ProgressivePrecision(STAGES), *[nan] * 8))
    assert not feed(ProgressivePrecision(STAGES), 1, 1, 1, 1, nan)[-1]


@pytest.mark.parametrize(("step", "switches"), [(0.99, True), (1.01, False)])
def test_reference_is_the_first_ten_epochs_only(step, switches):
    controller = ProgressivePrecision(STAGES, eps=0.05)
    limit = 0.05 * 1.5  # the later nines would raise it
    assert not any(feed(controller, *[1.0, 2.0] * 5, *[9.0] * 4))
    assert feed(controller, 9.0 + step * limit) == [switches]


def test_window_is_what_must_agree():
    assert feed(ProgressivePrecision(STAGES, window=3), 1, 1, 1) == [False, False, True]
    assert feed(ProgressivePrecision(STAGES, window=6), *[1] * 6) == [False] * 5 + [True]


def test_stage_epochs_equal_a_controller_fed_by_hand():
    losses = [2, 1.5, 1.2, *[1.0] * 12, *[0.99] * 6]
    controller, starts = ProgressivePrecision(STAGES, eps=0.02), [0]
    for epoch, loss in enumerate(losses):
        if controller.update(loss):
            starts.append(epoch + 1)
    assert stage_epochs(losses, len(STAGES), eps=0.02) == starts
    assert len(starts) == 4


def test_a_switch_at_the_last_epoch_starts_no_stage():
    assert stage_epochs([1.0] * 5, 4) == [0]
    assert stage_epochs([1.0] * 6, 4) == [0, 5]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"eps": -1}, "eps"), ({"alpha": 0}, "alpha"), ({"alpha": 1.5}, "alpha"), ({"window": 1}, "window")],
)
def test_switching_values_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        LossSwitch(4, **arguments)


def test_bits_as_they_are_written():
    assert Bits.parse("3/4/6") == Bits(3, 4, 6) and str(Bits.parse("8/8/8/16")) == "8/8/8/16"
    for text in ("", "3/4", "3/4/6/8/9", "0/4/6", "3/4/33", "3/4/x", "3/4/+6", "3/4/6/"):
        with pytest.raises(ValueError, match="allowed"):
            Bits.parse(text)


def test_costs_of_published_bits():
    """cp by hand: (a w + g w + a gw) / 3 / 1024 x 100."""
    assert Bits(3, 4, 6).cost_percent == pytest.approx(100 * (12 + 24 + 18) / 3072)
    assert STATIC["sbm-fw8bw8"].cost_percent == pytest.approx(6.25)
    assert STATIC["sbm-biprec"].cost_percent / STATIC["sbm-fw8bw8"].cost_percent == pytest.approx(4 / 3)
    assert STATIC["float"].cost_percent == 100


def test_dfq_cost_and_its_sign():
    gates = DynamicPrecision((Bits(4, 4, 4), Bits(8, 4, 8)), target=2.0)
    low, high = 100 * 16 / 1024, 100 * (32 + 32 + 64) / 3072
    assert gates.cost_percent([[8, 0], [4, 4]]) == pytest.approx((low + (low + high) / 2) / 2)
    assert (gates.cost_factor(2.1), gates.cost_factor(2.0)) == (1e-3, -1e-3)


def test_fractrain_raises_its_target_when_pfq_would_switch():
    frac = FracTrain(targets=(1.8, 2.5, 3.0), eps=0.05)
    seen = [frac.target]
    for _ in range(10):
        frac.update(1.0)
        seen.append(frac.target)
    assert seen == [*[1.8] * 5, *[2.5] * 5, 3.0]


@pytest.mark.parametrize("shape", MIXTURES)
@pytest.mark.parametrize("candidates", [CIFAR_CANDIDATES, IMAGENET_CANDIDATES])
@pytest.mark.parametrize("samples", [1, 7, 128, 256])
def test_mixtures_meet_the_target_from_below(shape, candidates, samples):
    for target in (2.4, 2.61, 3.0, 3.5, 4.5):
        gates = DynamicPrecision(candidates, target)
        counts = gates.mixture(samples, shape)
        assert sum(counts) == samples and min(counts) >= 0
        costs = sorted(bits.cost_percent for bits in candidates)
        used = [bits.cost_percent for bits, count in zip(candidates, counts, strict=True) if count]
        if shape == "neighbours":
            below = max(cost for cost in costs if cost <= target)
            assert set(used) <= {below, min(cost for cost in costs if cost > target)}
            assert target - gates.cost_percent([counts]) < (max(costs) - min(costs)) / samples
        elif samples > 100 and target == 3.5:  # nearer an end a share falls below one sample
            assert len(used) == len(candidates)
        # A sample more than fits rounds to the cheapest in use: the mean passes the target only then.
        if samples > 100:
            assert gates.cost_percent([counts]) <= target + 1e-9


def test_the_spread_mixture_is_of_greatest_entropy():
    """Shares of candidates are exp(-lambda x cost): their logarithms lie on a line over the costs."""
    gates = DynamicPrecision(CIFAR_CANDIDATES, 2.5)
    counts, costs = gates.mixture(10**6, "spread"), [bits.cost_percent for bits in CIFAR_CANDIDATES]
    slopes = [
        (math.log(counts[i + 1]) - math.log(counts[i])) / (costs[i + 1] - costs[i]) for i in range(len(costs) - 1)
    ]
    assert max(slopes) - min(slopes) < 1e-3
    assert gates.cost_percent([counts]) == pytest.approx(2.5, abs=1e-5)


def test_a_target_outside_the_candidates_takes_the_nearest():
    assert DynamicPrecision(CIFAR_CANDIDATES, 1.5).mixture(128) == [128, 0, 0, 0, 0]
    assert DynamicPrecision(CIFAR_CANDIDATES, 9.0).mixture(128) == [0, 0, 0, 0, 128]


def test_a_cap_cuts_widths_and_merges_candidates():
    assert capped(CIFAR_CANDIDATES, 8) == CIFAR_CANDIDATES[:4]
    assert capped((Bits(8, 8, 8, 16),), 12) == (Bits(8, 8, 8, 12),)


@pytest.mark.parametrize(("iterations", "periods"), [(64_000, 32), (1000, 7), (13, 13), (100, 3)])
def test_cyclic_ranges_equal_asking_every_iteration(iterations, periods):
    schedule = CyclicPrecision(iterations, periods=periods)
    by_range = [bits for start, end, bits in schedule.ranges() for _ in range(end - start)]
    assert by_range == [schedule.bits(iteration) for iteration in range(iterations)]


def test_cyclic_precision_follows_the_published_cosine():
    """ICLR 2021, Eq. 1: round(3 + 5/2 (1 - cos(pi t / T))) with T = 2,000 at 64,000 iterations."""
    schedule = CyclicPrecision(64_000)
    for step in range(2000):
        exact = 3 + 2.5 * (1 - math.cos(math.pi * step / 2000))
        for period in (0, 31):
            bits = schedule.bits(period * 2000 + step)
            assert abs(bits.activation_bits - exact) <= 0.5 and bits.weight_bits == bits.activation_bits
    assert (schedule.bits(1999), schedule.bits(2000)) == (Bits(8, 8, 8), Bits(3, 3, 8))


def test_controllers_share_one_protocol():
    for controller in (ProgressivePrecision(), CyclicPrecision(100, periods=4), StaticPrecision(Bits(8, 8, 8))):
        assert isinstance(controller.bits(3), Bits)
        assert controller.update(1.0) is False


def test_schedules_need_neither_numpy_nor_torch():
    code = "import sys, bitsim.schedules; print([m for m in ('numpy', 'torch', 'pandas') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
