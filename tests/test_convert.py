"""trace convert: every form says the same, and CSV comes back byte for byte."""

import gzip
import shutil

import pytest

import bitsim
from bitsim import data
from bitsim.trace.convert import same_table
from tests.conftest import PRECISION

HISTOGRAMS = (
    PRECISION.splitlines()[0]
    + """,weight_gradient_bits,output_bits,batch
0,99,conv,,4,4,8,16,6,
99,100,conv,,4,4,8,,,3
0,100,gate:head,0,,,,,,
0,100,attend,5,8,8,32,,,
0,100,attend,3,4,4,8,,,
"""
)


@pytest.mark.parametrize("name", data.names("traces"))
def test_shipped_traces_come_back_byte_for_byte(tmp_path, bitsim_command, name):
    original = bitsim.open_trace(name)
    source = name
    for form in ("parquet", "csv.gz", "csv"):
        folder = tmp_path / form
        status, out, err = bitsim_command("trace", "convert", source, folder, "--to", form)
        assert (status, err) == (0, "") and f"precision.{form}" in out
        written = bitsim.open_trace(folder)
        assert same_table(written, original) and written.layers == original.layers
        assert sorted(path.name for path in folder.iterdir()) == ["layers.csv", f"precision.{form}", "run.yaml"]
        source = folder
    for file in ("run.yaml", "layers.csv"):
        assert (tmp_path / "csv" / file).read_bytes() == (original.path / file).read_bytes()
    packed = original.path / "precision.csv.gz"
    table = gzip.decompress(packed.read_bytes()) if packed.exists() else (original.path / "precision.csv").read_bytes()
    assert (tmp_path / "csv" / "precision.csv").read_bytes() == table


def test_blanks_histograms_and_optional_columns_survive(trace_folder, tmp_path, bitsim_command):
    folder = trace_folder(precision=HISTOGRAMS)
    text = (folder / "layers.csv").read_text().replace("1,true,block", "1,true,head")
    (folder / "layers.csv").write_text(text)
    assert bitsim_command("trace", "convert", folder, tmp_path / "p")[0] == 0
    assert bitsim_command("trace", "convert", tmp_path / "p", tmp_path / "c", "--to", "csv")[0] == 0
    assert (tmp_path / "c" / "precision.csv").read_text() == HISTOGRAMS
    assert bitsim.open_trace(tmp_path / "p").demands() == bitsim.open_trace(folder).demands()


def test_compressed_output_does_not_depend_on_the_clock(tmp_path, bitsim_command, monkeypatch):
    texts = []
    for name, now in (("a", 1.0), ("b", 2e9)):
        monkeypatch.setattr("time.time", lambda now=now: now)
        bitsim_command("trace", "convert", "resnet38_cifar_pfq", tmp_path / name, "--to", "csv.gz")
        texts.append((tmp_path / name / "precision.csv.gz").read_bytes())
    assert texts[0] == texts[1]


def test_faults_leave_nothing(trace_folder, tmp_path, bitsim_command):
    folder = trace_folder(precision=PRECISION.replace("conv,,4", "conv,,99"))
    status, out, err = bitsim_command("trace", "convert", folder, tmp_path / "t")
    assert (status, out) == (2, "") and "precision.csv:2: activation_bits: 99" in err
    status, out, err = bitsim_command("trace", "convert", "resnet38_cifar_pfq", folder)
    assert (status, out) == (2, "") and "exists already" in err
    status, out, _ = bitsim_command("trace", "convert", "resnet38_cifar_pfq", tmp_path / "t", "--to", "xlsx")
    assert (status, out) == (2, "")
    shutil.rmtree(folder)
    assert list(tmp_path.iterdir()) == []
