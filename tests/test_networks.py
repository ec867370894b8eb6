"""Layer tables of known networks: MACs and parameters against what their authors and libraries publish."""

import pytest

from bitsim.errors import InputError
from bitsim.networks import NAMES, known_network
from bitsim.networks.resnet import basic_cifar_layers, bottleneck_cifar_layers


def weights(layer):
    if layer.kind == "matmul":
        return 0
    return layer.out_channels * layer.in_channels // layer.groups * layer.kernel_h * layer.kernel_w


def macs(network):
    return sum(layer.macs(1) for layer in network.layers)


# Multiply-accumulates of a forward pass of one sample.
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet38", 83_280_512),  # FracTrain's CIFAR networks
        ("resnet74", 168_215_168),
        # one more n adds 3 stages x 2 convolutions x 16 x 16 x 9 x 32 x 32 = 14,155,776
        ("resnet110", 168_215_168 + 6 * 14_155_776),
        ("resnet18", 1_814_073_344),  # torchvision's model page: 1.81 GFLOPS (multiply-adds)
        ("resnet34", 3_663_761_408),  # 3.66
        ("resnet50", 4_089_184_256),  # 4.09
        ("mobilenetv2", 300_774_272),  # 0.3; Sandler et al., CVPR 2018, Table 4: 300 M
        # 12 blocks: 128 x 12 x 768^2 of weights, 2 x 128^2 x 768 of attention; pooler; classifier
        ("bert-base", 12 * (128 * 12 * 768**2 + 2 * 128**2 * 768) + 768**2 + 768 * 3),
        ("gpt2", 12 * (1024 * 12 * 768**2 + 2 * 1024**2 * 768) + 1024 * 768 * 50_257),
        ("gpt2-xl", 48 * (1024 * 12 * 1600**2 + 2 * 1024**2 * 1600) + 1024 * 1600 * 50_257),
        # encoder block 4 d^2 + 2 d f, decoder block 8 d^2 + 2 d f; 18 attentions of 2 x 32^2 d
        (
            "transformer-base",
            32 * 6 * (12 * 512**2 + 4 * 512 * 2048) + 18 * 2 * 32**2 * 512 + 32 * 512 * 37_000,
        ),
    ],
)
def test_forward_macs(name, expected):
    assert macs(known_network(name)) == expected


def test_published_orders():
    """BERT-base at 128 tokens: 22.5 GFLOPs (Jiao et al., TinyBERT, 2020, Table 1), two a multiply-accumulate."""
    assert 2 * macs(known_network("bert-base")) == pytest.approx(22.5e9, rel=0.01)


# Convolution and linear weights, 2 parameters a channel of batch norm after each convolution, classifier biases.
@pytest.mark.parametrize(
    ("name", "parameters"),
    [("resnet18", 11_689_512), ("resnet34", 21_797_672), ("resnet50", 25_557_032), ("mobilenetv2", 3_504_872)],
)
def test_parameters_of_imagenet_networks_equal_torchvision(name, parameters):
    layers = known_network(name).layers
    norms = sum(2 * layer.out_channels for layer in layers if layer.kind == "conv")
    assert sum(map(weights, layers)) + norms + 1000 == parameters


def test_parameters_of_cifar_networks():
    """He et al., CVPR 2016, Table 6: 0.27 M for ResNet-20, 1.7 M for ResNet-110; ECCV 2016: 1.7 M for ResNet-164."""
    for layers, millions in (
        (basic_cifar_layers(20), 0.27),
        (known_network("resnet110").layers, 1.7),
        (known_network("resnet164").layers, 1.7),
    ):
        assert round(sum(map(weights, layers)) / 1e6, len(str(millions)) - 2) == millions


def test_macs_of_resnet164():
    """A bottleneck of width w costs 17 w^2 a position; the first of a stage reads another number of channels and has
    a shortcut.  Liu et al., ICCV 2017 (network slimming), Table 1: 4.99e8 FLOPs, two a MAC, other layers counted."""
    stem, classifier = 32**2 * 27 * 16, 2560
    repeated = 17 * sum(17 * width**2 * size**2 for width, size in ((16, 32), (32, 16), (64, 8)))
    firsts = sum(
        size**2 * (channels * width + 13 * width**2 + channels * 4 * width)
        for channels, width, size in ((16, 16, 32), (64, 32, 16), (128, 64, 8))
    )
    expected = stem + repeated + firsts + classifier
    assert macs(known_network("resnet164")) == expected
    assert 2 * expected == pytest.approx(4.99e8, rel=0.025)


# All parameters: embeddings, biases and normalisation are outside the layer table, and counted here by hand.
def test_parameters_of_bert_base():
    width, tables = 768, (30_522 + 512 + 2) * 768
    biases = 12 * (4 * width + 4 * width + width) + width
    norms = 2 * width + 12 * 4 * width
    table = sum(weights(x) for x in known_network("bert-base").layers if x.name != "classifier")
    assert table + tables + biases + norms == 109_482_240  # bert-base-uncased


@pytest.mark.parametrize(
    ("name", "blocks", "width", "parameters"), [("gpt2", 12, 768, 124_439_808), ("gpt2-xl", 48, 1600, 1_557_611_200)]
)
def test_parameters_of_gpt2(name, blocks, width, parameters):
    """lm_head is the token embedding: counted once."""
    biases, norms = blocks * 9 * width, (blocks * 4 + 2) * width
    assert sum(map(weights, known_network(name).layers)) + 1024 * width + biases + norms == parameters


def test_parameters_of_transformer_base():
    """Vaswani et al., 2017, Table 3: 65 million, one shared embedding of 37,000 tokens."""
    assert sum(map(weights, known_network("transformer-base").layers)) == pytest.approx(65e6, rel=0.04)


def test_attention_products_as_the_trace_format_writes_them():
    scores = next(x for x in known_network("bert-base").layers if x.name.endswith("scores"))
    assert (scores.groups, scores.in_channels, scores.out_channels, scores.rows) == (12, 768, 1536, 128)
    assert scores.passes() == ("forward", "dgrad", "dgrad_second")


@pytest.mark.parametrize("name", NAMES)
def test_what_needs_no_input_gradient_and_what_is_gated(name):
    network = known_network(name)
    without = [layer.name for layer in network.layers if layer.needs_dgrad == "false"]
    assert without == ([network.layers[0].name] if network.layers[0].kind == "conv" else [])
    assert {layer.name for layer in network.layers if layer.name in network.float_layers} == network.float_layers
    ungated = {layer.name for layer in network.layers if not layer.gate_group}
    assert network.float_layers <= ungated
    assert all("downsample" in n or n.startswith(("conv1", "features.")) for n in ungated - network.float_layers)
    assert len({layer.name for layer in network.layers}) == len(network.layers)
    assert (
        len(network.gate_groups())
        == {
            "resnet38": 18,
            "resnet74": 36,
            "resnet110": 54,
            "resnet164": 54,
            "resnet18": 8,
            "resnet34": 16,
            "resnet50": 16,
            "mobilenetv2": 17,
            "bert-base": 24,
            "gpt2": 24,
            "gpt2-xl": 96,
            "transformer-base": 30,
        }[name]
    )


def test_names_and_depths_that_do_not_exist():
    with pytest.raises(InputError, match="did you mean resnet38"):
        known_network("resnet-38")
    with pytest.raises(InputError, match="reads images"):
        known_network("resnet38", tokens=64)
    with pytest.raises(ValueError, match="6n"):
        basic_cifar_layers(39)
    with pytest.raises(ValueError, match="9n"):
        bottleneck_cifar_layers(165)
    assert known_network("bert-base", tokens=64).layers[0].rows == 64
