"""Where and how precisely a network runs."""

import os
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

import torch

from topmass.files import BadInput

BFLOAT16_UNITS = (8, 0)
"""Compute capability from which GPUs of NVIDIA multiply bfloat16 in hardware; older ones emulate it, slowly."""


def find_device(name: str) -> torch.device:
    """The device of this name; "auto" is the first GPU, else the CPU. BadInput if there is no such GPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        found = f"torch {torch.__version__} finds {torch.cuda.device_count()} GPUs here"
        raise BadInput(f"compute.device: {name}, but {found}; use auto or cpu")
    return device


def find_precision(name: str, device: torch.device) -> torch.dtype:
    """The type that convolutions run in; "auto" is bfloat16 where the device has instructions for it, else float32.

    A device without them imitates bfloat16, and is slower in it than in float32. On GPUs that have TF32, torch runs
    float32 convolutions in it.
    """
    if name == "auto":
        if device.type == "cuda":
            has_bfloat16 = torch.cuda.get_device_capability(device) >= BFLOAT16_UNITS
        else:
            has_bfloat16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        return torch.bfloat16 if has_bfloat16 else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[name]


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager:
    """Run convolutions in this precision; weights and sums stay in float32."""
    return torch.autocast(device.type, precision, enabled=precision != torch.float32)


@contextmanager
def threads_of_one() -> Iterator[Executor]:
    """As many threads as torch has, each with one of torch's: steps too small to be divided gain more by that."""
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)


def make_repeatable(device: torch.device) -> None:
    """On the CPU the same bits each time; on a GPU the fastest kernels, whose sums differ in the last bits."""
    try:
        torch.use_deterministic_algorithms(device.type == "cpu")
    except OSError as error:
        # Here torch makes the folder for compiled kernels, even if there will be none.
        named = os.environ.get("TORCHINDUCTOR_CACHE_DIR", "")
        raise BadInput(
            f"TORCHINDUCTOR_CACHE_DIR={named}: torch cannot make this folder for its kernels "
            f"({str(error.strerror).lower()}); name one that can be written"
        ) from None
    torch.backends.cudnn.benchmark = device.type == "cuda"
