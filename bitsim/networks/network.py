"""A network as a table of layers with the settings it is trained at, and short ways to write layers down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bitsim.workload import Layer


@dataclass(frozen=True)
class Network:
    """Layers in the order they run forward, and how the network is usually trained.

    title, dataset: as in run.yaml.  float_layers: names of layers that quantised training leaves in float.
    iterations_per_epoch is None where a run has no epochs.  settings: where batch and iterations come from.
    small_images: CIFAR's 32x32 and the like, for which some published settings differ.
    """

    title: str
    dataset: str
    layers: tuple[Layer, ...]
    float_layers: frozenset[str]
    batch: int
    iterations: int
    iterations_per_epoch: int | None
    settings: str
    small_images: bool = False

    def gate_groups(self) -> list[str]:
        """Gate groups in the order they run."""
        return list(dict.fromkeys(layer.gate_group for layer in self.layers if layer.gate_group))


def conv(
    name: str,
    in_channels: int,
    out_channels: int,
    size: int,
    kernel: int = 3,
    stride: int = 1,
    *,
    groups: int = 1,
    needs_dgrad: bool = True,
    gate_group: str = "",
) -> Layer:
    """A square convolution of a `size` x `size` image, padded by half the kernel."""
    pad = kernel // 2
    return Layer(
        name,
        "conv",
        groups,
        in_channels,
        out_channels,
        in_h=size,
        in_w=size,
        kernel_h=kernel,
        kernel_w=kernel,
        stride_h=stride,
        stride_w=stride,
        padding_h=pad,
        padding_w=pad,
        padding_h_end=pad,
        padding_w_end=pad,
        needs_dgrad="true" if needs_dgrad else "false",
        gate_group=gate_group,
    )


def linear(name: str, in_channels: int, out_channels: int, rows: int = 1, gate_group: str = "") -> Layer:
    """`rows` vectors a sample through a matrix."""
    return Layer(name, "linear", 1, in_channels, out_channels, rows=rows, gate_group=gate_group)


def attention(
    scores: str, context: str, heads: int, width: int, queries: int, keys: int, gate_group: str = ""
) -> Iterable[Layer]:
    """The two products of attention: Q K^T, then its softmax times V; `width` channels over all heads.

    Assumption: all queries x keys products are computed, those a causal mask drops as well.
    """
    yield Layer(scores, "matmul", heads, width, heads * keys, rows=queries, gate_group=gate_group)
    yield Layer(context, "matmul", heads, heads * keys, width, rows=queries, gate_group=gate_group)
