"""The fit of bench finds the exponents times were made with."""

import numpy as np
import pytest

from bench.fit import power_law

SIZES = np.array([4, 8, 16, 32, 64, 128])


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.5, 2.0])
@pytest.mark.parametrize("constant", [0.0, 0.01, 0.5])
def test_exponents_are_found(exponent, constant):
    found = power_law(SIZES, constant + 0.003 * SIZES**exponent)
    if found.exponent is None:  # the constant hides what grows
        assert 0.003 * 128**exponent < 0.5 * constant
        assert 0 <= found.slope < 0.2
    else:
        assert found.exponent == pytest.approx(exponent, abs=0.01)
        assert found.constant_s == pytest.approx(constant, abs=0.02 * constant + 1e-4)
        assert 0 < found.slope <= exponent + 1e-9


def test_a_few_percent_of_noise_move_it_little():
    rng = np.random.default_rng(0)
    for _ in range(20):
        noisy = (0.02 + 0.01 * SIZES) * (1 + 0.03 * rng.random(len(SIZES)))
        assert power_law(SIZES, noisy).exponent == pytest.approx(1, abs=0.08)


def test_what_does_not_grow_has_no_exponent_of_growth():
    found = power_law(SIZES, [0.2, 0.21, 0.19, 0.2, 0.21, 0.2])
    assert found.exponent is None and found.constant_s is None
    assert abs(found.slope) < 0.03


@pytest.mark.parametrize("sizes, times", [([1, 2, 3], [1, 2, 3]), (SIZES, [1, 2]), (SIZES, [0, 1, 2, 3, 4, 5])])
def test_what_cannot_be_fitted_is_refused(sizes, times):
    with pytest.raises(ValueError, match="four sizes"):
        power_law(sizes, times)
