"""Safetensors files of tensors and a text, with a checksum and without pickle."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

CORRUPT_TENSORS = (SafetensorError, ValueError, LookupError, TypeError, AttributeError, RuntimeError)
"""Exceptions from reading a corrupt file or using its content."""


def to_bytes(tensors: Mapping[str, Tensor], text: str) -> bytes:
    """Return the content of a file with these tensors and this text."""
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    # A single entry, because safetensors writes several entries in random order.
    return safetensors.torch.save(contiguous, {"topmass": f"{digest(contiguous, text)} {text}"})


def read_tensors(path: Path) -> tuple[dict[str, Tensor], str]:
    """Read tensors and text of a file; raise one of `CORRUPT_TENSORS` if it is corrupt."""
    # Read the bytes once: safe_open opens the file twice, and it may be replaced in between.
    content = path.read_bytes()
    # Safetensors copies the content and panics without memory for it. Allocate and free it here to get a MemoryError.
    bytearray(len(content))
    tensors = safetensors.torch.load(content)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    checksum, _, text = header["__metadata__"]["topmass"].partition(" ")
    if checksum != digest(tensors, text):
        raise ValueError("the checksum does not match its content")
    return tensors, text


def digest(tensors: Mapping[str, Tensor], text: str) -> str:
    """Return the SHA-256 of the text and of all tensors, in the order of their names."""
    checksum = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        checksum.update(name.encode() + tensor.contiguous().cpu().numpy().tobytes())
    return checksum.hexdigest()
