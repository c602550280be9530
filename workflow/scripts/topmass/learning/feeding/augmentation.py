"""Mirror images of jets, which are as good as the jets themselves.

Reflection along the beam, η → −η. The detector and a colliding beam of protons on each side look the same from
both ends; the magnetic field, an axial vector along the beam, is its own mirror image, so that tracks bend the same
way. Distances along the beam change sign: dz → −dz, and the seed tower is as far on the other side. d0, the component
along the beam of (vertex × momentum) / pT, needs the two transverse directions alone, and stays.

Reflection in φ at the plane through the beam and the middle of the window. It turns the field around, which bends
positive tracks the way negative ones bend in the real field: it takes charge conjugation with it, and the image has no
charges in it. (vertex × momentum) along the beam changes sign: d0 → −d0; dz stays. The mirror plane goes through the
seed tower: `iphi` stays as it is. The detector looks the same from every φ, so that no other plane would be better.

Neither is exact beyond the detector: weak decays know left from right, which images do not see.
"""

import torch
from torch import Tensor

from topmass.learning.feeding.batches import LARGEST_IETA, SparseBatch, locate
from topmass.preprocessing.shards import ShardMeta

ETA, PHI = 1, 2
"""Bits of a flip."""
CHANGES_SIGN = {"track_dz": ETA, "track_d0": PHI}
IETA_STEP = 1 / LARGEST_IETA
"""Of one pixel in `position`: pixel i lies between η = i and i + 1 pixels, so that its mirror image is −1 − i."""


def draw_flips(jets: int, directions: list[str], generator: torch.Generator) -> Tensor | None:
    """Flips (jets,) uint8, each of the `directions` ("eta", "phi") with a chance of one half; None without any."""
    if not directions:
        return None
    bits = {"eta": ETA, "phi": PHI}
    drawn = torch.randint(4, (jets,), generator=generator, dtype=torch.uint8)
    return drawn & sum(bits[direction] for direction in directions)


def mirror(batch: SparseBatch, flips: Tensor, meta: ShardMeta) -> SparseBatch:
    """The jets mirrored as the bits of `flips` (B,) say; rows run in η, columns in φ. What is known of them is not."""
    places, cell = locate(batch, meta)
    across = meta.side // cell
    bits = flips[places.jet]
    row = torch.where((bits & ETA).bool(), across - 1 - places.row, places.row)
    column = torch.where((bits & PHI).bool(), across - 1 - places.column, places.column)
    changing = torch.tensor([CHANGES_SIGN.get(name, 0) for name in meta.layers], dtype=torch.uint8)
    changes = (bits & changing.to(bits.device, non_blocking=True)[places.layer]).bool()
    value = torch.where(changes, -batch.value, batch.value)
    pixel = (row * across + column).to(batch.pixel.dtype)
    position = mirror_position(batch.position, flips)
    return batch._replace(pixel=pixel, value=value, position=position, numbers=batch.numbers[:, :0])


def mirror_position(position: Tensor, flips: Tensor) -> Tensor:
    """Positions (B, 2), iphi / 360 and ieta / 170, of the mirrored jets; (B, 0) where they are unknown."""
    iphi, ieta = position[:, :1], position[:, 1:]
    return torch.cat([iphi, torch.where((flips & ETA).bool()[:, None], -ieta - IETA_STEP, ieta)], dim=1)
