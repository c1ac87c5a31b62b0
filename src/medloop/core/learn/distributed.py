"""Trainings on several machines that move together: they average their gradients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import distributed
from torch.optim.optimizer import register_optimizer_step_pre_hook


@contextmanager
def averaged_gradients() -> Iterator[None]:
    """Average the gradients of all processes of the group before each optimiser step.

    Before the first step everyone takes the weights of rank 0.
    """
    started = False

    def average(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        nonlocal started
        groups = optimizer.param_groups
        parameters = [p for group in groups for p in group["params"] if p.grad is not None]
        if not started:
            for parameter in parameters:
                distributed.broadcast(parameter.data, src=0)
            started = True
        flat = torch.cat([p.grad.flatten() for p in parameters])  # one message for all layers
        distributed.all_reduce(flat)
        flat /= distributed.get_world_size()
        parts = torch.split(flat, [p.numel() for p in parameters])
        for parameter, mean in zip(parameters, parts, strict=True):
            parameter.grad.copy_(mean.view_as(parameter))

    hook = register_optimizer_step_pre_hook(average)
    try:
        yield
    finally:
        hook.remove()
