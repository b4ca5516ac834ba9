"""Choose the device that computes."""

import torch

from restorekit.errors import UsageError


def choose_device(name: str) -> torch.device:
    """The device called `name`; "auto" is the GPU if there is one.

    Args:
        name: auto, cpu, cuda or cuda:N.

    Raises:
        UsageError: there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise UsageError(f"There is no device called '{name}'.", "The devices are auto, cpu, cuda and cuda:N.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"PyTorch sees {torch.cuda.device_count()} GPUs here, so there is no '{name}'.",
            "Use the device cpu, or install a PyTorch build for your GPU.",
        )
    return device
