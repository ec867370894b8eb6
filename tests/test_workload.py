"""Laws of the nest: MACs, operands and outputs of every pass against plain loops over indices."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsim.workload import (
    DGRAD,
    DGRAD_SECOND,
    FORWARD,
    RECOMPUTE,
    WGRAD,
    Layer,
    Widths,
    effective_macs,
    lower,
    required_accumulator_bits,
)


@st.composite
def conv_layers(draw):
    """Small convolutions of every kind."""
    small = st.integers(1, 3)
    kernel, dilation = (draw(small), draw(small)), (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    groups = draw(st.integers(1, 3))
    pads = [draw(st.integers(0, 2)) for _ in range(4)]
    least = [max(1, dilation[i] * (kernel[i] - 1) + 1 - pads[i] - pads[i + 2]) for i in (0, 1)]
    return Layer(
        "layer",
        "conv",
        groups,
        groups * draw(small),
        groups * draw(small),
        least[0] + draw(st.integers(0, 4)),
        least[1] + draw(st.integers(0, 4)),
        *kernel,
        draw(small),
        draw(small),
        *pads,
        *dilation,
    )


def multiplications(layer, batch):
    """Every (oh, ow, kh, kw, ih, iw) of one sample and channel pair, padding included as None."""
    for oh, ow, kh, kw in itertools.product(
        range(layer.out_h), range(layer.out_w), range(layer.kernel_h), range(layer.kernel_w)
    ):
        ih = oh * layer.stride_h + kh * layer.dilation_h - layer.padding_h
        iw = ow * layer.stride_w + kw * layer.dilation_w - layer.padding_w
        inside = 0 <= ih < layer.in_h and 0 <= iw < layer.in_w
        yield (oh, ow, kh, kw), ((ih, iw) if inside else None)


@settings(max_examples=150, deadline=None)
@given(conv_layers(), st.integers(1, 2), st.booleans())
def test_macs_of_all_passes(layer, batch, zero_inserted):
    listed = list(multiplications(layer, batch))
    pairs = batch * layer.groups * (layer.in_channels // layer.groups) * (layer.out_channels // layer.groups)
    real = pairs * sum(1 for _, place in listed if place)
    assert layer.macs(batch) == pairs * len(listed)
    for pass_name in layer.passes():
        products = lower(layer, pass_name, batch, zero_inserted)
        assert sum(p.real_macs for p in products) == real, pass_name
        if pass_name != DGRAD:
            assert sum(p.nominal_macs for p in products) == layer.macs(batch)


@settings(max_examples=150, deadline=None)
@given(conv_layers(), st.booleans())
def test_dgrad_writes_every_input_gradient_once(layer, zero_inserted):
    products = lower(layer, DGRAD, 1, zero_inserted)
    assert sum(p.output_words for p in products) == layer.in_channels * layer.in_h * layer.in_w


@settings(max_examples=150, deadline=None)
@given(conv_layers(), st.integers(1, 4), st.integers(1, 4))
def test_tiles_read_the_pixels_under_their_windows(layer, tile_rows, tile_cols):
    (product,) = lower(layer, FORWARD, 1)
    unique_rows, unique_cols = product.rows.unique_inputs(tile_rows), product.cols.unique_inputs(tile_cols)
    real_rows = product.rows.real_taps(tile_rows)
    for i in range(-(-layer.out_h // tile_rows)):
        of_tile = [
            oh * layer.stride_h + kh * layer.dilation_h - layer.padding_h
            for oh in range(i * tile_rows, min(layer.out_h, (i + 1) * tile_rows))
            for kh in range(layer.kernel_h)
        ]
        inside = [ih for ih in of_tile if 0 <= ih < layer.in_h]
        assert unique_rows[i] == len(set(inside))
        assert real_rows[i] == len(inside)
    assert len(unique_cols) == -(-layer.out_w // tile_cols)


def test_effective_macs_weigh_each_product_by_its_bits():
    layer = Layer("fc", "linear", 1, 4, 8, rows=2)
    assert effective_macs(layer, Widths(3, 4, 6, 16, 3), 5) == 5 * 64 * (3 * 4 + 6 * 4 + 3 * 16) / 1024
    first = replace(layer, needs_dgrad="false")
    assert effective_macs(first, Widths(3, 4, 6, 16, 3), 5) == 5 * 64 * (3 * 4 + 3 * 16) / 1024
    attention = Layer("qk", "matmul", 2, 8, 8, rows=3)  # no wgrad: dY times each operand
    assert effective_macs(attention, Widths(3, 4, 6, 6, 3), 1) == 96 * (3 * 4 + 6 * 4 + 6 * 3) / 1024


def test_attention_has_two_gradients_and_no_weight_gradient():
    layer = Layer("qk", "matmul", 12, 768, 1536, rows=128)
    assert layer.passes() == (FORWARD, DGRAD, DGRAD_SECOND)
    assert {sum(p.real_macs for p in lower(layer, p, 2)) for p in layer.passes()} == {layer.macs(2)}
    assert layer.macs(1) == 12 * 128 * 64 * 128  # BERT-base QK^T
    with pytest.raises(KeyError):
        lower(layer, WGRAD, 1)


@pytest.mark.parametrize(
    ("a", "w", "safe"), [(8, 8, 131_071), (12, 8, 8_191), (12, 12, 511), (16, 8, 511), (16, 16, 1)]
)
def test_accumulator_width_at_the_edge(a, w, safe):
    """Signed 32 bits hold so many signed products and no more; the rule grants at most the one in between."""
    greatest = 2 ** (a - 1) * 2 ** (w - 1)
    assert greatest * safe < 2**31 <= greatest * (safe + 1)
    assert required_accumulator_bits(a, w, safe) <= 32 < required_accumulator_bits(a, w, safe + 2)


def test_checkpoints_run_forward_again_and_frozen_weights_need_no_gradient():
    layer = Layer("fc", "linear", 1, 8, 4, rows=3, recomputes=2, needs_wgrad=False)
    assert layer.passes() == (FORWARD, RECOMPUTE, DGRAD)
    assert layer.training_macs(5) == 4 * layer.macs(5)
    assert Layer("fc", "linear", 1, 8, 4).training_macs(1) == 3 * 32


def test_a_recomputation_is_the_forward_product_once_more():
    layer, widths = Layer("fc", "linear", 1, 8, 4, rows=3, needs_dgrad="false", recomputes=2), Widths(4, 4, 8, 8, 4)
    assert lower(layer, RECOMPUTE, 5) == lower(layer, FORWARD, 5)
    assert effective_macs(layer, widths, 5) == layer.macs(5) * (3 * 16 + 32) / 1024
