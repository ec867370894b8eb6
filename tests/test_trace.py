"""Traces: what is read equals a plain reading; every kind of fault is named with its line."""

import gzip

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bitsim
from bitsim import data
from bitsim.trace.writer import write_trace
from bitsim.workload import Layer
from tests.conftest import LAYERS, PRECISION, RUN


def test_histogram_ranges_and_defaults(trace_folder):
    trace = bitsim.open_trace(trace_folder())
    demands = {(trace.layers[d.layer_index].name, d.iterations): d.groups for d in trace.demands()}
    assert sorted((g.samples, g.widths.activation_bits) for g in demands["fc", 60]) == [(2, 8), (6, 4)]
    (group,) = demands["conv", 100]
    assert group.samples == 8
    assert group.widths.operands("wgrad") == (4, 8, None)
    assert group.widths.operands("forward") == (4, 4, 4)
    assert {d.iterations for d in trace.demands((50, 70)) if d.layer_index == 1} == {10}


def test_gates_cover_their_group(trace_folder):
    by_gate = PRECISION.replace("0,100,conv,,4,4,8\n", "").replace(",fc,", ",gate:block,")
    trace = bitsim.open_trace(trace_folder(precision=by_gate))
    assert [d.iterations for d in trace.demands() if d.layer_index == 0] == [60, 40]


def test_a_bin_may_be_empty(trace_folder):
    whole = bitsim.open_trace(trace_folder())
    with_bin = bitsim.open_trace(trace_folder(precision=PRECISION + "0,60,fc,0,2,2,2\n"))
    assert [d.groups for d in with_bin.demands()] == [d.groups for d in whole.demands()]


def test_short_batches_fourth_width_and_idle_layers(trace_folder):
    header = PRECISION.splitlines()[0] + ",weight_gradient_bits,output_bits,batch\n"
    precision = f"""{header}0,99,conv,,4,4,8,16,6,
99,100,conv,,4,4,8,,,3
0,100,fc,0,,,,,,
0,100,attend,,8,8,8,,,
"""
    trace = bitsim.open_trace(trace_folder(precision=precision))
    groups = [d.groups[0] for d in trace.demands() if d.layer_index == 0]
    assert [(g.samples, g.widths.weight_gradient_bits, g.widths.output_bits) for g in groups] == [(8, 16, 6), (3, 8, 4)]
    assert not [d for d in trace.demands() if d.layer_index == 1]


@pytest.mark.parametrize("suffix", [".csv.gz", ".parquet"])
def test_other_forms_read_the_same(trace_folder, suffix):
    plain = bitsim.open_trace(trace_folder())
    folder = trace_folder(precision=None, name="other")
    if suffix == ".parquet":
        pd.read_csv(plain.path / "precision.csv").to_parquet(folder / "precision.parquet")
    else:
        (folder / "precision.csv.gz").write_bytes(gzip.compress(PRECISION.encode()))
    assert bitsim.open_trace(folder).demands() == plain.demands()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 8), st.booleans()), min_size=1, max_size=12), st.randoms())
def test_demands_equal_asking_every_iteration(tmp_path_factory, ranges, random):
    """The slow twin: look every iteration up, one at a time."""
    rows, start = [], 0
    for length, bits, split in ranges:
        for samples, width in ((5, bits), (3, bits + 1)) if split else ((8, bits),):
            rows.append((start, start + length, samples, width))
        start += length
    random.shuffle(rows)
    names = ("iteration_start", "iteration_end", "samples", "activation_bits")
    table = [dict(zip(names, row, strict=True)) | {"layer": "fc", "weight_bits": 4, "gradient_bits": 8} for row in rows]
    run = {"schema": 1, "name": "t", "model": "m", "dataset": "d", "batch": 8, "iterations": start}
    folder = tmp_path_factory.mktemp("trace") / "t"
    trace = write_trace(folder, run | {"source": "s", "synthetic": True}, [Layer("fc", "linear", 1, 4, 4)], table)
    seen = {}
    for iteration in range(start):
        key = tuple(sorted((n, w) for a, b, n, w in rows if a <= iteration < b))
        seen[key] = seen.get(key, 0) + 1
    got = {
        tuple(sorted((g.samples, g.widths.activation_bits) for g in d.groups)): d.iterations for d in trace.demands()
    }
    assert got == seen


BAD = [
    (
        "run",
        RUN.replace("batch: 8", "bach: 8"),
        ["run.yaml:5: bach: unknown key, did you mean batch?", "batch: missing"],
    ),
    ("run", RUN + "batch: 9\n", ["run.yaml:9: batch: duplicate key"]),
    ("run", RUN.replace("batch: 8", "batch: 0"), ["run.yaml:5: batch: 0: allowed: 1 or more"]),
    ("run", RUN.replace("batch: 8", "batch: 8.5"), ["run.yaml:5: batch: 8.5: allowed: a whole number"]),
    ("run", RUN.replace("synthetic: true", "synthetic: no"), ["run.yaml:8: synthetic: 'no': allowed: true or false"]),
    ("run", RUN.replace("model: two layers", "model: ''"), ["run.yaml:3: model: '': allowed: text that is not empty"]),
    ("run", RUN + "versions: {torch: 2}\n", ["run.yaml:9: versions", "2: allowed: text"]),
    ("run", "a: &a [x]\nb: *a\n", ["run.yaml:1: anchors"]),
    ("run", "a: !!python/object:os.system x\n", ["run.yaml:1: tag"]),
    ("run", "a: [1, 2\n", ["run.yaml:2: not YAML"]),
    ("run", "[" * 5000 + "]" * 5000, ["run.yaml:1"]),
    ("run", "- 1\n", ["run.yaml:1: must be a mapping"]),
    ("run", "", ["run.yaml:1: empty file"]),
    ("run", b"\xff\xfe\x00\x01", ["run.yaml:1: not UTF-8"]),
    ("run", None, ["run.yaml: no such file"]),
    ("layers", "", ["layers.csv:1: empty file"]),
    ("layers", LAYERS.splitlines()[0] + "\n", ["layers.csv:1: no rows"]),
    ("layers", LAYERS.replace("kernel_h", "kernelh"), ["missing column kernel_h", "did you mean kernel_h"]),
    ("layers", LAYERS.replace("conv,conv", "conv,cnv"), ["layers.csv:2: kind: 'cnv', allowed: conv"]),
    ("layers", LAYERS.replace(",3,8,8,8,3", ",3,0,8,8,3"), ["layers.csv:2: out_channels: '0'"]),
    ("layers", LAYERS.replace(",3,8,8,8,3", ",3,-8,8,8,3"), ["layers.csv:2: out_channels: '-8'"]),
    ("layers", LAYERS.replace(",3,8,8,8,3", ",3,99999999999,8,8,3"), ["layers.csv:2: out_channels"]),
    ("layers", LAYERS.replace(",3,8,8,8,3", ",3,2000000000,60000,8,3"), ["counters would pass int64"]),
    ("layers", LAYERS.replace("conv,conv,1", "conv,conv,2"), ["layers.csv:2: in_channels: 3 is not divisible"]),
    ("layers", LAYERS.replace("8,8,3,3,1", "8,8,30,3,1"), ["layers.csv:2: kernel_h: the kernel is larger"]),
    (
        "layers",
        LAYERS.replace("8,8,3,3,1,1,1,1", "60000,8,50000,3,1,1,50000,1"),
        ["layers.csv:2: kernel_h: 50000 taps"],
    ),
    (
        "layers",
        LAYERS.replace("\n", ",\n").replace("group,", "group,padding_h_end").replace("block,", "block,2000000000", 1),
        ["layers.csv:2: padding_h_end: '2000000000', allowed: a whole number 0 to 65536"],
    ),
    ("layers", LAYERS.replace("fc,linear,,8,10,,", "fc,linear,,8,10,7,"), ["layers.csv:3: in_h: '7' does not apply"]),
    ("layers", LAYERS.replace("fc,linear", "conv,linear"), ["layers.csv:3: layer: conv stands twice"]),
    ("layers", LAYERS.replace(",1,true,block", ",1,maybe,block"), ["layers.csv:3: needs_dgrad: 'maybe'"]),
    ("layers", LAYERS.replace(",1,true,block", ",1,true"), ["layers.csv:3: 17 cells"]),
    (
        "layers",
        LAYERS.replace("\n", ",,\n")
        .replace("group,,", "group,needs_wgrad,recomputes")
        .replace("true,,,", "true,,false,65"),
        [
            "layers.csv:4: needs_wgrad: 'false', allowed: blank",
            "layers.csv:4: recomputes: '65', allowed: a whole number 0",
        ],
    ),
    ("layers", b"\x00\x01\x02", ["layers.csv:1: binary"]),
    ("precision", "", ["precision.csv:1: empty file"]),
    ("precision", None, ["no precision table"]),
    ("precision", b"\x89PNG\xff", ["precision.csv:1: not UTF-8"]),
    (
        "precision",
        PRECISION.replace(",samples", ',"sam\nples"'),
        ["column sam\\nples: unknown column, did you mean samples"],
    ),
    ("layers", LAYERS.replace("conv,conv", "\x1b[2J,cnv"), ["layers.csv:2: kind: 'cnv'"]),
    ("precision", PRECISION.replace("samples", "sample"), ["did you mean samples"]),
    ("precision", PRECISION.replace("conv,,4,4,8", "conv,,0,4,8"), ["precision.csv:2: activation_bits: 0, allowed"]),
    ("precision", PRECISION.replace("conv,,4,4,8", "conv,,33,4,8"), ["precision.csv:2: activation_bits: 33"]),
    ("precision", PRECISION.replace("conv,,4,4,8", "conv,,3.5,4,8"), ["precision.csv:2: activation_bits: '3.5'"]),
    ("precision", PRECISION.replace("conv,,4,4,8", "conv,,x,4,8"), ["precision.csv:2: activation_bits: 'x'"]),
    ("precision", PRECISION.replace("conv,,4,4,8", "conv,,-4,4,8"), ["precision.csv:2: activation_bits: '-4'"]),
    ("precision", PRECISION.replace("conv,,4,4,8", "conv,,,4,8"), ["precision.csv:2: activation_bits: blank"]),
    ("precision", PRECISION.replace("0,100,conv", "0,100,cnv"), ["precision.csv:2: layer: 'cnv': unknown layer"]),
    ("precision", PRECISION.replace("0,100,conv", "0,99,conv"), ["precision.csv:2: layer conv: gap", "99 to 100"]),
    ("precision", PRECISION.replace("0,100,conv", "5,100,conv"), ["layer conv: gap", "0 to 5"]),
    ("precision", PRECISION.replace("60,100,fc", "50,100,fc"), ["precision.csv:5: layer fc: overlap", "50 to 60"]),
    ("precision", PRECISION.replace("60,100,fc", "70,100,fc"), ["precision.csv:5: layer fc: gap", "60 to 70"]),
    ("precision", PRECISION.replace("0,100,conv", "0,101,conv"), ["precision.csv:2: iteration_end: 101"]),
    ("precision", PRECISION.replace("0,100,conv", "7,7,conv"), ["precision.csv:2: iteration_start 7 is not before"]),
    ("precision", PRECISION.replace("fc,6,", "fc,5,"), ["layer fc: samples add up to 7, the batch is 8"]),
    ("precision", PRECISION.replace("fc,6,", "fc,,"), ["layer fc: blank and numbered samples mix"]),
    ("precision", PRECISION + "0,100,gate:block,,4,4,4\n", ["layer conv", "twice"]),
    ("precision", PRECISION.replace("0,100,attend,,8,8,8\n", ""), ["layer attend: no range"]),
    ("precision", PRECISION.replace("0,100,attend,,8,8,8", "0,100,attend,,8,8"), ["precision.csv:6: 6 cells"]),
]


@pytest.mark.parametrize(("file", "text", "expected"), BAD)
def test_bad_input_is_named(trace_folder, bitsim_command, file, text, expected):
    folder = trace_folder(**{file: text})
    status, out, err = bitsim_command("trace", "check", folder)
    assert status == 2 and out == ""
    assert all(part in err for part in expected), err
    assert "Traceback" not in err


def test_all_faults_of_a_file_at_once(trace_folder, bitsim_command):
    bad = PRECISION.replace("conv,,4,4,8", "conv,,0,44,8").replace("attend", "atend")
    status, _, err = bitsim_command("trace", "check", trace_folder(precision=bad))
    assert status == 2 and len(err.splitlines()) == 3


@pytest.mark.parametrize("cut", [1, 40, 100, -1])
def test_torn_files(trace_folder, bitsim_command, cut):
    folder = trace_folder(precision=None)
    (folder / "precision.csv.gz").write_bytes(gzip.compress(PRECISION.encode())[:cut])
    assert bitsim_command("trace", "check", folder)[0] == 2
    (folder / "precision.csv.gz").unlink()
    pd.DataFrame({"layer": ["conv"]}).to_parquet(folder / "precision.parquet")
    torn = (folder / "precision.parquet").read_bytes()[:cut]
    (folder / "precision.parquet").write_bytes(torn)
    assert bitsim_command("trace", "check", folder)[0] == 2


def test_names(bitsim_command):
    for name in data.names("traces"):
        assert bitsim_command("trace", "check", name)[0] == 0
    status, _, err = bitsim_command("trace", "info", "resnet38_cifar_pqf")
    assert status == 2 and "did you mean resnet38_cifar_pfq" in err


def test_writer_leaves_nothing_behind(tmp_path):
    run = {"schema": 1, "name": "t", "model": "m", "dataset": "d", "batch": 8, "iterations": 2, "source": "s"}
    layers = [Layer("fc", "linear", 1, 4, 4)]
    with pytest.raises(bitsim.InputError):
        write_trace(tmp_path / "t", run | {"synthetic": True}, layers, [])
    assert list(tmp_path.iterdir()) == []


def test_a_million_rows_reduce(tmp_path):
    """Cost follows distinct rows: the table shrinks to two demands."""
    count = 300_000
    rows = "\n".join(f"{i},{i + 1},fc,,{4 + 4 * (i % 2)},8,8" for i in range(count))
    folder = tmp_path / "long"
    folder.mkdir()
    (folder / "run.yaml").write_text(RUN.replace("iterations: 100", f"iterations: {count}"))
    (folder / "layers.csv").write_text("\n".join(LAYERS.splitlines()[i] for i in (0, 2)) + "\n")
    (folder / "precision.csv").write_text(PRECISION.splitlines()[0] + "\n" + rows + "\n")
    assert [d.iterations for d in bitsim.open_trace(folder).demands()] == [count // 2] * 2


def test_recomputes_and_frozen_weights_are_read_and_written(trace_folder, tmp_path):
    header, *rows = LAYERS.splitlines()
    cells = {"conv": ",,2", "fc": ",false,", "attend": ",,1"}
    rows = [row + cells[row.split(",")[0]] for row in rows]
    layers = "\n".join([header + ",needs_wgrad,recomputes", *rows]) + "\n"
    trace = bitsim.open_trace(trace_folder(layers=layers))
    assert [(x.needs_wgrad, x.recomputes) for x in trace.layers] == [(True, 2), (False, 0), (True, 1)]
    precision = [
        dict(zip(PRECISION.splitlines()[0].split(","), r.split(","), strict=True)) for r in PRECISION.split()[1:]
    ]
    run = trace.run.model_dump(by_alias=True, exclude_none=True)
    assert write_trace(tmp_path / "again", run, trace.layers, precision).layers == trace.layers
