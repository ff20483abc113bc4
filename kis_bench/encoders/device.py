"""Which device a torch model runs on."""

from __future__ import annotations

import torch

from kis_bench.errors import KisBenchError


def choose(device: str) -> torch.device:
    """``auto``: the first GPU where there is one, else the CPU; a GPU asked for and not there is an error.

    ``auto@N`` and ``cuda@N`` are for the N-th of several processes, which take the GPUs in turn.
    """
    device, shared, process = device.partition("@")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if shared and device == "cuda" and torch.cuda.device_count():
        device = f"cuda:{int(process) % torch.cuda.device_count()}"
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise KisBenchError(
            f"device {device!r} is unknown to torch; use auto, cpu, cuda or cuda:N"
        ) from error
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise KisBenchError(
            f"device {device!r} was asked for, but torch finds {torch.cuda.device_count()} GPUs here"
        )
    return chosen
