"""FracTrain's published totals taken apart; what our machine says of an iteration."""

import pytest

from bitsim.reproduce import fractrain, fractrain_costs
from bitsim.reproduce.fractrain_original import LOWERINGS, original_ratios, product_rows
from bitsim.reproduce.fractrain_scaled import scaled
from bitsim.reproduce.published_rows import shipped
from bitsim.schedules import Bits
from bitsim.workload import Layer

HEADER = "model,dataset,method,precision,accuracy_pct,effective_macs,energy_kj,latency_min\n"
# FracTrain's networks and settings (NeurIPS 2020): MACs an image, J and s of a static FW8/BW8 iteration that all
# static rows of a network reduce to, and the iterations behind its DFQ rows at exactly cp 3 %.
STATIC = {"ResNet-38": (83_280_512, 0.568, 0.3155), "ResNet-74": (168_215_168, 1.157, 0.640)}
DFQ_ITERATIONS = [51.7, 33.7, 37.8, 34.7]
# DFQ over static, per iteration: time, energy.
DFQ_OVER_STATIC = [(0.847, 0.816), (0.881, 0.848), (0.852, 0.821), (0.852, 0.821)]


def test_all_static_rows_of_a_network_reduce_to_one_cost_of_an_iteration():
    listed = [row for row in fractrain.rows() if row.static and row.energy_j]
    assert len(listed) == 12
    for row in listed:
        macs, joules, seconds = STATIC[row.network.title]
        assert fractrain.forward_macs(row.network) == macs
        apart = row.an_iteration(row.energy_j) / joules, row.an_iteration(row.latency_s) / seconds
        inconsistent = row.name == "ResNet-38 CIFAR-100 DoReFa"  # with its own effective MACs
        assert all((abs(ratio - 1) > 0.1) == inconsistent for ratio in apart), row.name
        assert inconsistent or all(abs(ratio - 1) < 0.005 for ratio in apart), row.name


def test_dynamic_rows_taken_apart():
    rows = fractrain.rows()
    dynamic = [row for row in rows if row.method == "DFQ"]
    assert [round(row.iterations[0] / 1e3, 1) for row in dynamic] == DFQ_ITERATIONS
    for row, (time, energy) in zip(dynamic, DFQ_OVER_STATIC, strict=True):
        _, joules, seconds = STATIC[row.network.title]
        assert row.an_iteration(row.latency_s) / seconds == pytest.approx(time, abs=2e-3)
        assert row.an_iteration(row.energy_j) / joules == pytest.approx(energy, abs=2e-3)
    rising = next(row for row in rows if row.method == "FracTrain")
    assert rising.cp_percent == (1.5, 3.0) and rising.an_iteration(rising.energy_j) is None
    assert rising.iterations[1] == pytest.approx(2 * rising.iterations[0])


def test_the_published_rows_and_networks_are_held():
    rows = fractrain.rows()
    assert len(rows) == 24 and fractrain.differences(rows) == fractrain.network_differences() == []
    assert max(row.iterations[0] for row in rows if row.network.title == "ResNet-74") == pytest.approx(64.9e3, rel=1e-3)


def test_a_total_beyond_a_run_is_named(tmp_path, bitsim_command):
    path = tmp_path / "rows.csv"
    path.write_text(HEADER + "ResNet-38,CIFAR-10,SBM,FW8/BW8,92.66,1.18e14,33.55,310.47\n")
    status, out, _ = bitsim_command("reproduce", "fractrain", "--layers", path)
    assert status == 0 and out.splitlines()[-1].startswith("1 of 1 rows within a whole run")
    assert "exact" not in out and "energy_kj, latency_min: reported, not held" in out
    assert "ImageNet" not in out and "Static rows of a network agree" not in out  # said of the published rows
    path.write_text(HEADER + "ResNet-38,CIFAR-10,SBM,FW8/BW8,92.66,1.38e14,33.55,310.47\n")
    status, out, _ = bitsim_command("reproduce", "fractrain", "--layers", path)
    assert status == 1 and out.splitlines()[-1].startswith("0 of 1 rows within a whole run")
    assert f"{path}:2 ResNet-38 CIFAR-10 SBM: effective_macs of a whole run: ours 127918866432000" in out


def test_what_totals_fall_short_of_a_whole_run_is_of_the_rows_given(tmp_path, bitsim_command):
    """ResNet-18's iteration of 145.126 G effective MACs: 450,450 of them are 6.54e16."""
    path = tmp_path / "rows.csv"
    path.write_text(HEADER + "".join(f"ResNet-18,ImageNet,SBM,FW8/BW16,,{macs},,\n" for macs in ("6.5e15", "3.25e15")))
    status, out, _ = bitsim_command("reproduce", "fractrain", "--layers", path)
    assert status == 0 and "ImageNet totals are 10 to 20 times below 90 epochs (unexplained)" in out
    path.write_text(HEADER + "ResNet-18,ImageNet,SBM,FW8/BW16,,6.5e16,,\n")
    assert "(unexplained)" not in bitsim_command("reproduce", "fractrain", "--layers", path)[1]


def test_broken_files_are_refused(tmp_path, bitsim_command):
    path = tmp_path / "rows.csv"
    path.write_text(
        HEADER + "VGG,CIFAR-10,SBM,FW8/BW8,,1e14,,\nResNet-38,C,SBM,FW0/BW8,,1e14,,\nResNet-38,C,SBM,cp=0,,x,-1,\n"
    )
    status, out, err = bitsim_command("reproduce", "fractrain", "--layers", path)
    assert (status, out) == (2, "")
    for fault in (
        "2: model: 'VGG'",
        "3: precision: 'FW0/BW8'",
        "4: precision: 'cp=0'",
        "4: effective_macs: 'x'",
        "4: energy_kj: '-1'",
    ):
        assert f"{path}:{fault}" in err, fault
    path.write_text(HEADER + "ResNet-38,C,DFQ,cp=3,,1e13,,\n")
    status, out, err = bitsim_command("reproduce", "fractrain", "--layers", path, "--scaled")
    assert (status, out) == (2, "") and "--scaled: no static run of ResNet-38" in err


def test_what_follows_from_widths_alone():
    assert fractrain_costs.cost_differences("resnet38") == []
    static, six = (fractrain_costs.static_cost("resnet38", Bits(n, n, 8)) for n in (8, 6))
    macs, _, _ = STATIC["ResNet-38"]
    # All products at 8x8 bits are 1/16 of 32x32; conv1 has no activation gradient, the classifier is float.
    no_dgrad, classifier = 3 * 16 * 9 * 32 * 32, 3 * 64 * 10
    assert static.effective_macs == 128 * ((3 * macs - no_dgrad - classifier) / 16 + classifier)
    assert six.gated_effective_macs / static.gated_effective_macs == 132 / 192  # 31 % fewer
    assert 0.998 < six.latency_s / static.latency_s <= 1  # and no cycles: 6 bits run as 8


def test_two_factors_fitted_on_one_network_predict_the_other_to_three_percent():
    """The page of the published numbers says 2.5 % for the original model; ours, untuned, 3.0 % in energy."""
    found = scaled(fractrain.rows())
    first, other = found.rows
    assert (first.scaled_j, first.scaled_s) == pytest.approx((first.published_j, first.published_s))
    assert other.scaled_j / other.published_j == pytest.approx(1, abs=0.031)
    assert other.scaled_s / other.published_s == pytest.approx(1, abs=0.025)


def test_an_altered_table_is_found(monkeypatch, bitsim_command):
    listed = shipped(fractrain.TABLE_FILE)
    listed[3]["effective_macs"] = "9.96e13"
    monkeypatch.setattr(fractrain, "shipped", lambda name: listed)
    assert [d.row for d in fractrain.differences(fractrain.rows())] == ["ResNet-38 CIFAR-10 DFQ"]


def test_the_published_savings_lie_inside_the_band_of_the_original_model():
    """Untuned; the band is over what was not published, so a miss would mean an assumption that cannot be theirs."""
    listed = original_ratios("resnet38")
    for time, energy in DFQ_OVER_STATIC[:2]:
        assert min(row.time for row in listed) < time < max(row.time for row in listed)
        assert min(row.energy for row in listed) < energy < max(row.energy for row in listed)


def test_lowered_gradients_multiply_what_the_layer_does():
    layer = Layer("layer", "conv", 1, 16, 32, 8, 8, 3, 3, 1, 1, 1, 1, 1, 1)
    for lowering in LOWERINGS:
        rows = list(product_rows(layer, lowering, 4, Bits(3, 4, 6)))
        assert [row.kernel**2 * row.out_size**2 * row.in_channels * row.out_channels * row.batch for row in rows] == [
            layer.macs(4)
        ] * 3
        assert [{row.input_bits, row.weight_bits} for row in rows] == [{3, 4}, {3, 6}, {6, 4}]
