"""The settings of a training. Imports no torch, so that jobs and the command line can name them."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Settings of a training. Fixed steps, no clock: the same seed must give the same weights."""

    seed: int = 0
    steps: int = 1400  # optimiser steps
    batch_size: int = 186  # base images and corrections in a batch
    unknown_batch: int = 46  # unknown images in a batch, on top
    correction_share: float = 0.25  # of the batch, that corrections may take at most
    learning_rate: float = 4e-3  # peak of the one cycle
    weight_decay: float = 0.05
    warm_up: float = 0.1  # share of the steps with a rising learning rate
    averaging: float = 0.99  # decay of the averaged weights, per step
    champion_share: float = 0.0  # of a warm start's first weights in the result (WiSE-FT, 2022)
    unaltered_at_first: float = 0.2  # share of each batch not augmented, in the first half
    unaltered: float = 0.55  # the same in the second half of the steps
    trimmed: float = 0.1  # share of the augmented views that the loss leaves out as mislabelled
    n_unknown: int = 3000  # procedural unknown images to train on, and as many for thresholds
    calibration_views: int = 4  # altered copies of each held-out image to fit thresholds on
    workers: int = 2  # threads that share each batch; the weights depend on their number
    device: str = "auto"  # a torch device, or "auto": a GPU if there is one

    @classmethod
    def full(cls, seed: int = 0) -> TrainingConfig:
        """Learn the full data set from nothing: about three minutes on 2 cores."""
        return cls(seed=seed)

    @classmethod
    def sample(cls, seed: int = 0) -> TrainingConfig:
        """Learn the bundled sample of 6,000 images from nothing: at most 60 s on 2 cores."""
        return cls(seed=seed, steps=260, n_unknown=1000, unaltered_at_first=0.15, unaltered=0.15)

    @classmethod
    def weekly(cls, seed: int = 0) -> TrainingConfig:
        """Go on from the champion's weights, with corrections: at most 120 s on 2 cores."""
        return cls(
            seed=seed,
            steps=400,
            learning_rate=5e-4,
            warm_up=0.2,
            n_unknown=1500,
            unaltered_at_first=0.5,
            unaltered=0.6,
            champion_share=0.15,
        )

    @classmethod
    def smoke(cls, seed: int = 0) -> TrainingConfig:
        """Learn little in two seconds, for tests of the plumbing."""
        return cls(seed=seed, steps=20, batch_size=64, unknown_batch=8, n_unknown=40, averaging=0.8)

    def learning_rate_at(self, step: int) -> float:
        """Rise linearly, then fall as a cosine to a hundredth of the peak."""
        done = (step + 1) / self.steps
        if done < self.warm_up:
            return self.learning_rate * done / self.warm_up
        rest = (done - self.warm_up) / max(1e-9, 1 - self.warm_up)
        return self.learning_rate * (0.01 + 0.99 * (1 + math.cos(math.pi * rest)) / 2)

    def unaltered_at(self, step: int) -> float:
        """Give the share of a batch that is not augmented."""
        return self.unaltered_at_first if 2 * step < self.steps else self.unaltered
