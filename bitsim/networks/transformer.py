"""Transformers: BERT-base, GPT-2 and GPT-2 XL, and the base model of the translation transformer.

Sources: Devlin et al., NAACL 2019 (BERT-base; fine-tuning: Sec. 4.1 and MNLI's 392,702 pairs); Radford et al., 2019
(GPT-2: 1,024 tokens); Vaswani et al., NeurIPS 2017 (base model: Table 3; 100,000 steps of about 25,000
source and target tokens: Sec. 5.1, 5.2).  Names as in Hugging Face's BERT and GPT-2 and in fairseq.

Assumptions
    - Every sample has the same number of tokens, and attention is computed whole, masked or not.
    - Embeddings are looked up, not multiplied; they are trained, so the first products need their input gradient.
    - Each residual branch (attention, feed-forward) is a gate group.  Output layers stay in float.
    - GPT-2's batch of 8 and 100,000 iterations are a choice: its published batch, 512, is spread over machines, its
      number of iterations was not published, and whole-run counters hold 2^63 MACs (GPT-2 XL: 1.7 million samples).
    - The translation batch is as many sequences of `tokens` tokens as make 25,000.
"""

from __future__ import annotations

from bitsim.networks.network import Network, attention, linear
from bitsim.workload import Layer

MNLI_PAIRS, MNLI_CLASSES, BERT_BATCH, BERT_EPOCHS = 392_702, 3, 32, 3
GPT2_BATCH, GPT2_ITERATIONS, GPT2_VOCABULARY = 8, 100_000, 50_257
TRANSLATION_TOKENS_A_BATCH, TRANSLATION_ITERATIONS, TRANSLATION_VOCABULARY = 25_000, 100_000, 37_000


def bert_base(tokens: int = 128) -> Network:
    """BERT-base fine-tuned on pairs of sentences (MNLI, three classes)."""
    width, heads, layers = 768, 12, list[Layer]()
    for block in range(12):
        name = f"bert.encoder.layer.{block}"
        gate, self_ = f"{name}.attention", f"{name}.attention.self"
        layers += [linear(f"{self_}.{part}", width, width, tokens, gate) for part in ("query", "key", "value")]
        layers += attention(f"{self_}.scores", f"{self_}.context", heads, width, tokens, tokens, gate)
        layers.append(linear(f"{name}.attention.output.dense", width, width, tokens, gate))
        layers.append(linear(f"{name}.intermediate.dense", width, 4 * width, tokens, f"{name}.output"))
        layers.append(linear(f"{name}.output.dense", 4 * width, width, tokens, f"{name}.output"))
    layers += [linear("bert.pooler.dense", width, width), linear("classifier", width, MNLI_CLASSES)]
    per_epoch = -(-MNLI_PAIRS // BERT_BATCH)
    return Network(
        "BERT-base",
        f"MNLI shapes, {tokens} tokens",
        tuple(layers),
        frozenset({"bert.pooler.dense", "classifier"}),
        BERT_BATCH,
        BERT_EPOCHS * per_epoch,
        per_epoch,
        "batch 32 and 3 epochs as in Devlin et al. (NAACL 2019)",
    )


def gpt2(blocks: int = 12, width: int = 768, heads: int = 12, title: str = "GPT-2", tokens: int = 1024) -> Network:
    """GPT-2 trained as a language model; its output layer shares the embedding's weights."""
    layers: list[Layer] = []
    for block in range(blocks):
        name = f"transformer.h.{block}"
        gate, mlp = f"{name}.attn", f"{name}.mlp"
        layers.append(linear(f"{gate}.c_attn", width, 3 * width, tokens, gate))
        layers += attention(f"{gate}.scores", f"{gate}.context", heads, width, tokens, tokens, gate)
        layers.append(linear(f"{gate}.c_proj", width, width, tokens, gate))
        layers.append(linear(f"{mlp}.c_fc", width, 4 * width, tokens, mlp))
        layers.append(linear(f"{mlp}.c_proj", 4 * width, width, tokens, mlp))
    layers.append(linear("lm_head", width, GPT2_VOCABULARY, tokens))
    return Network(
        title,
        f"text, {tokens} tokens",
        tuple(layers),
        frozenset({"lm_head"}),
        GPT2_BATCH,
        GPT2_ITERATIONS,
        None,
        "batch 8 and 100,000 iterations by choice",
    )


def gpt2_xl(tokens: int = 1024) -> Network:
    """GPT-2 XL: 48 blocks of width 1,600 with 25 heads."""
    return gpt2(48, 1600, 25, "GPT-2 XL", tokens)


def transformer_base(tokens: int = 32) -> Network:
    """The base model for translation, `tokens` tokens of source and as many of target a sample."""
    width, inner, heads, layers = 512, 2048, 8, list[Layer]()
    for part in ("encoder", "decoder"):
        for block in range(6):
            name = f"{part}.layers.{block}"
            for kind in ("self_attn", "encoder_attn")[: 1 if part == "encoder" else 2]:
                gate = f"{name}.{kind}"
                layers += [linear(f"{gate}.{which}_proj", width, width, tokens, gate) for which in "qkv"]
                layers += attention(f"{gate}.scores", f"{gate}.context", heads, width, tokens, tokens, gate)
                layers.append(linear(f"{gate}.out_proj", width, width, tokens, gate))
            layers.append(linear(f"{name}.fc1", width, inner, tokens, f"{name}.ffn"))
            layers.append(linear(f"{name}.fc2", inner, width, tokens, f"{name}.ffn"))
    layers.append(linear("decoder.output_projection", width, TRANSLATION_VOCABULARY, tokens))
    return Network(
        "Transformer base",
        f"WMT 2014 English-German shapes, {tokens} tokens",
        tuple(layers),
        frozenset({"decoder.output_projection"}),
        max(TRANSLATION_TOKENS_A_BATCH // tokens, 1),
        TRANSLATION_ITERATIONS,
        None,
        "25,000 tokens a batch and 100,000 iterations as in Vaswani et al. (NeurIPS 2017)",
    )
