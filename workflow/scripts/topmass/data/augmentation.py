"""Data augmentation by reflection of jets in η and φ.

Reflection along the beam, η → −η. Detector and proton beams are symmetric under it. The magnetic field is an axial
vector along the beam and does not change, so tracks bend in the same direction. Distances along the beam change sign:
dz → −dz and η → −η of the seed tower. d0 is the component along the beam of (vertex × momentum) / pT. It depends only
on the transverse directions and does not change.

Reflection in φ at the plane through the beam and the centre of the window. It inverts the magnetic field. A positive
track then bends like a negative track in the real field. Combined with charge conjugation this is a symmetry, and
images contain no charges. (vertex × momentum) along the beam changes sign: d0 → −d0; dz does not change. The mirror
plane contains the seed tower, so `iphi` does not change. The detector is symmetric in φ, so any other plane is
equivalent.

Neither symmetry is exact: weak decays violate parity, but images are not sensitive to it.
"""

import torch
from torch import Tensor

from topmass.data.batches import LARGEST_IETA, SparseBatch, unravel_pixels
from topmass.layers import ETA, PHI
from topmass.preprocessing.shards import ShardMeta

ODD_LAYERS = {"track_dz": ETA, "track_d0": PHI}
IETA_STEP = 1 / LARGEST_IETA
"""Size of one pixel in `position`. Pixel i lies between η = i and i + 1 pixels, so its mirror image is −1 − i."""


def sample_flips(jets: int, directions: list[str], generator: torch.Generator) -> Tensor | None:
    """Draw flips (B,) uint8 of B jets in these directions, "eta" and "phi", each with probability 1/2.

    Without directions, the result is None.
    """
    if not directions:
        return None
    bits = {"eta": ETA, "phi": PHI}
    drawn = torch.randint(4, (jets,), generator=generator, dtype=torch.uint8)
    return drawn & sum(bits[direction] for direction in directions)


def apply_flips(
    batch: SparseBatch, flips: Tensor, meta: ShardMeta, feature_parity: Tensor | None = None
) -> SparseBatch:
    """Reflect jets by flips (B,) of bits `ETA` and `PHI`; rows run in η, columns in φ.

    Cached features change their signs. They are those of the reflected jet, except that a feature that contains `ieta`
    differs by the size of one pixel.

    Args:
        batch: Jets.
        flips: Flips.
        meta: Metadata of the shards.
        feature_parity: Reflections (K,) that change the sign of each feature, as in `Network`; None drops features.
    """
    hits, cell = unravel_pixels(batch, meta)
    across = meta.side // cell
    bits = flips[hits.jet]
    row = torch.where((bits & ETA).bool(), across - 1 - hits.row, hits.row)
    column = torch.where((bits & PHI).bool(), across - 1 - hits.column, hits.column)
    odd = torch.tensor([ODD_LAYERS.get(name, 0) for name in meta.layers], dtype=torch.uint8)
    negate = (bits & odd.to(bits.device, non_blocking=True)[hits.layer]).bool()
    value = torch.where(negate, -batch.value, batch.value)
    pixel = (row * across + column).to(batch.pixel.dtype)
    # Without a position, both parts are empty.
    iphi, ieta = batch.position[:, :1], batch.position[:, 1:]
    position = torch.cat([iphi, torch.where((flips & ETA).bool()[:, None], -ieta - IETA_STEP, ieta)], dim=1)
    features = batch.features[:, :0] if feature_parity is None else reflect(batch.features, flips, feature_parity)
    return batch._replace(pixel=pixel, value=value, position=position, features=features)


def reflect(features: Tensor, flips: Tensor, parity: Tensor) -> Tensor:
    """Change the sign of features (B, K) with an odd number of bits that their parity (K,) and the flip (B,) share."""
    common = flips[:, None] & parity
    return torch.where((common & ETA).bool() ^ (common & PHI).bool(), -features, features)
