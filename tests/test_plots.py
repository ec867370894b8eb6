"""bitsim plot: what is drawn is what the result folders hold, at the size and in the form a paper needs."""

import re

import numpy as np
import pandas as pd
import pytest

from bitsim.kernels.program import CLASSES
from bitsim.report import plots
from bitsim.report.picture import COLUMN_MM, paper_style
from bitsim.report.plots.pareto import axis_words, front
from bitsim.report.plots.runs import fitting
from tests.conftest import RUN

MACHINES = ("bitfusion_16x32_192b", "eyeriss_12x14_108k")
POINTS = pd.DataFrame(
    {
        "array.rows": [8, 16, 32, 8, 16, 64],
        "hardware": ["flexible"] * 3 + ["integer"] * 3,
        "trace": "small",
        "latency_s": [3.0, 2.0, 1.0, 4.0, 2.5, None],
        "energy_j": [1.0, 1.5, 5.0, 0.5, 2.0, None],
    }
)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A result folder of a small trace on two machines, precision rising after 60 of 100 iterations."""
    from bitsim.cli.main import main
    from tests.conftest import LAYERS, PRECISION

    place = tmp_path_factory.mktemp("plots")
    trace = place / "small"
    trace.mkdir()
    losses = "iterations_per_epoch: 10\nloss: {train: [9, 8, 7, 6, 5, 4, 3, 2, 1, 0.5]}\n"
    for name, text in (("run.yaml", RUN + losses), ("layers.csv", LAYERS), ("precision.csv", PRECISION)):
        (trace / name).write_text(text)
    hw = [word for name in MACHINES for word in ("--hw", name)]
    with pytest.raises(SystemExit) as stop:
        main(["run", str(trace), *hw, "--format", "csv", "--out", str(place / "result")])
    assert not stop.value.code
    return place / "result"


@pytest.fixture
def sweep(tmp_path):
    folder = tmp_path / "sweep"
    folder.mkdir()
    POINTS.to_parquet(folder / "sweep.parquet")
    return folder


def drawn(kind, *folders):
    with paper_style():
        figure = plots.draw(kind, folders)
        figure.draw_without_rendering()
    return figure


def times(results):
    rows = pd.read_parquet(results / "rows.parquet")
    return rows, rows["occurrences"] * rows["iterations"]


def test_stages_draws_every_iteration(results):
    bits, time, energy = drawn("stages", results).axes[:3]
    frame = pd.read_parquet(results / "iterations.parquet")
    for axes, column in ((time, "latency_s"), (energy, "energy_j")):
        factor = {"µ": 1e6, "m": 1e3}[axes.get_ylabel()[0]]
        for line, name in zip((x for x in axes.lines if x.get_label() in MACHINES), MACHINES, strict=True):
            assert line.get_label() == name
            edges, heights = line.get_data()
            mine = frame[frame.hardware == name]
            of_iteration = np.repeat(mine[column], mine.iteration_end - mine.iteration_start).to_numpy()
            np.testing.assert_allclose(np.repeat(heights[:-1], np.diff(edges)), of_iteration * factor, rtol=1e-12)
    # Activations: 4 (conv), 4 or 8 of 6 and 2 samples (fc), 8 (attend); after 60 iterations fc has 8.
    heights = bits.lines[0].get_ydata()
    assert heights[0] == pytest.approx((4 + 5 + 8) / 3) and heights[-1] == pytest.approx(20 / 3)
    loss = bits.figure.axes[3].lines[0]
    assert list(loss.get_xdata()) == [*range(10, 101, 10)] and list(loss.get_ydata()) == [
        9,
        8,
        7,
        6,
        5,
        4,
        3,
        2,
        1,
        0.5,
    ]
    assert 60 in {line.get_xdata()[0] for line in time.lines if line.get_label() not in MACHINES}  # precision rises


def test_breakdown_adds_up_to_the_totals(results):
    figure = drawn("breakdown", results)
    rows, count = times(results)
    for axes, suffix, whole, factor in zip(
        figure.axes, ("_pj", "_cycles"), ("energy_pj", "cycles"), (1e-12, 1), strict=True
    ):
        label = axes.get_xlabel()
        size = {"µ": 1e6, "m": 1e3, "M": 1e-6, "k": 1e-3}[label[0]] * factor / 100
        named = {c.get_label(): [bar.get_width() for bar in c] for c in axes.containers}
        for i, name in enumerate(MACHINES):
            mine = rows["hardware"] == name
            totals = (rows[mine].select_dtypes("number").mul(count[mine], axis=0).sum() * size).to_dict()
            assert sum(widths[i] for widths in named.values()) == pytest.approx(totals[whole])
            for words, widths in named.items():
                if words != "other":
                    assert widths[i] == pytest.approx(totals[words.lower().replace(" ", "_") + suffix]), words
        lefts = [[bar.get_x() for bar in c] for c in axes.containers]
        assert np.allclose(lefts, np.cumsum([[0, 0], *list(named.values())[:-1]], axis=0))
    assert {f"{name}_cycles" for name in CLASSES} <= set(rows.columns)


def test_roofline_has_a_dot_for_every_layer_and_pass(results):
    figure = drawn("roofline", results)
    rows, count = times(results)
    for axes, name in zip(figure.axes, MACHINES, strict=True):
        assert axes.get_title(loc="left") == name
        mine = rows[(rows["hardware"] == name) & (rows["macs"] > 0)].copy()
        for column in ("macs", "cycles", "dram_read_bits", "dram_write_bits"):
            mine[column] *= count[mine.index]
        sums = mine.groupby(["layer", "pass", "input_hw_bits", "weight_hw_bits"])[
            ["macs", "cycles", "dram_read_bits", "dram_write_bits"]
        ].sum()
        clock = {"bitfusion_16x32_192b": 500e6, "eyeriss_12x14_108k": 200e6}[name]
        expected = {
            (round(row.macs / (row.dram_read_bits + row.dram_write_bits) * 8, 9), round(row.macs / row.cycles * clock))
            for row in sums.itertuples()
        }
        offsets = [tuple(place) for dots in axes.collections for place in dots.get_offsets()]
        assert {(round(x, 9), round(y)) for x, y in offsets} == expected and len(offsets) == len(sums)
        # 512 units of 8 x 8 bits, and 168 of 16 x 16: nothing is above its roof.
        peak = {"bitfusion_16x32_192b": 512 * 64, "eyeriss_12x14_108k": 168 * 256}[name] * clock
        roofs = [line.get_ydata()[-1] for line in axes.lines]
        widths = {(a * b) for a, b in zip(mine["input_hw_bits"], mine["weight_hw_bits"], strict=True)}
        assert sorted(roofs) == pytest.approx(sorted(peak / product for product in widths))
        port = 96e9 / 8
        assert all(y <= min(max(roofs), x * port) * 1.0001 for x, y in offsets)


def test_pareto_draws_every_point_and_the_front(sweep):
    (axes,) = drawn("pareto", sweep).axes
    points = [tuple(map(float, place)) for dots in axes.collections for place in dots.get_offsets()]
    assert points == [(3, 1), (2, 1.5), (1, 5), (4, 0.5), (2.5, 2)]  # the point that failed is not there
    (line,) = axes.lines
    assert list(zip(*line.get_data(), strict=True)) == [(1, 5), (2, 1.5), (3, 1), (4, 0.5)]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("latency, s", "energy, J")
    # Points of the front say what was varied: one row of units is fastest here at 32, cheapest at 8.
    assert {tuple(text.xy): text.get_text() for text in axes.texts} == {
        (1, 5): "32",
        (2, 1.5): "16",
        (3, 1): "8",
        (4, 0.5): "8",
    }
    assert line.get_label() == "front: array.rows"
    assert axis_words("latency_s_per_iteration") == "latency, s / iteration"


def test_front_keeps_one_of_equal_points():
    best = front(pd.DataFrame({"a": [1, 1, 2, 2, 3], "b": [5, 5, 5, 3, 3]}), "a", "b")
    assert best.to_numpy().tolist() == [[1, 5], [2, 3]]


def test_several_folders_of_one_machine_are_told_apart(results, tmp_path):
    import shutil

    copy = tmp_path / "again"
    shutil.copytree(results, copy)
    labels = [line.get_label() for line in drawn("stages", results, copy).axes[1].lines]
    assert {f"{name}, small (again)" for name in MACHINES} < set(labels)


def test_many_and_long_names_leave_room_for_what_is_drawn(results, tmp_path):
    """Six runs with names longer than the column is wide: each is there, and panels keep most of the width."""
    import shutil

    folders = [results]
    for i in range(2):
        folders.append(tmp_path / f"{'a_long_name_of_a_folder_' * 3}{i}")
        shutil.copytree(results, folders[-1])
    for kind in ("stages", "breakdown", "roofline"):
        figure = drawn(kind, *folders)
        assert min(axes.get_position().width for axes in figure.axes) > 0.6
    for name in ("short", "x" * 58, "x" * 200):
        assert len(fitting(name, 58)) == min(len(name), 58)
    assert fitting("abcdefghij", 5) == "ab…ij"


@pytest.mark.parametrize(
    ("kind", "form"), [("stages", "pdf"), ("roofline", "svg"), ("breakdown", "png"), ("pareto", "pdf")]
)
def test_text_stays_text_and_bytes_are_the_same_again(kind, form, results, sweep, tmp_path, bitsim_command):
    files = [tmp_path / f"{name}.{form}" for name in ("one", "two")]
    for file in files:
        status, out, err = bitsim_command("plot", kind, sweep if kind == "pareto" else results, "--out", file)
        assert (status, out, err) == (0, f"{file}\n", "")
    first, second = (file.read_bytes() for file in files)
    assert first == second
    if form == "pdf":
        assert b"/FontFile2" in first and b"/Type3" not in first and b"CreationDate" not in first
        width_points = float(re.search(rb"/MediaBox \[ ?0 0 ([\d.]+)", first)[1])
        assert width_points / 72 * 25.4 == pytest.approx(COLUMN_MM, abs=0.01)
    if form == "svg":
        assert f">{MACHINES[0]}</text>" in first.decode() and b"<dc:date>" not in first


def test_faults_of_all_folders_at_once(results, sweep, tmp_path, bitsim_command):
    status, out, err = bitsim_command("plot", "stages", sweep, tmp_path / "nowhere", results, results)
    assert (status, out) == (2, "") and len(err.splitlines()) == 3
    assert "no such folder" in err and "given twice" in err and "has no summary.json" in err
    for arguments, words in (
        (("stages", results, "--out", tmp_path / "x.gif"), "gif: not a form of picture"),
        (("stages", results, "--out", tmp_path), "is a folder"),
        (("pareto", results, "--out", tmp_path / "x.pdf"), "has no sweep.parquet"),
        (("roofline", results, "--axes", "latency_s,energy_j", "--out", tmp_path / "x.pdf"), "allowed for: pareto"),
        (("pareto", sweep, "--axes", "latency_s", "--out", tmp_path / "x.pdf"), "is not two columns"),
        (("pareto", sweep, "--axes", "latency_s,energi_j", "--out", tmp_path / "x.pdf"), "did you mean energy_j?"),
        (("pareto", sweep, "--axes", "latency_s,hardware", "--out", tmp_path / "x.pdf"), "not a column of numbers"),
    ):
        status, out, err = bitsim_command("plot", *arguments)
        assert (status, out) == (2, "") and words in err, err
    assert not (tmp_path / "x.pdf").exists()


def test_the_users_style_changes_nothing(results, tmp_path, bitsim_command):
    import matplotlib

    with matplotlib.rc_context({"font.size": 30, "pdf.fonttype": 3, "axes.facecolor": "red"}):
        assert bitsim_command("plot", "breakdown", results, "--out", tmp_path / "styled.svg")[0] == 0
    assert bitsim_command("plot", "breakdown", results, "--out", tmp_path / "plain.svg")[0] == 0
    assert (tmp_path / "styled.svg").read_bytes() == (tmp_path / "plain.svg").read_bytes()
