"""DFQ's gate: for each residual block and each sample, one pair of widths out of a few.

Source: FracTrain (NeurIPS 2020), Sec. 3.2: pooled features, a small recurrent network shared by all blocks,
softmax, the most likely candidate with a straight-through gradient, and a cost term whose sign keeps the
average at a target.

Assumption: a sample runs only the candidate picked (the authors' training runs all and masks), so the
task's loss teaches the gate through the output of that candidate, and the cost term all of them.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from bitsim.schedules import Bits

HIDDEN = 10
START_SPREAD = 2.0  # of the weights of the choice: samples and blocks start with different candidates


class Gate(nn.Module):
    """candidates: bits it picks from; channels: of the input of each block."""

    def __init__(self, candidates: tuple[Bits, ...], channels: list[int]) -> None:
        super().__init__()
        self.project = nn.ModuleList(nn.Linear(c, HIDDEN) for c in channels)
        self.lstm = nn.LSTMCell(HIDDEN, HIDDEN)
        self.choose = nn.Linear(HIDDEN, len(candidates))
        nn.init.normal_(self.choose.weight, std=START_SPREAD)
        self.weight_bits = candidates[0].weight_bits  # not the gate's to choose
        pairs = [(float(b.activation_bits), float(b.gradient_bits)) for b in candidates]
        self.register_buffer("bits", torch.tensor(pairs))
        self.register_buffer("costs", torch.tensor([b.cost_percent for b in candidates]))
        self.start()

    def start(self) -> None:
        """A new batch: no state, nothing spent."""
        self._state: tuple[torch.Tensor, torch.Tensor] | None = None
        self._spent: list[torch.Tensor] = []

    def forward(self, block: int, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """x (B, C, H, W) to activation bits (B,), gradient bits (B,), and ones (B,) that carry the gradient."""
        self._state = self.lstm(self.project[block](x.mean(dim=(2, 3))), self._state)
        likely = self.choose(self._state[0]).softmax(dim=1)
        choice = likely.argmax(dim=1)
        picked = functional.one_hot(choice, likely.shape[1]).to(likely.dtype)
        through = picked + likely - likely.detach()
        self._spent.append((through * self.costs).sum(dim=1).mean())
        activation_bits, gradient_bits = self.bits[choice].unbind(dim=1)
        return activation_bits, gradient_bits, (through * picked).sum(dim=1)

    def cost(self) -> torch.Tensor:
        """cp of this batch: mean over blocks and samples, in percent of float32."""
        return torch.stack(self._spent).mean()
