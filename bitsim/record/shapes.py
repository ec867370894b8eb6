"""Layer shapes of a torch network, seen by forward hooks in one pass over one sample."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from bitsim.workload import Layer


def layers_of(model: nn.Module, sample: torch.Tensor) -> list[Layer]:
    """Convolutions and linear layers of `model` in the order they run, named as in its module tree.

    sample: (1, C, H, W).  needs_dgrad follows from requires_grad of what each layer reads.
    """
    found: list[Layer] = []
    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            hooks.append(module.register_forward_hook(_noting(name, found)))
    training = model.training
    model.eval()  # one sample must not move batch statistics
    try:
        model(sample)
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    return found


def _noting(name: str, found: list[Layer]) -> Any:
    def note(module: nn.Module, inputs: tuple[torch.Tensor, ...], _: torch.Tensor) -> None:
        x = inputs[0]
        needs = "true" if x.requires_grad else "false"
        if isinstance(module, nn.Linear):
            rows = x.numel() // x.shape[0] // module.in_features
            found.append(
                Layer(name, "linear", 1, module.in_features, module.out_features, rows=rows, needs_dgrad=needs)
            )
            return
        assert isinstance(module, nn.Conv2d)
        (kernel_h, kernel_w), (stride_h, stride_w) = module.kernel_size, module.stride
        (padding_h, padding_w), (dilation_h, dilation_w) = module.padding, module.dilation
        found.append(
            Layer(
                name,
                "conv",
                module.groups,
                module.in_channels,
                module.out_channels,
                in_h=int(x.shape[2]),
                in_w=int(x.shape[3]),
                kernel_h=kernel_h,
                kernel_w=kernel_w,
                stride_h=stride_h,
                stride_w=stride_w,
                padding_h=int(padding_h),
                padding_w=int(padding_w),
                padding_h_end=int(padding_h),
                padding_w_end=int(padding_w),
                dilation_h=dilation_h,
                dilation_w=dilation_w,
                needs_dgrad=needs,
            )
        )

    return note
