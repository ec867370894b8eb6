"""Precision tables: the typed reader equals reading cell by cell; a histogram is what it is, however it is written."""

import gzip
import io
import threading
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bitsim
from bitsim.errors import InputError
from bitsim.trace import csv_table
from bitsim.trace.cells import Faults
from bitsim.trace.precision_file import COLUMNS
from bitsim.trace.table_file import ahead
from bitsim.trace.writer import write_trace
from bitsim.workload import Layer
from tests.conftest import PRECISION, RUN

HEADER = PRECISION.splitlines()[0]


def fault(folder):
    with pytest.raises(InputError) as caught:
        bitsim.open_trace(folder)
    return str(caught.value)


cells = st.sampled_from(
    ["", "0", "1", "8", "32", "07", "+4", " 4", "4 ", "123456789012", "8.0", "-1", "x", "0x8", "1e1", "9" * 19]
)
texts = st.sampled_from(["fc", "conv", " fc", "gate:a", "é", ""])
table_rows = st.lists(st.tuples(cells, cells, texts, cells, cells, cells, cells), min_size=1, max_size=6)


@settings(max_examples=300, deadline=None)
@given(table_rows, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans())
def test_typed_reader_equals_cell_by_cell(tmp_path_factory, rows, newline, last_newline, bom):
    text = newline.join([HEADER, *(",".join(row) for row in rows)]) + (newline if last_newline else "")
    raw = text.encode("utf-8-sig" if bom else "utf-8")
    header, body = HEADER.split(","), raw[raw.index(newline.encode()) + len(newline) :]
    fast = csv_table.plain_rows(header, body, 2, COLUMNS)
    if fast is None:
        return
    faults = Faults(tmp_path_factory.getbasetemp() / "p.csv")
    slow, line = csv_table.any_rows(faults.path, header, body, 2, COLUMNS, 1.0, faults)
    faults.check()
    assert line == 2 + len(rows)
    assert all(np.array_equal(fast.numbers[name], slow.numbers[name]) for name in header if name != "layer")
    assert [fast.names[i] for i in fast.name_of_row] == [slow.names[i] for i in slow.name_of_row]
    assert np.array_equal(fast.lines, slow.lines)


def test_plain_files_take_the_typed_reader():
    header, body = HEADER.split(","), PRECISION.partition("\n")[2]
    assert csv_table.plain_rows(header, body.encode(), 2, COLUMNS) is not None
    assert csv_table.plain_rows(header, body.replace("conv", '"conv"').encode(), 2, COLUMNS) is None


@pytest.mark.parametrize(
    "bend",
    [
        lambda t: t.replace("\n", "\r\n"),
        lambda t: t.replace("\n", "\r"),
        lambda t: t.replace("\n", "\n\n"),
        lambda t: t.replace(",", " , "),
        lambda t: t.replace("conv", '"conv"'),
        lambda t: t.replace("conv,,4,", "conv,,4.0,"),
        lambda t: t + ",,,,,,\n",
        lambda t: "\ufeff" + t,
        lambda t: t.rstrip(),
        lambda t: "\n".join([t.splitlines()[0], *reversed(t.splitlines()[1:])]),
    ],
)
def test_other_ways_to_write_the_same(trace_folder, bend):
    plain = bitsim.open_trace(trace_folder())
    other = bitsim.open_trace(trace_folder(precision=bend(PRECISION), name="other"))
    assert other.demands() == plain.demands()
    assert list(other.spans(0, 100)) == list(plain.spans(0, 100))
    assert other.trace_hash != plain.trace_hash


def test_lines_count_blank_ones(trace_folder):
    bad = PRECISION.replace("\n", "\n\n").replace("conv,,4", "conv,,99")
    assert "precision.csv:3: activation_bits: 99" in fault(trace_folder(precision=bad))


@pytest.mark.parametrize("bits", ["1", "31", "32"])
def test_widths_at_the_edge(trace_folder, bits):
    trace = bitsim.open_trace(trace_folder(precision=PRECISION.replace("conv,,4,", f"conv,,{bits},")))
    assert trace.demands()[0].groups[0].widths.activation_bits == int(bits)


def test_by_name_and_by_gate(trace_folder):
    head = f"{HEADER}\n0,100,conv,,4,4,8\n0,100,attend,,8,8,8\n"
    layers = "fc by name, then its gate group"
    only_fc = (trace_folder().joinpath("layers.csv").read_text()).replace("false,block", "false,")
    for rows in ("0,100,fc,5,4,4,8\n0,100,gate:block,3,8,8,8\n", "0,60,fc,,4,4,8\n60,100,gate:block,,8,8,8\n"):
        text = fault(trace_folder(layers=only_fc, precision=head + rows))
        assert "precision.csv:5: layer fc: covered twice, by gate:block and by its name on line 4" in text, layers


def test_overlap_inside_a_longer_range_names_no_gap(trace_folder):
    rows = "0,100,conv,,4,4,8\n10,20,conv,,4,4,8\n30,100,conv,,4,4,8\n"
    text = fault(trace_folder(precision=PRECISION.replace("0,100,conv,,4,4,8\n", rows)))
    assert "10 to 20 are said twice" in text and "30 to 100 are said twice" in text and "gap" not in text


def test_samples_on_both_sides_of_the_batch(trace_folder):
    bitsim.open_trace(trace_folder(precision=PRECISION.replace("conv,,", "conv,8,")))
    assert "samples: 9, allowed 0 to 8" in fault(trace_folder(precision=PRECISION.replace("conv,,", "conv,9,")))
    head = PRECISION.replace("\n", ",\n").replace("bits,\n", "bits,batch\n")
    bitsim.open_trace(trace_folder(precision=head.replace("conv,,4,4,8,", "conv,,4,4,8,8")))
    assert "batch: 9, allowed 1 to 8" in fault(trace_folder(precision=head.replace("conv,,4,4,8,", "conv,,4,4,8,9")))
    assert "batch: 0, allowed 1" in fault(trace_folder(precision=head.replace("conv,,4,4,8,", "conv,,4,4,8,0")))


def test_twenty_faults_and_the_number_of_the_rest(trace_folder):
    rows = "\n".join(f"{i},{i + 1},cnv{i},,4,4,8" for i in range(50))
    with pytest.raises(InputError) as caught:
        bitsim.open_trace(trace_folder(precision=f"{HEADER}\n{rows}\n"))
    assert len(caught.value.faults) == 21 and caught.value.faults[-1].endswith("and 30 more")
    assert "precision.csv:2: layer: 'cnv0'" in caught.value.faults[0]


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("weight_bits", 3.5, "row 1: weight_bits: '3.5'"),
        ("weight_bits", -4, "row 1: weight_bits: '-4'"),
        ("weight_bits", -1, "row 1: weight_bits: '-1'"),
        ("weight_bits", None, "row 1: weight_bits: blank"),
        ("weight_bits", True, "row 1: weight_bits: 'True'"),
        ("weight_bits", [4], "row 1: weight_bits: '[4]'"),
        ("weight_bits", pd.Timestamp("2020-01-01"), "row 1: weight_bits: '2020"),
        ("weight_bits", np.uint64(2**64 - 1), "row 1: weight_bits: '18446744073709551615'"),
        ("iteration_start", None, "row 1: iteration_start: blank"),
        ("samples", -1, "row 1: samples: '-1'"),
        ("layer", None, "row 1: layer: ''"),
        ("layer", 7, "row 1: layer: '7'"),
        ("layer", b"conv", "row 1: layer:"),
    ],
)
def test_parquet_values_of_the_wrong_kind(trace_folder, column, value, expected):
    frame = pd.read_csv(io.StringIO(PRECISION))
    frame[column] = [value] * len(frame)
    folder = trace_folder(precision=None)
    frame.to_parquet(folder / "precision.parquet")
    assert expected in fault(folder)


def test_parquet_with_an_index_or_categories(trace_folder):
    plain = bitsim.open_trace(trace_folder())
    frame = pd.read_csv(io.StringIO(PRECISION)).astype({"layer": "category", "weight_bits": "category"})
    folder = trace_folder(precision=None, name="other")
    frame.iloc[::-1].to_parquet(folder / "precision.parquet")
    assert bitsim.open_trace(folder).demands() == plain.demands()


@pytest.mark.parametrize("name", ["precision.csv", "precision.csv.gz", "precision.parquet"])
def test_what_is_no_table(trace_folder, name):
    folder = trace_folder(precision=None)
    for content in (b"", b"PAR1" + b"\1" * 500 + b"PAR1", gzip.compress(b"0" * 10**6), b"\n\n", b",,,,,,\n"):
        (folder / name).write_bytes(content)
        assert f"{name}:1: " in fault(folder)
    (folder / name).unlink()
    (folder / name).mkdir()
    assert f"{name}:1: is " in fault(folder)
    (folder / "precision.csv.gz" if name == "precision.csv" else folder / "precision.csv").write_text(PRECISION)
    assert "2 precision tables" in fault(folder)


def test_first_start_and_clipping(trace_folder):
    trace = bitsim.open_trace(trace_folder())
    assert [(d.first_start, d.iterations) for d in trace.demands() if d.layer_index == 1] == [(0, 60), (60, 40)]
    assert [(d.first_start, d.iterations) for d in trace.demands((59, 61)) if d.layer_index == 1] == [(59, 1), (60, 1)]
    spans = trace.spans(59, 61)
    assert [(s.iteration_start, s.iteration_end, s.layer_index) for s in spans] == [
        (59, 61, 0),
        (59, 60, 1),
        (59, 61, 2),
        (60, 61, 1),
    ]


@pytest.mark.parametrize("name", ["", "x" * 5000, "a\0b", "no/such/folder", "./"])
def test_names_that_are_no_trace(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert fault(name)


@pytest.mark.parametrize("value", ["true", "1.0", "2", "'1'"])
def test_schema_is_the_number_one(trace_folder, value):
    assert "run.yaml:1: schema" in fault(trace_folder(run=RUN.replace("schema: 1", f"schema: {value}")))


def test_many_unknown_layers_fail_fast(trace_folder):
    rows = "\n".join(f"0,100,z{i},,4,4,8" for i in range(200_000))
    start = time.monotonic()
    assert "and 199980 more" in fault(trace_folder(precision=f"{HEADER}\n{rows}\n"))
    assert time.monotonic() - start < 10


def test_writer_keeps_texts_that_look_like_numbers(tmp_path):
    run = {"schema": 1, "name": "1e3", "model": "no", "dataset": "0o17", "batch": 8, "iterations": 2, "source": "~"}
    rows = [dict(zip(HEADER.split(","), (0, 2, "a,b", "", 4, 4, 8), strict=True))]
    trace = write_trace(tmp_path / "t", run | {"synthetic": True}, [Layer("a,b", "linear", 1, 4, 4)], rows)
    assert (trace.run.name, trace.run.model, trace.run.dataset, trace.run.source) == ("1e3", "no", "0o17", "~")
    assert [d.iterations for d in trace.demands()] == [2]
    with pytest.raises(InputError, match="exists already"):
        write_trace(tmp_path / "t", run, [], [])
    with pytest.raises(InputError, match=r"u/precision\.csv:2: activation_bits: 40"):
        write_trace(tmp_path / "u", run | {"synthetic": True}, trace.layers, [rows[0] | {"activation_bits": 40}])
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_reader_left_half_read_waits_for_nothing():
    """Collected as garbage, it may be closed under a lock its thread needs: waiting there never ended."""
    may_go_on = threading.Event()

    def items():
        yield 1
        may_go_on.wait()
        yield 2

    reader = ahead(items())
    assert next(reader) == 1
    closing = threading.Thread(target=reader.close, daemon=True)
    closing.start()
    closing.join(20)
    waits = closing.is_alive()
    may_go_on.set()
    assert not waits
