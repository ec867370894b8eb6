"""Bins of iterations: nothing is lost at their edges, and widths equal those of a plain walk over every iteration."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bitsim
from bitsim.trace.iteration_bins import bin_edges, overlaps
from bitsim.trace.precision_bins import OPERANDS, precision_bins


@given(first=st.integers(0, 10**6), length=st.integers(1, 5000), epoch=st.none() | st.integers(1, 400))
def test_edges_cover_the_range(first, length, epoch):
    edges = bin_edges(first, first + length, epoch)
    assert edges[0] == first and edges[-1] == first + length
    assert len(edges) <= 241 and (np.diff(edges) > 0).all()
    epochs = -(-(first + length) // epoch) - first // epoch if epoch else 0
    if 10 <= epochs <= 240:
        assert all(edge % epoch == 0 for edge in edges[1:-1]) and len(edges) == epochs + 1


@pytest.mark.parametrize(("epochs", "bins"), [(9, 90), (10, 10), (240, 240), (241, 240)])
def test_few_and_many_epochs_are_no_bins(epochs, bins):
    assert len(bin_edges(0, 10 * epochs, 10)) - 1 == bins


@given(st.data())
def test_pieces_add_up(data):
    edges = np.array(sorted(data.draw(st.sets(st.integers(0, 60), min_size=2))))
    ends = st.integers(int(edges[0]), int(edges[-1]))
    ranges = data.draw(st.lists(st.tuples(ends, ends).filter(lambda pair: pair[0] < pair[1]), min_size=1))
    start, end = (np.array(column) for column in zip(*ranges, strict=True))
    found = overlaps(edges, start, end)
    expected = [
        (place, number, len(set(range(a, b)) & set(range(*pair))))
        for place, (a, b) in enumerate(ranges)
        for number, pair in enumerate(pairwise(edges.tolist()))
    ]
    assert list(zip(*(column.tolist() for column in found), strict=True)) == [e for e in expected if e[2]]


def walked(trace, edges):
    """{(layer, bin): (share of iterations run, share of samples in float, mean bits of each operand)}, slowly."""
    cells = {}
    for layer in range(len(trace.layers)):
        for number, (a, b) in enumerate(pairwise(edges)):
            ran, samples, floats, bits = 0, 0, 0, ([], [], [])
            for span in trace.spans(a, b):
                if span.layer_index != layer or not span.groups:
                    continue
                length = span.iteration_end - span.iteration_start
                ran += length
                for group in span.groups:
                    widths = [getattr(group.widths, f"{name}_bits") for name in OPERANDS]
                    count = group.samples * length
                    samples, floats = samples + count, floats + count * (32 in widths)
                    for listed, width in zip(bits, widths, strict=True):
                        listed += [width] * count if width < 32 else []
            means = tuple(np.mean(listed) if listed else np.nan for listed in bits)
            cells[layer, number] = (ran / (b - a), floats / samples if samples else 0.0, means)
    return cells


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_bins_equal_a_walk(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trace")
    iterations = data.draw(st.integers(1, 300))
    (folder / "run.yaml").write_text(
        f"schema: 1\nname: t\nmodel: m\ndataset: d\nbatch: 3\niterations: {iterations}\nsource: s\nsynthetic: true\n"
    )
    head = (
        "layer,kind,groups,in_channels,out_channels,in_h,in_w,kernel_h,kernel_w,stride_h,stride_w,padding_h,padding_w,"
    )
    head += "dilation_h,dilation_w,rows,needs_dgrad,gate_group\n"
    (folder / "layers.csv").write_text(head + "".join(f"l{i},linear,,4,4,,,,,,,,,,,1,true,\n" for i in range(2)))
    rows = []
    width = st.sampled_from([2, 3, 4, 8, 32])
    for layer in range(2):
        cuts = sorted({0, iterations, *data.draw(st.sets(st.integers(0, iterations), max_size=4))})
        for a, b in pairwise(cuts):
            for samples in data.draw(st.sampled_from([("",), ("1", "2"), ("0",)])):
                widths = ",".join(str(data.draw(width)) for _ in range(3))
                rows.append((a, f"{a},{b},l{layer},{samples},{widths}"))
    rows.sort(key=lambda row: row[0])
    text = "iteration_start,iteration_end,layer,samples,activation_bits,weight_bits,gradient_bits\n"
    (folder / "precision.csv").write_text(text + "\n".join(row for _, row in rows) + "\n")
    trace = bitsim.open_trace(folder)
    first = data.draw(st.integers(0, iterations - 1))
    bins = precision_bins(trace, first, iterations)
    for (layer, number), (ran, floats, means) in walked(trace, bins.edges.tolist()).items():
        assert bins.ran_share[layer, number] == pytest.approx(ran)
        assert bins.float_share[layer, number] == pytest.approx(floats)
        assert bins.bits[:, layer, number] == pytest.approx(means, nan_ok=True)
