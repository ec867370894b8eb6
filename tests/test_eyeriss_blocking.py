"""Papers: the published 256-PE rows and extra vectors exactly, a plain twin, and the chip's measurements."""

import csv
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsim.analytical.eyeriss_blocking import COUNTERS, best_blocking
from bitsim.errors import InputError
from bitsim.mapping.search import NEAR
from bitsim.reproduce import eyeriss, eyeriss_chip
from bitsim.reproduce.published_rows import shipped

# C M R E U N, array rows, array cols, register words, buffer words -> cycles, MACs, words: RF, array, GLB, DRAM.
# From the tool behind the published rows, for rules those rows do not pin.
VECTORS = {
    (16, 24, 2, 13, 1, 2, 12, 14, 16, 4096): (3328, 519168, 2076672, 290576, 61360, 17456),
    (16, 32, 32, 3, 1, 16, 16, 16, 256, 65536): (344064, 75497472, 330301440, 11081728, 2557952, 685568),
    (12, 16, 7, 4, 1, 4, 16, 16, 32, 8192): (2688, 602112, 2408448, 177600, 26688, 15232),
    (3, 7, 2, 5, 4, 3, 16, 16, 32, 1024): (60, 6300, 57600, 20643, 2397, 2397),
    (12, 8, 7, 6, 1, 8, 8, 8, 32, 16384): (32256, 1354752, 5419008, 294528, 60288, 20832),
}
# JSSC 2017, Table V, with the error of two constants for all five layers.
CHIP_ERRORS = {"CONV1": -0.062, "CONV2": -0.044, "CONV3": -0.006, "CONV4": 0.015, "CONV5": 0.083}


def test_all_published_rows():
    found, pooling = eyeriss.rows()
    assert (found.exact, len(found.names), found.differences) == (37, 37, [])
    assert (pooling.exact, len(pooling.names), pooling.differences) == (14, 14, [])


@pytest.mark.parametrize("vector", VECTORS)
def test_vectors(vector):
    got = best_blocking(*vector)
    words = (got.rf_units, got.noc_units / 2, got.glb_units / 6, got.dram_units / 200)
    assert (got.cycles, got.alu_units, *words) == VECTORS[vector]


def factors(number):
    return [t for t in itertools.product(range(1, number + 1), repeat=3) if t[0] * t[1] * t[2] == number]


def innermost(level, loops):
    """Loops that may be innermost: any that runs more than once."""
    return [name for name, count in zip("iob", loops, strict=True) if count > 1] or ["none"]


def slow_energy(c, m, r, n, registers, buffer):
    """Least energy for an unfolded 1 x 1 output on an array of exactly r rows and one column, by plain loops."""
    best = None
    for i, o, b in itertools.product(factors(c), factors(m), factors(n)):
        if r * i[2] * o[2] + r * i[2] * b[2] + o[2] * b[2] > registers:
            continue
        held = r * r * i[1] * i[2] * o[1] * o[2] + r * r * i[1] * i[2] * b[1] * b[2] + o[1] * o[2] * b[1] * b[2]
        if held > buffer:
            continue
        for q0 in innermost(0, (i[0], o[0], b[0])):
            for q1 in innermost(1, (i[1], o[1], b[1])):
                filters = 1 if q0 == "b" else b[0]
                inputs = 1 if q0 == "o" else o[0]
                psums = 1 if q0 == "i" else 2 * i[0] - 1
                dram = c * m * r * r * filters + n * c * r * r * inputs + n * m * psums
                down_f = filters if i[1] * o[1] == 1 else (b[0] if q1 == "b" else b[0] * b[1])
                down_i = inputs if i[1] * b[1] == 1 else (o[0] if q1 == "o" else o[0] * o[1])
                both = 2 * i[0] - 1 if q1 == "i" else 2 * i[0] * i[1] - i[0]
                down_p = psums if o[1] * b[1] == 1 else both
                glb = c * m * r * r * down_f + n * c * r * r * down_i + n * m * down_p
                array = (r * n * m - n * m) * down_p  # psums of r PEs; filters and inputs have one copy
                energy = 2 * array + 6 * glb + 200 * dram
                best = energy if best is None else min(best, energy)
    return best


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 8), st.integers(1, 8), st.integers(1, 3), st.integers(1, 6), st.integers(3, 40), st.integers(20, 400)
)
def test_equals_plain_loops(c, m, r, n, registers, buffer):
    expected = slow_energy(c, m, r, n, registers, buffer)
    if expected is None:
        with pytest.raises(InputError, match="no blocking fits"):
            best_blocking(c, m, r, 1, 1, n, r, 1, registers, buffer)
        return
    got = best_blocking(c, m, r, 1, 1, n, r, 1, registers, buffer)
    assert got.noc_units + got.glb_units + got.dram_units == expected


def test_the_chip():
    listed = eyeriss_chip.alexnet()
    assert eyeriss_chip.chip_differences(listed) == []
    assert [row.active_pes for row in listed] == [154, 135, 156, 156, 156]
    assert {row.name: round(row.error, 3) for row in listed} == CHIP_ERRORS
    assert all(row.milliseconds > 0 for row in eyeriss_chip.vgg16())


def test_networks_on_chip_are_why_the_exact_engine_is_slower():
    """With networks and memory without limits it is within a sixth of the published cycles, or below them."""
    for row in eyeriss.exact_beside(eyeriss.rows()[0]):
        free, memory_too = row.as_published.values()
        # Of mappings within NEAR of the fewest cycles the search takes the least energy.
        assert memory_too <= free * (1 + NEAR) and free <= row.exact_cycles * (1 + NEAR)
        assert memory_too / row.published_cycles < 7 / 6


@pytest.mark.parametrize(
    ("layer", "metric", "change", "held"),
    [
        ("CONV2", "active_pes", 1.0, False),
        ("CONV5", "active_pes", 0.5, False),
        ("CONV1", "processing_latency", 1.0, False),  # -6.2 % becomes -11.6 %
        ("CONV3", "processing_latency", 1.0, True),
    ],
)
def test_an_altered_measurement_is_missed(monkeypatch, layer, metric, change, held):
    alter_measurement(monkeypatch, layer, metric, change)
    missed = eyeriss_chip.chip_differences(eyeriss_chip.alexnet())
    assert [(one.row, one.column) for one in missed] == ([] if held else [(layer, metric)])


def alter_measurement(monkeypatch, layer, metric, change):
    rows = [dict(cells) for cells in shipped("eyeriss_jssc17_alexnet.csv")]
    for cells in rows:
        if (cells["layer"], cells["metric"]) == (layer, metric):
            cells["value"] = str(float(cells["value"]) + change)
    monkeypatch.setattr(eyeriss_chip, "shipped", lambda name: rows)


def test_what_is_missed_is_named_by_the_command(monkeypatch, bitsim_command):
    """A pooling row, a convolution and a measurement, each altered by one."""
    alter_measurement(monkeypatch, "CONV2", "active_pes", 1.0)
    rows = [dict(cells) for cells in shipped(eyeriss.LAYERS_FILE)]
    for index, column in ((2, "cycles"), (3, "noc_units"), (0, "glb_units")):
        rows[index][column] = str(float(rows[index][column]) + 1)
    monkeypatch.setattr(eyeriss, "shipped", lambda name: rows)
    status, out, _ = bitsim_command("reproduce", "eyeriss")
    assert status == 1 and out.splitlines()[-1] == "36 of 37 rows exact"
    named = [line.split(": ours")[0] for line in out.splitlines() if ": ours" in line]
    assert named == [
        "AlexNet conv1_a: glb_units",
        "CONV2: active_pes",
        "AlexNet pool1_a: cycles",
        "AlexNet pool1_b: noc_units",
    ]


def write(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize("column", COUNTERS)
def test_a_value_altered_by_one_is_named(tmp_path, bitsim_command, column):
    rows = [dict(row) for row in shipped("eyeriss_256pe_layers.csv")[:5]]
    rows[4][column] = str(float(rows[4][column]) + 1)
    path = tmp_path / "altered.csv"
    write(path, rows)
    status, out, _ = bitsim_command("reproduce", "eyeriss", "--layers", path)
    assert status == 1 and f"{path}:6 AlexNet conv2_a: {column}: ours" in out
    assert "2 pooling rows at dimensions not published" in out and out.splitlines()[-1] == "4 of 5 rows exact"


def test_rows_without_dimensions_are_no_rows_held(tmp_path, bitsim_command):
    """Only the published pooling rows may leave them out: theirs are known."""
    path = tmp_path / "rows.csv"
    convolution, pooling = (dict(row) for row in shipped("eyeriss_256pe_layers.csv")[1:3])
    unknown = pooling | {"layer": "pool9"}
    blank = convolution | dict.fromkeys(("in_channels", "out_channels", "kernel", "out_size", "stride"), " ")
    write(path, [unknown, pooling, blank, convolution | {"kernel": ""}])
    status, out, err = bitsim_command("reproduce", "eyeriss", "--layers", path)
    assert (status, out) == (2, "")
    dimensions = "in_channels, out_channels, kernel, out_size, stride"
    assert [line.partition(": blank")[0] for line in err.splitlines()[:2]] == [
        f"{path}:2: {dimensions}",
        f"{path}:4: {dimensions}",
    ]
    assert err.splitlines()[2].startswith(f"{path}:5: kernel: '', allowed: a whole number")
    write(path, [pooling | {"cycles": str(int(pooling["cycles"]) + 1)}])
    status, out, _ = bitsim_command("reproduce", "eyeriss", "--layers", path)
    assert status == 1 and f"{path}:2 AlexNet pool1_a: cycles: ours" in out
    assert out.splitlines()[-1] == "0 of 1 rows exact"


def test_other_machines_by_optional_columns(tmp_path, bitsim_command):
    names = ("in_channels", "out_channels", "kernel", "out_size", "stride", "batch")
    sizes = ("array_rows", "array_cols", "register_words", "buffer_words")
    rows = []
    for key, (cycles, macs, rf, array, glb, dram) in VECTORS.items():
        units = (cycles, macs, rf, 2 * array, 6 * glb, 200 * dram)
        rows.append(dict(zip((*names, *sizes, *COUNTERS), (*key, *units), strict=True)))
    path = tmp_path / "vectors.csv"
    write(path, rows)
    status, out, _ = bitsim_command("reproduce", "eyeriss", "--layers", path)
    assert status == 0 and out.splitlines()[-1] == "5 of 5 rows exact"
    rows[0]["register_words"] = 1
    write(path, rows)
    status, out, err = bitsim_command("reproduce", "eyeriss", "--layers", path)
    assert status == 2 and out == "" and f"{path}:2: no blocking fits 1 register" in err


def test_all_faults_of_a_file_at_once(tmp_path, bitsim_command):
    rows = [dict(row) for row in shipped(eyeriss.LAYERS_FILE)[4:7]]
    rows[0]["kernel"], rows[1]["cycles"], rows[2] = "", "many", rows[0] | {"kernel": "9" * 5000}
    rows.append(rows[1] | {"cycles": "1", "batch": str(2**24 - 1), "in_channels": str(2**24 - 1)})
    path = tmp_path / "bad.csv"
    write(path, rows)
    status, out, err = bitsim_command("reproduce", "eyeriss", "--layers", path)
    assert (status, out) == (2, "")
    lines = [line.removeprefix(f"{path}:").split(": ")[:2] for line in err.splitlines()]
    assert lines == [["2", "kernel"], ["3", "cycles"], ["4", "kernel"], ["5", "counters would pass int64, allowed"]]
