"""The recorder: a real training run, small."""

import importlib.util
import sys

import pytest

import bitsim

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None or importlib.util.find_spec("sklearn") is None,
    reason="needs torch and scikit-learn: pip install '.[record]'",
)


@needs_torch
def test_record_writes_a_sound_trace(tmp_path, bitsim_command):
    folder = tmp_path / "recorded"
    status, _, err = bitsim_command("trace", "record", folder, "--epochs", "1", "--seed", "3")
    assert status == 0, err
    trace = bitsim.open_trace(folder)
    shipped = bitsim.open_trace("resnet20_digits_pfq")
    assert trace.layers == shipped.layers
    assert (trace.run.iterations, trace.run.batch, trace.run.synthetic) == (10, 128, False)
    samples = {d.groups[0].samples: d.iterations for d in trace.demands() if d.layer_index == 0}
    assert samples == {128: 9, 1257 - 9 * 128: 1}
    status, _, err = bitsim_command("trace", "record", folder, "--epochs", "1")
    assert status == 2 and "exists" in err


@needs_torch
def test_quantise_keeps_range_and_levels():
    import torch

    from bitsim.record.quantise import quantise

    torch.manual_seed(0)
    x = torch.randn(1000)
    for bits in (2, 3, 8):
        for stochastic in (False, True):
            q = quantise(x, bits, stochastic)
            assert len(q.unique()) <= 2**bits
            assert (q - x).abs().max() <= x.abs().max() / max(2 ** (bits - 1) - 1, 1) * (1 if stochastic else 0.51)
    mean = torch.stack([quantise(x, 3, stochastic=True) for _ in range(2000)]).mean(0)
    assert (mean - x).abs().max() < 0.15  # stochastic rounding is unbiased


def test_shipped_recording_reaches_every_stage():
    trace = bitsim.open_trace("resnet20_digits_pfq")
    assert not trace.run.synthetic
    widths = [s.groups[0].widths.activation_bits for s in trace.spans(0, trace.run.iterations) if s.layer_index == 0]
    assert list(dict.fromkeys(widths)) == [3, 4, 6, 8]


@pytest.mark.parametrize("missing", ["torch", "sklearn"])
def test_without_torch_the_message_says_what_to_install(tmp_path, monkeypatch, bitsim_command, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    status, out, err = bitsim_command("trace", "record", tmp_path / "t")
    assert status == 2 and out == "" and f"{missing} is not installed: pip install '.[record]'" in err
    assert list(tmp_path.iterdir()) == []
