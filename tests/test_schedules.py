"""PFQ: both sides of its switching rule."""

import pytest

from bitsim.schedules import Bits, ProgressivePrecision

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
