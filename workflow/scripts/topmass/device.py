"""Device and numerical precision of a network."""

import os
from contextlib import AbstractContextManager

import torch

from topmass.files import BadInput

MIN_BFLOAT16_CAPABILITY = (8, 0)
"""Minimum compute capability of NVIDIA GPUs with bfloat16 hardware; older GPUs emulate it slowly."""


def find_device(name: str, setting: str = "compute.device") -> torch.device:
    """Return the device of this name; "auto" is the first GPU, else the CPU.

    Args:
        name: "auto", or a device name of torch.
        setting: The user's setting for `name`, for messages.

    Raises:
        BadInput: There is no such GPU.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = f"torch {torch.__version__} finds {torch.cuda.device_count()} GPUs here"
        raise BadInput(f"{setting}: {name}, but {count}; use auto or cpu")
    return device


def find_precision(name: str, device: torch.device) -> torch.dtype:
    """Return the type of convolutions; "auto" is bfloat16 if the device has instructions for it, else float32.

    Emulated bfloat16 is slower than float32. On GPUs with TF32, torch runs float32 convolutions in TF32.
    """
    if name == "auto":
        if device.type == "cuda":
            has_bfloat16 = torch.cuda.get_device_capability(device) >= MIN_BFLOAT16_CAPABILITY
        else:
            has_bfloat16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        return torch.bfloat16 if has_bfloat16 else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[name]


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager:
    """Return a context that runs convolutions in this precision; weights and sums stay in float32."""
    return torch.autocast(device.type, precision, enabled=precision != torch.float32)


def set_deterministic(device: torch.device) -> None:
    """Select bit-wise reproducible kernels on a CPU, and the fastest kernels on a GPU.

    Sums of the GPU kernels differ in the last bits.

    Raises:
        BadInput: torch cannot create the folder TORCHINDUCTOR_CACHE_DIR.
    """
    try:
        torch.use_deterministic_algorithms(device.type == "cpu")
    except OSError as error:
        # torch creates the folder for compiled kernels in this call, even if there will be none.
        folder = os.environ.get("TORCHINDUCTOR_CACHE_DIR", "")
        reason = str(error.strerror).lower()
        raise BadInput(
            f"TORCHINDUCTOR_CACHE_DIR={folder}: torch cannot create this folder ({reason}); name a writable folder"
        ) from None
    torch.backends.cudnn.benchmark = device.type == "cuda"
