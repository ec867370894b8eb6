"""Networks on meta tensors: the products recorded are those autograd issues, in their layer and orientation."""

import importlib.util

import pytest

from bitsim.workload import DGRAD, FORWARD, RECOMPUTE, WGRAD

if importlib.util.find_spec("torch") is None:
    pytest.skip("needs torch: pip install '.[record]'", allow_module_level=True)

import torch
from torch import nn

from tests.autograd import check_against_autograd, macs_by_phase, record, tag_nodes, tokens


class Bottleneck(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.downsample = None
        if stride > 1 or channels != 4 * width:
            self.downsample = nn.Conv2d(channels, 4 * width, 1, stride, bias=False)

    def forward(self, x):
        out = self.bn1(self.conv1(x)).relu()
        out = self.bn3(self.conv3(self.bn2(self.conv2(out)).relu()))
        return (out + (x if self.downsample is None else self.downsample(x))).relu()


class ResNet50(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.pool = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.MaxPool2d(3, 2, 1)
        channels, blocks = 64, []
        for stage, count in enumerate((3, 4, 6, 3)):
            for block in range(count):
                blocks.append(Bottleneck(channels, 64 << stage, 2 if stage and not block else 1))
                channels = 256 << stage
        self.blocks, self.fc = nn.Sequential(*blocks), nn.Linear(channels, 1000)

    def forward(self, x):
        return self.fc(self.blocks(self.pool(self.conv1(x))).mean(dim=(2, 3)))


def depthwise_net():
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1),
        nn.Conv2d(16, 16, (3, 5), (1, 2), (1, 2), groups=16),
        nn.Conv2d(16, 24, 1),
        nn.Conv2d(24, 48, 3, 2, 1, groups=12, dilation=2),
        nn.Conv2d(48, 8, 1),
        nn.Flatten(),
        nn.LazyLinear(10),
    )


def test_resnet50():
    model = ResNet50().to("meta")
    tag_nodes(model)
    recorder, issued = record(model, {"x": torch.empty(4, 3, 224, 224, device="meta")}, 4)
    check_against_autograd(recorder.layers, issued, 4)
    assert issued.macs[FORWARD] == 4 * 4_089_184_256  # the known count at 224 x 224, strides in the 3x3
    assert [x.name for x in recorder.layers if x.needs_dgrad == "false"] == ["conv1"]
    assert recorder.layers[4].name == "blocks.0.downsample"


def test_depthwise_network():
    model = depthwise_net()
    model(torch.zeros(1, 3, 32, 40))
    model.to("meta")
    tag_nodes(model)
    recorder, issued = record(model, {"input": torch.empty(6, 3, 32, 40, device="meta")}, 6)
    check_against_autograd(recorder.layers, issued, 6)
    assert [x.groups for x in recorder.layers] == [1, 16, 1, 12, 1, 1]


def transformers():
    return pytest.importorskip("transformers")


def test_bert_base():
    library = transformers()
    with torch.device("meta"):
        model = library.BertForMaskedLM(library.BertConfig(attn_implementation="eager"))
    tag_nodes(model)
    recorder, issued = record(model, {"input_ids": tokens(2, 128, "meta")}, 2, lambda out: out.logits.sum())
    check_against_autograd(recorder.layers, issued, 2)
    layers = {x.name: x for x in recorder.layers}
    # 12 blocks of 4 h^2 + 8 h^2 weights and two attention products, the head's transform, and the tied decoder.
    h, t = 768, 128
    assert issued.macs[FORWARD] == 2 * (t * (12 * (12 * h * h + 2 * t * h) + h * h + h * 30522))
    assert layers["bert.encoder.layer.0.attention.self.query"].needs_dgrad == "true"  # embeddings are trained
    scores = next(x for x in recorder.layers if x.kind == "matmul")
    assert (scores.groups, scores.in_channels, scores.out_channels, scores.rows) == (12, 768, 1536, 128)
    assert layers["cls.predictions.decoder"].passes() == (FORWARD, DGRAD, WGRAD)  # tied: its product is real


def test_bert_with_frozen_embeddings_has_no_gradient_of_its_first_products():
    library = transformers()
    config = library.BertConfig(num_hidden_layers=1, attn_implementation="eager", vocab_size=99)
    with torch.device("meta"):
        model = library.BertForMaskedLM(config)
    model.bert.embeddings.requires_grad_(False)
    model.bert.encoder.layer[0].output.dense.requires_grad_(False)
    tag_nodes(model)
    recorder, issued = record(model, {"input_ids": tokens(2, 16, "meta")}, 2, lambda out: out.logits.sum())
    check_against_autograd(recorder.layers, issued, 2)
    without = [x.name.rpartition(".")[2] for x in recorder.layers if x.needs_dgrad == "false"]
    assert without == ["query", "key", "value"]
    frozen = [x.name.rpartition("layer.0.")[2] for x in recorder.layers if not x.needs_wgrad]
    assert frozen == ["output.dense", "cls.predictions.decoder"]  # the decoder's weight is the embedding's


@pytest.mark.parametrize("checkpointed", [False, True])
def test_gpt2(checkpointed):
    library = transformers()
    with torch.device("meta"):
        model = library.GPT2LMHeadModel(library.GPT2Config(attn_implementation="eager", use_cache=False))
    if checkpointed:
        model.activation_checkpointing_enable({"use_reentrant": False})
        model.train()
    tag_nodes(model)
    # A mask of four dimensions is taken as it is; others would be looked into, and meta tensors hold nothing.
    inputs = {"input_ids": tokens(2, 64, "meta"), "attention_mask": torch.ones(2, 1, 64, 64, device="meta")}
    recorder, issued = record(model, inputs, 2, lambda out: out.logits.sum())
    if not checkpointed:
        check_against_autograd(recorder.layers, issued, 2)
    assert macs_by_phase(recorder.layers, 2) == issued.macs
    assert bool(issued.macs[RECOMPUTE]) is checkpointed
    h, t = 768, 64
    assert issued.macs[FORWARD] == 2 * t * (12 * (12 * h * h + 2 * t * h) + h * 50257)
    layer = next(x for x in recorder.layers if x.name == "transformer.h.0.attn.c_attn")  # Hugging Face's Conv1D
    assert (layer.kind, layer.in_channels, layer.out_channels, layer.rows) == ("linear", 768, 2304, 64)
    assert layer.recomputes == checkpointed
    assert recorder.layers[-1].name == "lm_head"
