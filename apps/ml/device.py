"""Where tensors live. Imports torch: only models that train with it import this module."""

from __future__ import annotations

import torch

from apps.ml.base import DEVICES, TrainOptions
from apps.ml.errors import InvalidValue


def device_resolve(options: TrainOptions) -> torch.device:
    """The device to fit on; also seeds torch and sets its threads. InvalidValue for an unknown or absent
    device.
    """
    if options.device not in DEVICES:
        raise InvalidValue("device", options.device, f"Use one of {', '.join(DEVICES)}.")
    present = torch.cuda.is_available()
    if options.device == "cuda" and not present:
        raise InvalidValue("device", "cuda", "This machine has no CUDA device; use auto or cpu.")
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    return torch.device("cuda" if present and options.device != "cpu" else "cpu")
