"""Where and how precisely a network runs."""

from contextlib import AbstractContextManager

import torch


def find_device(name: str) -> torch.device:
    """The device of this name; "auto" is the first GPU, else the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def find_precision(name: str, device: torch.device) -> torch.dtype:
    """The type that convolutions run in; "auto" is bfloat16 where the device has matrix units for it, else float32.

    On CPUs without AMX, bfloat16 convolutions of so few channels are slower than float32.
    """
    if name == "auto":
        matrix_units = torch.cuda.is_bf16_supported() if device.type == "cuda" else torch.cpu._is_amx_tile_supported()
        return torch.bfloat16 if matrix_units else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[name]


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager:
    """Run convolutions in this precision; weights and sums stay in float32."""
    return torch.autocast(device.type, precision, enabled=precision != torch.float32)
