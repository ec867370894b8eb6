"""Tables at scale: run by run equals all at once; any order of rows; cut off, damaged or changed is never silent."""

import io
import itertools
import os
import pickle
import random
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

import bitsim
from bitsim import data
from bitsim.cli.progress import TableProgress
from bitsim.errors import InputError
from bitsim.trace import csv_table, parquet_table, row_order, spans, tally
from bitsim.trace.precision_file import unpacked
from tests.conftest import LAYERS, PRECISION, RUN

COLUMNS = PRECISION.splitlines()[0].split(",")
BATCH = 8


@st.composite
def tables(draw):
    """(iterations, rows) of a sound table of the two layers conv and fc: histograms, idle ranges, in file order."""
    iterations = draw(st.integers(1, 12))
    rows = []
    for layer in ("conv", "fc"):
        edges = sorted({0, iterations, *draw(st.lists(st.integers(0, iterations), max_size=6))})
        for start, end in itertools.pairwise(edges):
            cuts = sorted(draw(st.lists(st.integers(0, BATCH), max_size=3)))
            parts = np.diff([0, *cuts, BATCH]).tolist()
            idle = draw(st.booleans()) and len(parts) == 1
            for samples in [0] if idle else parts:
                widths = [draw(st.integers(2, 4)) for _ in range(3)]
                shown = "" if samples == BATCH and len(parts) == 1 and draw(st.booleans()) else samples
                rows.append([start, end, layer, shown, *widths])
    return iterations, rows


def slow_histograms(rows, iterations):
    """{(layer, iteration): {widths: samples}}: every iteration looked up by itself."""
    found = {}
    for start, end, layer, samples, *widths in rows:
        for iteration in range(start, end):
            histogram = found.setdefault((("conv", "fc").index(layer), iteration), {})
            number = BATCH if samples == "" else samples
            if number:
                key = tuple(widths)
                histogram[key] = histogram.get(key, 0) + number
    assert len(found) == 2 * iterations
    return found


def write(folder, iterations, rows, suffix=".csv", **options):
    folder.mkdir()
    (folder / "run.yaml").write_text(RUN.replace("iterations: 100", f"iterations: {iterations}"))
    (folder / "layers.csv").write_text("\n".join(LAYERS.splitlines()[:3]) + "\n")
    frame = pd.DataFrame(rows, columns=COLUMNS)
    if suffix == ".parquet":
        frame["samples"] = frame["samples"].replace("", None).astype("Int64")
        frame.to_parquet(folder / "precision.parquet", **options)
    else:
        frame.to_csv(folder / "precision.csv", index=False)
    return folder


@settings(max_examples=80, deadline=None)
@given(tables(), st.randoms(use_true_random=False), st.sampled_from([1, 2, 100]), st.booleans(), st.data())
def test_run_by_run_equals_iteration_by_iteration(tmp_path_factory, table, shuffler, size, compiled, data):
    """Blocks of a few bytes, row groups of a row or two, sorted pieces of a few rows, kernels compiled or not."""
    iterations, rows = table
    expected = slow_histograms(rows, iterations)
    order = data.draw(st.sampled_from(["sorted", "by layer", "shuffled"]))
    if order == "sorted":
        rows = sorted(rows, key=lambda row: row[0])
    elif order == "shuffled":
        shuffler.shuffle(rows)
    suffix = data.draw(st.sampled_from([".csv", ".parquet"]))
    folder = tmp_path_factory.mktemp("scale") / "t"
    write(folder, iterations, rows, suffix, **({"row_group_size": size} if suffix == ".parquet" else {}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet_table, "RUN_ROWS", size)
        patch.setattr(csv_table, "BLOCK_BYTES", 40 * size)
        patch.setattr(row_order, "PIECE_ROWS", 2 * size)
        patch.setattr(tally, "_FIRST_SLOTS", 2)
        patch.setattr(spans, "FEW_ROWS", 0 if compiled else 10**9)
        patch.setattr(spans, "_COMPILED", set())
        trace = bitsim.open_trace(folder)
        first = data.draw(st.integers(0, iterations - 1))
        last = data.draw(st.integers(first + 1, iterations))
        listed = list(trace.spans(first, last))
        counts = trace.tally(first, last)
        groups, batches = counts.groups(), counts.batches()
    keys = [(s.iteration_start, s.layer_index) for s in listed]
    assert keys == sorted(keys)
    got = {}
    for span in listed:
        for iteration in range(span.iteration_start, span.iteration_end):
            assert (span.layer_index, iteration) not in got
            got[span.layer_index, iteration] = {three(g.widths): g.samples for g in span.groups}
    expected = {key: value for key, value in expected.items() if first <= key[1] < last}
    assert got == expected
    assert {(d.layer_index, d.group.samples, three(d.group.widths)): (d.iterations, d.first_start) for d in groups} == (
        marginals(expected, lambda histogram: [(n, w) for w, n in histogram.items()])
    )
    assert {
        (d.layer_index, d.whole.samples, d.groups, three(d.whole.widths)): (d.iterations, d.first_start)
        for d in batches
    } == marginals(
        expected,
        lambda h: [(sum(h.values()), len(h), tuple(map(max, zip(*h, strict=True))))] if h else [],
    )


def three(widths):
    return (widths.activation_bits, widths.weight_bits, widths.gradient_bits)


def marginals(histograms, parts):
    """{(layer, *part): (iterations with it, the first of them)}."""
    found = {}
    for (layer, iteration), histogram in sorted(histograms.items()):
        for part in parts(histogram):
            count, first = found.get((layer, *part), (0, iteration))
            found[layer, *part] = (count + 1, first)
    return found


def simple_rows(iterations):
    widths = random.Random(0)
    return [[i, i + 1, layer, "", widths.randint(2, 8), 4, 8] for i in range(iterations) for layer in ("conv", "fc")]


def test_faults_in_later_runs_name_their_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_table, "BLOCK_BYTES", 64)
    rows = simple_rows(50)
    rows[61][4], rows[80][2] = 77, "cnv"
    with pytest.raises(InputError) as caught:
        bitsim.open_trace(write(tmp_path / "t", 50, rows))
    assert [fault.partition("precision.csv:")[2] for fault in caught.value.faults] == [
        "63: activation_bits: 77, allowed: a whole number 1 to 31, or 32 for float",
        "82: layer: 'cnv': unknown layer, allowed: names and gates of layers.csv",
    ]
    rows = simple_rows(50)
    del rows[60], rows[70]  # conv at 30, fc at 35
    for order in (rows, rows[::-1]):
        with pytest.raises(InputError) as caught:
            bitsim.open_trace(write(tmp_path / f"u{order is rows}", 50, order))
        assert sorted(fault.partition("layer ")[2] for fault in caught.value.faults) == [
            "conv: gap: nothing is said of iterations 30 to 31",
            "fc: gap: nothing is said of iterations 35 to 36",
        ]


def torn_at(folder, group, content=b"\0"):
    """Overwrite the pages of a row group, as a copy that was cut off and padded would."""
    path = folder / "precision.parquet"
    found = pq.ParquetFile(path).metadata.row_group(group)
    columns = [found.column(i) for i in range(found.num_columns)]
    begin = min(c.dictionary_page_offset or c.data_page_offset for c in columns)
    size = sum(c.total_compressed_size for c in columns)
    raw = bytearray(path.read_bytes())
    raw[begin : begin + size] = content * size
    path.write_bytes(raw)


def test_a_damaged_row_group_is_named(tmp_path, bitsim_command):
    folder = write(tmp_path / "t", 500, simple_rows(500), ".parquet", row_group_size=200)
    torn_at(folder, 2)
    status, out, err = bitsim_command("run", folder, "--hw", "bitfusion_16x32_192b", "--format", "json")
    assert (status, out) == (2, "") and "precision.parquet: row group 3 of 5: cut off or damaged" in err
    assert "Traceback" not in err and len(err.splitlines()) == 1


def test_a_flipped_bit_is_found_by_checksum(tmp_path):
    folder = write(
        tmp_path / "t", 500, simple_rows(500), ".parquet", row_group_size=500, write_page_checksum=True,
        compression="none", use_dictionary=False,
    )  # fmt: skip
    path = folder / "precision.parquet"
    column = pq.ParquetFile(path).metadata.row_group(1).column(4)
    raw = bytearray(path.read_bytes())
    raw[column.data_page_offset + column.total_compressed_size - 8] ^= 1
    path.write_bytes(raw)
    with pytest.raises(InputError, match=r"row group 2 of 2: cut off or damaged: .*CRC"):
        bitsim.open_trace(folder)


def test_a_file_without_its_end_says_so(tmp_path):
    folder = write(tmp_path / "t", 500, simple_rows(500), ".parquet", row_group_size=200)
    path = folder / "precision.parquet"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="cut off: the footer that lists its row groups is missing"):
        bitsim.open_trace(folder)


@pytest.mark.parametrize("change", ["touched", "replaced", "cut", "gone"])
def test_changed_while_read_names_the_row_group(tmp_path, monkeypatch, change):
    folder = write(tmp_path / "t", 500, simple_rows(500), ".parquet", row_group_size=200)
    path, whole = folder / "precision.parquet", parquet_table._table
    calls = []

    def meanwhile(*arguments):
        calls.append(0)
        if len(calls) == 3:
            {
                "touched": lambda: os.utime(path, ns=(1, 1)),
                "replaced": lambda: (tmp_path / "other").write_bytes(b"x") and (tmp_path / "other").replace(path),
                "cut": lambda: os.truncate(path, 5000),
                "gone": path.unlink,
            }[change]()
        return whole(*arguments)

    monkeypatch.setattr(parquet_table, "_table", meanwhile)
    with pytest.raises(InputError, match=r"precision.parquet: row group 3 of 5: changed while it was read"):
        bitsim.open_trace(folder)


def test_changed_between_two_readings(tmp_path):
    """What was opened is not what is read again for the costs of iterations."""
    folder = write(tmp_path / "t", 100, simple_rows(100), ".parquet", row_group_size=50)
    trace = bitsim.open_trace(folder)
    result = bitsim.simulate(trace, bitsim.load_hardware("bitfusion_16x32_192b"))
    before = result.per_iteration()
    assert (before["cycles"] * (before["iteration_end"] - before["iteration_start"])).sum() == result.totals["cycles"]
    frame = pd.read_parquet(folder / "precision.parquet")
    frame["activation_bits"] = 8
    frame.to_parquet(folder / "precision.parquet")
    with pytest.raises(InputError, match="row group 1 of 1: changed while it was read"):
        result.per_iteration()
    folder = write(tmp_path / "u", 100, simple_rows(100))
    trace = bitsim.open_trace(folder)
    with (folder / "precision.csv").open("a") as file:
        file.write("\n")
    with pytest.raises(InputError, match=r"precision.csv: before line 203: changed while it was read"):
        list(trace.spans(0, 100))


def test_a_trace_goes_to_another_process(tmp_path, monkeypatch):
    """As a sweep on several processes needs it, sorted pieces and progress or not."""
    monkeypatch.setattr(row_order, "PIECE_ROWS", 64)
    folder = write(tmp_path / "t", 200, simple_rows(200)[::-1])
    trace = bitsim.open_trace(folder, TableProgress(Console(file=io.StringIO())))
    other = pickle.loads(pickle.dumps(trace))
    expected = list(trace.spans(3, 90))
    assert list(other.spans(3, 90)) == expected
    del other
    assert list(trace.spans(3, 90)) == expected


def test_sorting_cleans_up_after_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(row_order.tempfile, "tempdir", str(tmp_path / "pieces"))
    (tmp_path / "pieces").mkdir()
    monkeypatch.setattr(row_order, "PIECE_ROWS", 64)
    trace = bitsim.open_trace(write(tmp_path / "t", 200, simple_rows(200)[::-1]))
    (folder,) = (tmp_path / "pieces").iterdir()
    assert sum(path.stat().st_size for path in folder.iterdir()) == 400 * 40
    assert len(list(trace.spans(0, 200))) == 400
    del trace
    assert list((tmp_path / "pieces").iterdir()) == []


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_rows_of_a_trace_go_out_one_by_one(tmp_path, bitsim_command, monkeypatch, kind):
    """The same rows in all three forms, whatever the size of a piece; a fault on the way leaves nothing behind."""
    import json

    from bitsim.report import folder as result_folder

    monkeypatch.setattr(result_folder, "RECORDS_OF_FRAME", 7)
    folder = write(tmp_path / "t", 20, simple_rows(20))
    options = ("--hw", "bitfusion_16x32_192b", "--hw", "eyeriss_12x14_108k", "--rows", "trace")
    records = {
        name: list(bitsim.simulate(bitsim.open_trace(folder), bitsim.load_hardware(name)).by_trace_row())
        for name in options[1::2][:2]
    }
    out = tmp_path / "out"
    status, text, err = bitsim_command(
        "run", folder, *options, "--format", "json" if kind == "json" else "csv", "--out", out
    )
    assert status == 0, err
    if kind == "json":
        got = {run["hardware"]: run["rows"] for run in json.loads(text)["runs"]}
        assert got == records
        return
    frame = pd.read_csv(io.StringIO(text)) if kind == "csv" else pd.read_parquet(out / "rows.parquet")
    for name, listed in records.items():
        part = frame[frame["hardware"] == name]
        for column in listed[0]:
            assert part[column].tolist() == [record[column] for record in listed]
    assert (frame.loc[frame["hardware"] == "eyeriss_12x14_108k", "weight_buffer_pj"] == 0).all()


def test_progress_has_rate_and_time_left():
    seconds = iter([0.0, 0.5, 2.0, 4.0, 4.5])
    shown = io.StringIO()
    progress = TableProgress(Console(file=shown, force_terminal=True, width=100), lambda: next(seconds))
    progress(1_000_000, 0.1)
    progress(2_000_000, 0.2)
    assert shown.getvalue() == ""
    progress(8_000_000, 0.5)
    progress(12_000_000, 0.75)
    progress(16_000_000, 1.0)
    assert "3.0 million rows/s, 1 s left" in shown.getvalue() and "75%" in shown.getvalue()


def test_no_progress_off_a_terminal(tmp_path, bitsim_command):
    assert bitsim_command("trace", "check", write(tmp_path / "t", 20, simple_rows(20)))[2] == ""


def test_widths_unpack():
    fields = unpacked((((1 << 6 | 2) << 6 | 3) << 6 | 4) << 6 | 32)
    assert three(fields) == (1, 2, 3) and (fields.weight_gradient_bits, fields.output_bits) == (4, 32)


def test_dictionaries_differ_between_row_groups(tmp_path):
    """A row group may number its layers anew, or know layers that none of its rows has."""
    rows = simple_rows(4)
    folder = write(tmp_path / "t", 4, rows)
    frame = pd.DataFrame(rows, columns=COLUMNS).assign(samples=pd.array([None] * len(rows), "Int64"))
    table = pa.Table.from_pandas(frame, preserve_index=False)
    expected = list(bitsim.open_trace(folder).spans(0, 4))
    (folder / "precision.csv").unlink()
    with pq.ParquetWriter(folder / "precision.parquet", table.schema) as writer:
        for part in (table.slice(0, 1), table.slice(1, 1), table.slice(2, 3), table.slice(5)):
            writer.write_table(part)
    assert list(bitsim.open_trace(folder).spans(0, 4)) == expected


@pytest.mark.parametrize("few", [0, 10**9])
def test_samples_beyond_31_bits_add_up(tmp_path, monkeypatch, few):
    """Columns of samples are 32 bits wide; their sum in a message is not, compiled or in plain Python."""
    shutil.copytree(data.find("traces", "resnet38_cifar_fw8bw8"), tmp_path / "t")
    run, table = tmp_path / "t" / "run.yaml", tmp_path / "t" / "precision.csv"
    run.write_text(run.read_text().replace("batch: 128", "batch: 1048576"))
    head, first, *rest = table.read_text().splitlines()
    assert first.startswith("0,64000,conv1,")
    rows = [f"0,64000,conv1,1048575,{1 + i % 31},{1 + i // 31 % 31},{1 + i // 961}" for i in range(3000)]
    table.write_text("\n".join([head, *rows, *rest]) + "\n")
    monkeypatch.setattr(spans, "FEW_ROWS", few)
    monkeypatch.setattr(spans, "_COMPILED", set())
    with pytest.raises(InputError, match="samples add up to 3145725000, the batch is 1048576"):
        bitsim.open_trace(tmp_path / "t")
