"""Tensors and a text about them as one safetensors file, with their checksum: nothing is pickled or unpickled."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

DAMAGED = (SafetensorError, ValueError, LookupError, TypeError, AttributeError, RuntimeError)
"""What reading a damaged file, or what is made of it, may raise."""


def to_bytes(tensors: Mapping[str, Tensor], about: str) -> bytes:
    """The content of a file."""
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    # One entry: of several, safetensors writes now this one first, now that one.
    return safetensors.torch.save(whole, {"topmass": f"{digest(whole, about)} {about}"})


def read_tensors(path: Path) -> tuple[dict[str, Tensor], str]:
    """Tensors and text of a file; one of DAMAGED if they are not those that were written."""
    # From its bytes: safe_open opens the file twice, and it may have been replaced by a newer one in between.
    content = path.read_bytes()
    # Safetensors copies it, and panics where there is no memory for that; so it is asked for beforehand, and freed.
    bytearray(len(content))
    tensors = safetensors.torch.load(content)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    checksum, _, about = header["__metadata__"]["topmass"].partition(" ")
    if checksum != digest(tensors, about):
        raise ValueError("its content is not what was written")
    return tensors, about


def digest(tensors: Mapping[str, Tensor], about: str) -> str:
    """SHA-256 of all tensors, in the order of their names, and of the text."""
    content = hashlib.sha256(about.encode())
    for name, tensor in sorted(tensors.items()):
        content.update(name.encode() + tensor.contiguous().cpu().numpy().tobytes())
    return content.hexdigest()
