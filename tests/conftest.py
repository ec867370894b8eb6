"""A small valid trace to bend, and a way to run the command in this process."""

import pytest

from bitsim import data
from bitsim.cli.main import main
from tests.rtl_chain import VERILATOR_ARRAY, build

RUN = """schema: 1
name: small
model: two layers
dataset: none
batch: 8
iterations: 100
source: made for tests
synthetic: true
"""
LAYERS = """layer,kind,groups,in_channels,out_channels,in_h,in_w,kernel_h,kernel_w,stride_h,stride_w,\
padding_h,padding_w,dilation_h,dilation_w,rows,needs_dgrad,gate_group
conv,conv,1,3,8,8,8,3,3,1,1,1,1,1,1,,false,block
fc,linear,,8,10,,,,,,,,,,,1,true,block
attend,matmul,2,16,8,,,,,,,,,,,4,true,
"""
PRECISION = """iteration_start,iteration_end,layer,samples,activation_bits,weight_bits,gradient_bits
0,100,conv,,4,4,8
0,60,fc,6,4,4,8
0,60,fc,2,8,4,8
60,100,fc,,8,8,8
0,100,attend,,8,8,8
"""
WIDEST = """iteration_start,iteration_end,layer,samples,activation_bits,weight_bits,gradient_bits
0,100,conv,5,31,31,31
0,100,conv,3,28,28,28
0,100,fc,,31,31,31
0,100,attend,,31,31,31
"""
BITFUSION_YAML = (data.find("hw_configs", "bitfusion_16x32_192b", ".yaml")).read_text()


@pytest.fixture
def trace_folder(tmp_path):
    """make(run=..., layers=..., precision=...) -> folder of a trace with those texts."""

    def make(run=RUN, layers=LAYERS, precision=PRECISION, name="small"):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        for file, text in (("run.yaml", run), ("layers.csv", layers), ("precision.csv", precision)):
            if isinstance(text, bytes):
                (folder / file).write_bytes(text)
            elif text is not None:
                (folder / file).write_text(text)
        return folder

    return make


@pytest.fixture
def bitsim_command(capsys):
    """run(*arguments) -> (exit status, stdout, stderr)."""

    def run(*arguments):
        with pytest.raises(SystemExit) as stop:
            main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return stop.value.code or 0, out, err

    return run


@pytest.fixture(scope="session")
def four_by_four(tmp_path_factory):
    """The array of VERILATOR_ARRAY in Verilator."""
    return build("verilator", *VERILATOR_ARRAY, tmp_path_factory.mktemp("verilator"), most_tiles=256)
