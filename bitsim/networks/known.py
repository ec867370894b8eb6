"""The networks that can be named on the command line."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from bitsim.errors import InputError
from bitsim.networks.mobilenet import mobilenet_v2
from bitsim.networks.network import Network
from bitsim.networks.resnet import cifar_resnet, imagenet_resnet
from bitsim.networks.transformer import bert_base, gpt2, gpt2_xl, transformer_base

_IMAGES: dict[str, Callable[[], Network]] = {
    "resnet38": lambda: cifar_resnet(38),
    "resnet74": lambda: cifar_resnet(74),
    "resnet110": lambda: cifar_resnet(110),
    "resnet164": lambda: cifar_resnet(164),
    "resnet18": lambda: imagenet_resnet(18),
    "resnet34": lambda: imagenet_resnet(34),
    "resnet50": lambda: imagenet_resnet(50),
    "mobilenetv2": mobilenet_v2,
}
_TEXTS: dict[str, Callable[..., Network]] = {
    "bert-base": bert_base,
    "gpt2": gpt2,
    "gpt2-xl": gpt2_xl,
    "transformer-base": transformer_base,
}
NAMES = (*_IMAGES, *_TEXTS)


def known_network(name: str, tokens: int | None = None) -> Network:
    """A network by name.  tokens: of a sample, for those that read text.

    InputError for an unknown name, or tokens for a network of images.
    """
    if name in _IMAGES:
        if tokens is not None:
            raise InputError(f"--tokens: {name} reads images, allowed with: {', '.join(_TEXTS)}")
        return _IMAGES[name]()
    if name in _TEXTS:
        return _TEXTS[name]() if tokens is None else _TEXTS[name](tokens=tokens)
    near = difflib.get_close_matches(name, NAMES, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(NAMES)}"
    raise InputError(f"--model {name}: no such model and no such trace folder, {hint}")
