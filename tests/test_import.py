"""trace import: SCALE-Sim and ONNX models against output shapes worked out by others, and faults that name nodes."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

import bitsim
from bitsim.networks import known_network
from bitsim.networks.imported import import_network
from bitsim.networks.onnx_file import read_onnx
from bitsim.networks.scale_sim import read_scale_sim

CONV = """Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,
Conv1, 230, 230, 7, 7, 3, 64, 2,
DP1, 58, 58, 3, 3, 64, 1, 1,
Odd, 8, 9, 3, 2, 64, 10, 2,
"""
GEMM = "Layer,M,N,K,\nqkv,1024,4800,1600,\nscores,128,128,64,,12,\n"


def write(path, text):
    path.write_text(text)
    return path


def test_scale_sim_convolutions(tmp_path):
    layers, unsupported = read_scale_sim(write(tmp_path / "net.csv", CONV))
    first, depthwise, odd = layers
    assert unsupported == []
    # SCALE-Sim begins a window at every stride: ceil((230 - 7 + 2) / 2) = 113, one more than without padding at the end
    assert (first.out_h, first.out_w, first.macs(1)) == (113, 113, 113 * 113 * 7 * 7 * 3 * 64)
    assert (depthwise.groups, depthwise.out_channels, depthwise.macs(1)) == (64, 64, 56 * 56 * 9 * 64)
    # SCALE-Sim: ceil((8 - 3 + 2) / 2) = 4 rows, ceil((9 - 2 + 2) / 2) = 5 columns
    assert (odd.out_h, odd.out_w, odd.padding_h_end, odd.padding_w_end) == (4, 5, 1, 1)
    assert [layer.needs_dgrad for layer in layers] == ["false", "true", "true"]


@given(*[st.integers(1, 20)] * 2, *[st.integers(1, 9)] * 4)
def test_scale_sim_output_sizes_follow_its_formula(tmp_path_factory, h, w, kernel_h, kernel_w, stride, channels):
    kernel_h, kernel_w = min(kernel_h, h), min(kernel_w, w)
    text = CONV.splitlines()[0] + f"\nc, {h}, {w}, {kernel_h}, {kernel_w}, {channels}, 5, {stride},\n"
    ((layer,), _) = read_scale_sim(write(tmp_path_factory.mktemp("s") / "net.csv", text))
    out_h, out_w = -(-(h - kernel_h + stride) // stride), -(-(w - kernel_w + stride) // stride)
    assert (layer.out_h, layer.out_w) == (out_h, out_w)
    assert layer.macs(1) == out_h * out_w * kernel_h * kernel_w * channels * 5


def test_scale_sim_products(tmp_path):
    text = GEMM.replace("M,N,K,", "M,N,K,Sparsity,Batch,")
    (linear, attention), _ = read_scale_sim(write(tmp_path / "net.csv", text))
    assert (linear.kind, linear.rows, linear.in_channels, linear.out_channels) == ("linear", 1024, 1600, 4800)
    assert (attention.kind, attention.groups, attention.macs(1)) == ("matmul", 12, 12 * 128 * 128 * 64)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ":1: empty file"),
        ("a,b\n1,2\n", ":1: a, b: not the header of a SCALE-Sim topology, allowed: layer name, ifmap height"),
        (CONV.splitlines()[0] + "\n", ":1: no rows below the header"),
        (CONV.replace("58, 58, 3", "58, 58, x"), ":3: filter height: 'x', allowed: a whole number 1 to"),
        (CONV.replace("58, 58, 3", "58, 58, 59"), ":3: filter height, width: larger than the ifmap"),
        (CONV.replace("Conv1, 230, 230", "Conv1, 230, 0"), ":2: ifmap width: '0'"),
        (CONV.replace("Odd", "Conv1"), ":4: layer name: 'Conv1': stands twice"),
        (CONV.replace("10, 2,", "10,"), ":4: 7 cells, allowed: 8"),
        (CONV.replace("10, 2,", "10, 2, 1, 1, 1,"), ":4: 11 cells"),
        (GEMM, ":3: 6 cells, allowed: 4 to 4"),
    ],
)
def test_faults_of_a_topology(tmp_path, bitsim_command, text, expected):
    status, out, err = bitsim_command("trace", "import", write(tmp_path / "net.csv", text), "--out", tmp_path / "t")
    assert (status, out) == (2, "") and expected in err, err
    assert [path.name for path in tmp_path.iterdir()] == ["net.csv"]


def test_sparse_layers_are_refused_or_listed(tmp_path, bitsim_command):
    text = CONV.replace("Strides,", "Strides, Sparsity,").replace("10, 2,", "10, 2, 1:1,")
    text = text.replace("64, 2,", "64, 2, 2:4,")
    file = write(tmp_path / "net.csv", text)
    status, out, err = bitsim_command("trace", "import", file, "--out", tmp_path / "t")
    assert (status, out) == (2, "") and "net.csv:2: layer Conv1: sparsity 2:4, allowed: 1:1" in err
    status, out, err = bitsim_command("trace", "import", file, "--out", tmp_path / "t", "--skip-unsupported")
    assert status == 0 and "skipped: 2: layer Conv1: sparsity 2:4, allowed: 1:1 (dense) (120,130,752 MACs)" in err
    assert [layer.name for layer in bitsim.open_trace(tmp_path / "t").layers] == ["DP1", "Odd"]


def test_an_imported_topology_runs_at_its_default_schedule(tmp_path, bitsim_command):
    file = write(tmp_path / "net.csv", CONV)
    status, out, err = bitsim_command("trace", "import", file, "--float", "Odd", "--batch", 4, "--out", tmp_path / "t")
    assert (status, err) == (0, "") and "3 layers" in out
    trace = bitsim.open_trace(tmp_path / "t")
    assert (trace.run.batch, trace.run.iterations, trace.run.synthetic) == (4, 1, True)
    widths = [d.groups[0].widths for d in trace.demands()]
    assert [(w.activation_bits, w.weight_bits, w.gradient_bits) for w in widths] == [(8, 8, 8), (8, 8, 8), (32, 32, 32)]
    # and any other schedule, with its options, by naming the folder as a model
    status, _, err = bitsim_command(
        "trace", "synth", "cpt", "--model", tmp_path / "t", "--iterations", 64, "--periods", 2, "--out", tmp_path / "u"
    )
    assert status == 0, err
    spans = list(bitsim.open_trace(tmp_path / "u").spans(0, 64))
    assert {s.groups[0].widths.activation_bits for s in spans if s.layer_index == 2} == {32}
    assert {s.groups[0].widths.activation_bits for s in spans if s.layer_index == 0} == set(range(3, 9))


def weight(name, *shape, kind=np.float32):
    return onnx.numpy_helper.from_array(np.ones(shape, kind), name)


def save(path, nodes, inputs, output, weights, opset=17):
    """A model whose output has no stored shape."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), str(path))
    return path


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_convolutions_have_the_output_that_onnx_computes(tmp_path_factory, data):
    draw, path = data.draw, tmp_path_factory.mktemp("o") / "net.onnx"
    axes = draw(st.sampled_from([1, 2]))
    sizes = draw(st.lists(st.integers(7, 12), min_size=axes, max_size=axes))
    kernel = draw(st.lists(st.integers(1, 3), min_size=axes, max_size=axes))
    strides = draw(st.lists(st.integers(1, 3), min_size=axes, max_size=axes))
    mode = draw(st.sampled_from(["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    dilations = [1] * axes
    extra = {"auto_pad": mode}
    if mode == "NOTSET":
        dilations = draw(st.lists(st.integers(1, 2), min_size=axes, max_size=axes))
        extra = {"pads": draw(st.lists(st.integers(0, 2), min_size=2 * axes, max_size=2 * axes))}
    group = draw(st.sampled_from([1, 2, 4]))
    node = helper.make_node(
        "Conv", ["x", "w"], ["y"], "c", group=group, strides=strides, dilations=dilations, kernel_shape=kernel, **extra
    )
    save(path, [node], {"x": ["n", 4, *sizes]}, "y", [weight("w", 8, 4 // group, *kernel)])
    ((layer,), unsupported) = read_onnx(path, {})
    (out,) = ReferenceEvaluator(str(path)).run(None, {"x": np.zeros((1, 4, *sizes), np.float32)})
    assert unsupported == [] and (layer.groups, layer.out_channels) == (group, 8)
    assert (layer.out_h, layer.out_w) == (out.shape[2:] if axes == 2 else (out.shape[2], 1))


def small_network(path, batch="batch"):
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], "stem", pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["b"], "relu"),
        helper.make_node("Conv", ["b", "w2"], ["c"], "depthwise", group=8, strides=[2, 2], pads=[0, 0, 1, 1]),
        helper.make_node("GlobalAveragePool", ["c"], ["d"]),
        helper.make_node("Flatten", ["d"], ["e"]),
        helper.make_node("Gemm", ["e", "w3", "bias"], ["f"], "head", transB=1),
        helper.make_node("MatMul", ["f", "w4"], ["y"]),
    ]
    weights = [weight("w1", 8, 3, 3, 3), weight("w2", 8, 1, 3, 3), weight("w3", 10, 8), weight("bias", 10)]
    return save(path, nodes, {"x": [batch, 3, 16, 16]}, "y", [*weights, weight("w4", 10, 4)])


@pytest.mark.parametrize("batch", ["batch", 1, 6])
def test_a_network_of_convolutions(tmp_path, batch):
    layers, unsupported = read_onnx(small_network(tmp_path / "net.onnx", batch), {})
    assert unsupported == []
    assert [(x.name, x.kind, x.macs(1), x.needs_dgrad) for x in layers] == [
        ("stem", "conv", 16 * 16 * 8 * 27, "false"),
        ("depthwise", "conv", 8 * 8 * 8 * 9, "true"),
        ("head", "linear", 80, "true"),
        ("MatMul:y", "linear", 40, "true"),
    ]
    assert (layers[1].padding_h, layers[1].padding_h_end) == (0, 1)


def attention_network(path, tokens="tokens", batch="batch"):
    """Embedding, one head-split attention, both products of activations; shapes by Reshape with 0 and -1."""
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["x"]),
        helper.make_node("MatMul", ["x", "wq"], ["q"], "query"),
        helper.make_node("MatMul", ["x", "wk"], ["k"], "key"),
        helper.make_node("Reshape", ["q", "split"], ["q4"]),
        helper.make_node("Reshape", ["k", "split"], ["k4"]),
        helper.make_node("Transpose", ["q4"], ["qh"], perm=[0, 2, 1, 3]),
        helper.make_node("Transpose", ["k4"], ["kt"], perm=[0, 2, 3, 1]),
        helper.make_node("Transpose", ["k4"], ["kh"], perm=[0, 2, 1, 3]),
        helper.make_node("MatMul", ["qh", "kt"], ["s"], "scores"),
        helper.make_node("Softmax", ["s"], ["p"], axis=-1),
        helper.make_node("MatMul", ["p", "kh"], ["c"], "context"),
        helper.make_node("MatMul", ["mask", "c"], ["y"], "masked"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT64, [batch, tokens]),
            helper.make_tensor_value_info("mask", TensorProto.FLOAT, [batch, 1, tokens, tokens]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 2, tokens, 4])],
        [
            weight("table", 50, 8),
            weight("wq", 8, 8),
            weight("wk", 8, 8),
            onnx.numpy_helper.from_array(np.array([0, 0, 2, 4]), "split"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


@pytest.mark.parametrize("dims", [{"tokens": 7}, {"tokens": 7, "batch": 3}])
def test_attention_products_are_two_activations(tmp_path, dims):
    layers, unsupported = read_onnx(attention_network(tmp_path / "net.onnx"), dims)
    assert unsupported == []
    by_name = {layer.name: layer for layer in layers}
    query, scores, context = by_name["query"], by_name["scores"], by_name["context"]
    assert (query.kind, query.rows, query.needs_dgrad) == ("linear", 7, "true")  # an embedding is trained
    assert (scores.kind, scores.groups, scores.rows, scores.macs(1)) == ("matmul", 2, 7, 2 * 7 * 7 * 4)
    assert (context.in_channels, context.out_channels, context.needs_dgrad) == (14, 8, "true")
    assert (by_name["masked"].needs_dgrad, by_name["masked"].groups) == ("second", 2)


def test_a_variable_length_names_node_operator_and_dimension(tmp_path, bitsim_command):
    file = attention_network(tmp_path / "net.onnx")
    status, out, err = bitsim_command("trace", "import", file, "--out", tmp_path / "t")
    assert (status, out) == (2, "")
    assert "net.onnx: node query (MatMul): variable length: the shape of 'x' is not known" in err
    assert "allowed: --dim tokens=LENGTH" in err
    status, _, err = bitsim_command("trace", "import", file, "--out", tmp_path / "t", "--dim", "tokens=16")
    assert status == 0, err
    assert "--dim tokens=16" in bitsim.open_trace(tmp_path / "t").run.command


@pytest.mark.parametrize("dims", [{"tokens": 6}, {"tokens": 6, "batch": 2}])
def test_reshapes_by_sizes_the_model_computes(tmp_path, dims):
    """As exporters write it: heads of width C // 4, with C and the tokens read from the shape of a tensor."""

    def constant(name, value):
        return onnx.numpy_helper.from_array(np.array(value), name)

    size = [
        [
            helper.make_node("Shape", ["h"], [f"shape{axis}"]),
            helper.make_node("Gather", [f"shape{axis}", f"axis{axis}"], [f"size{axis}"], axis=0),
            helper.make_node("Unsqueeze", [f"size{axis}", "first"], [f"list{axis}"]),
        ]
        for axis in range(3)
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], "wide"),
        *(node for nodes in size for node in nodes),
        helper.make_node("Div", ["list2", "four"], ["width"]),
        helper.make_node("Concat", ["list0", "list1", "four", "width"], ["split"], axis=0),
        helper.make_node("Reshape", ["h", "split"], ["heads"]),
        helper.make_node("Transpose", ["heads"], ["a"], perm=[0, 2, 1, 3]),
        helper.make_node("Transpose", ["heads"], ["b"], perm=[0, 2, 3, 1]),
        helper.make_node("MatMul", ["a", "b"], ["y"], "scores"),
    ]
    weights = [weight("w", 5, 20), constant("four", [4]), constant("first", [0])]
    weights += [constant(f"axis{axis}", axis) for axis in range(3)]
    path = save(tmp_path / "net.onnx", nodes, {"x": ["batch", "tokens", 5]}, "y", weights)
    (wide, scores), unsupported = read_onnx(path, dims)
    assert unsupported == [] and (wide.rows, wide.out_channels) == (6, 20)
    assert (scores.groups, scores.rows, scores.in_channels, scores.out_channels) == (4, 6, 20, 24)


def test_large_constants_are_not_made(tmp_path):
    """A mask as exporters make it, but of 10^12 values: sizes are enough."""
    nodes = [
        helper.make_node("ConstantOfShape", ["size"], ["mask"]),
        helper.make_node("Range", ["zero", "end", "one"], ["steps"]),
        helper.make_node("MatMul", ["x", "w"], ["y"], "fine"),
    ]
    values = {"size": [10**6, 10**6], "zero": 0, "end": 10**12, "one": 1}
    weights = [onnx.numpy_helper.from_array(np.array(value), name) for name, value in values.items()]
    path = save(tmp_path / "net.onnx", nodes, {"x": [1, 4]}, "y", [weight("w", 4, 4), *weights])
    ((layer,), unsupported) = read_onnx(path, {})
    assert unsupported == [] and layer.name == "fine"


@pytest.mark.parametrize(
    ("name", "macs"),
    [
        ("resnet50", 4_089_184_256),  # torchvision's model page: 4.09 GFLOPS (multiply-adds)
        ("vgg19", 19_632_062_464),  # 19.63
        ("densenet121", 2_834_161_664),  # 2.83
        ("squeezenet", 349_151_936),  # squeezenet1_1: 0.35
    ],
)
def test_published_models_have_their_published_macs(name, macs):
    """Models that the onnx package ships for its own tests, without weights."""
    path = Path(onnx.__file__).parent / "backend/test/data/light" / f"light_{name}.onnx"
    network = import_network(path, {}).network
    assert sum(layer.macs(1) for layer in network.layers) == macs
    if name == "resnet50":
        shapes = [[replace(x, name="", gate_group="") for x in n.layers] for n in (network, known_network("resnet50"))]
        assert sorted(shapes[0], key=repr) == sorted(shapes[1], key=repr)


NOT_SAID = {
    "ConvTranspose": (
        helper.make_node("ConvTranspose", ["x", "wt"], ["y"], "up", strides=[2, 2]),
        "node up (ConvTranspose): a transposed convolution, allowed: convolutions",
        8 * 8 * 4 * 6 * 9,  # every input value meets every tap
    ),
    "Conv": (
        helper.make_node("Conv", ["x5", "w5"], ["y"], "cube"),
        "node cube (Conv): a 3-D convolution, allowed: 1-D and 2-D",
        6 * 6 * 6 * 5 * 2 * 27,
    ),
    "LSTM": (
        helper.make_node("LSTM", ["xs", "wi", "wr"], ["y"], "steps", hidden_size=3),
        "node steps (LSTM): a recurrent layer",
        9 * (12 * 5 + 12 * 3),
    ),
    "Einsum": (
        helper.make_node("Einsum", ["m", "m"], ["y"], "sum", equation="bij,bkj->bik"),
        "node sum (Einsum): an Einsum, allowed: MatMul or Gemm",
        7 * 7 * 5,
    ),
    "Custom": (
        helper.make_node("FusedMatMul", ["m", "m"], ["y"], "odd", domain="com.example"),
        "node odd (FusedMatMul): an operator of com.example, whose products are not known",
        None,
    ),
    "MatMulInteger": (
        helper.make_node("MatMulInteger", ["i", "wm"], ["y"], "int"),
        "node int (MatMulInteger): a quantised operator",
        7 * 5 * 3,
    ),
}


@pytest.mark.parametrize("case", NOT_SAID)
def test_what_cannot_be_said_is_named_or_listed_with_its_macs(tmp_path, bitsim_command, case):
    node, message, macs = NOT_SAID[case]
    inputs = {"x": [1, 4, 8, 8], "x5": [1, 2, 8, 8, 8], "xs": [9, 1, 5], "m": [1, 7, 5]}
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["z"], "fine"), node],
        "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
        + [helper.make_tensor_value_info("i", TensorProto.UINT8, [1, 7, 5])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
        [
            weight("w", 2, 4, 3, 3),
            weight("wt", 4, 6, 3, 3),
            weight("w5", 5, 2, 3, 3, 3),
            weight("wi", 1, 12, 5),
            weight("wr", 1, 12, 3),
            weight("wm", 5, 3, kind=np.uint8),
        ],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)]
    file = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(file))
    status, out, err = bitsim_command("trace", "import", file, "--out", tmp_path / "t")
    assert (status, out) == (2, "") and f"net.onnx: {message}" in err, err
    assert not (tmp_path / "t").exists()
    status, out, err = bitsim_command("trace", "import", file, "--out", tmp_path / "t", "--skip-unsupported")
    assert status == 0 and f"skipped: {message}" in err, err
    assert f"({'an unknown number of' if macs is None else f'{macs:,}'} MACs)" in err, err
    assert [layer.name for layer in bitsim.open_trace(tmp_path / "t").layers] == ["fine"]


def test_products_inside_a_loop_are_named(tmp_path):
    inner = helper.make_graph(
        [
            helper.make_node("MatMul", ["state", "w"], ["next"]),
            helper.make_node("Identity", ["cond"], ["again"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("cond", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, [1, 4]),
        ],
        [
            helper.make_tensor_value_info("again", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, [1, 4]),
        ],
    )
    node = helper.make_node("Loop", ["count", "", "x"], ["y"], "repeat", body=inner)
    counts = onnx.numpy_helper.from_array(np.array(3), "count")
    path = save(tmp_path / "net.onnx", [node], {"x": [1, 4]}, "y", [weight("w", 4, 4), counts])
    layers, (item,) = read_onnx(path, {})
    assert layers == [] and "repeat (Loop): products run a variable number of times" in str(item)
    with pytest.raises(bitsim.InputError, match="no product in it that can be said"):
        import_network(path, {}, skip_unsupported=True)


def test_weights_need_not_be_there_and_may_be_shared(tmp_path):
    path = small_network(tmp_path / "net.onnx")
    model = onnx.load(str(path))
    model.graph.node.append(helper.make_node("Gemm", ["e", "w3"], ["again"], "head", transB=1))
    onnx.save(model, str(path), save_as_external_data=True, location="weights.bin", size_threshold=0)
    (tmp_path / "weights.bin").unlink()
    layers, _ = read_onnx(path, {})
    assert [layer.name for layer in layers][-3:] == ["head", "MatMul:y", "head#2"]


@pytest.mark.parametrize(
    ("name", "content", "arguments", "expected"),
    [
        ("net.onnx", b"not a model", (), "net.onnx:1: not an ONNX model"),
        ("net.onnx", b"", (), "net.onnx:1: not an ONNX model: no nodes"),
        ("net.pt", b"x", (), "net.pt: .pt: not a form that can be read, allowed: .csv, .onnx"),
        ("net.csv", CONV.encode(), ("--dim", "n=1"), "--dim: a SCALE-Sim topology has no named dimensions"),
        ("net.csv", CONV.encode(), ("--dim", "n"), "--dim n: is not NAME=LENGTH"),
        ("net.csv", CONV.encode(), ("--dim", "n=1", "--dim", "n=2"), "n is given twice"),
        ("net.csv", CONV.encode(), ("--float", "x"), "--float x: no such layer"),
        ("net.csv", CONV.encode(), ("--schedule", "pqf"), "pqf: unknown schedule, did you mean pfq?"),
        ("net.csv", CONV.encode(), ("--schedule", "dfq"), "dfq: no layer of net has a gate_group"),
        ("net.csv", CONV.encode(), ("--bits", "8/8/8"), "--bits: does not apply to sbm-fw8bw8"),
    ],
)
def test_faults_of_import(tmp_path, bitsim_command, name, content, arguments, expected):
    (tmp_path / name).write_bytes(content)
    status, out, err = bitsim_command("trace", "import", tmp_path / name, *arguments, "--out", tmp_path / "t")
    assert (status, out) == (2, "") and expected in err, err
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_dimensions_that_a_model_does_not_have(tmp_path, bitsim_command):
    file = small_network(tmp_path / "net.onnx")
    status, _, err = bitsim_command("trace", "import", file, "--dim", "tokens=4", "--out", tmp_path / "t")
    assert status == 2 and "--dim tokens: no input has such a dimension, allowed: batch" in err


def test_without_onnx_the_message_says_what_to_install(tmp_path, bitsim_command, monkeypatch):
    file = small_network(tmp_path / "net.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    status, out, err = bitsim_command("trace", "import", file, "--out", tmp_path / "t")
    assert (status, out) == (2, "") and "onnx is not installed: pip install '.[onnx]'" in err
