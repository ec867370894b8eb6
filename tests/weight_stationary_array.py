"""The registers of a weight-stationary array, cycle by cycle and with data: what the closed forms are held to."""

import numpy as np


def run(folds, starts, planes, pipeline):
    """([(T, M) sums of each fold], cycle from which the last of them is visible without an SRAM read in front).

    folds: [((N, M) held words, (T, N) inputs)]; starts: [(first cycle of the fill, of the inputs)], both at
    row 0 and column 0.  What a multiplier finds in its registers is what it uses, too early or not.
    """
    rows, cols = folds[0][0].shape
    chain, held = np.zeros((2, rows, cols), np.int64)
    sums = [np.zeros((len(inputs), cols), np.int64) for _, inputs in folds]
    visible = 0
    last = max(first + len(inputs) for (_, first), (_, inputs) in zip(starts, folds, strict=True))
    for cycle in range(last + rows * (1 + pipeline) + cols):
        moved = chain.copy()
        for (fill, first), (words, inputs), fold_sums in zip(starts, folds, sums, strict=True):
            for col in range(cols):
                for row in range(rows):
                    index = cycle - first - col - row * (1 + pipeline)
                    if not 0 <= index < len(inputs):
                        continue
                    if index == 0:
                        held[row, col] = chain[row, col]
                    word = held[row, col] if planes == 2 else chain[row, col]
                    fold_sums[index, col] += word * inputs[index, row]
                    # The sum of a row is in its register a cycle later, and each row takes 1 + pipeline.
                    visible = max(visible, cycle + 1 + pipeline + 1)
                step = cycle - col - fill
                if 0 <= step < rows:
                    moved[:, col] = np.append(words[rows - 1 - step, col], chain[:-1, col])
        chain = moved
    return sums, visible
