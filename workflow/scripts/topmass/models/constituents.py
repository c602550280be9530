"""Base class of networks that take a set of constituents in addition to jet features."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from topmass.data.batches import SparseBatch
from topmass.features.hits import Hits, decode_hits
from topmass.features.towers import Towers, build_towers
from topmass.models.kinematics import jet_feature_parity, jet_features
from topmass.models.network import Network
from topmass.preprocessing.shards import ShardMeta

JET_DIM = 192
"""Dimension of the embedding of a jet."""
MASK_VALUE = -1e4
"""Logit of masked constituents. It is finite, so that the softmax over an empty jet is defined."""


class ConstituentNetwork(Network):
    """Network of jet features and of a fixed number of constituents per jet.

    Its backbone has `fit_input_norm` and `forward` of jet features (B, K) and constituents (B, columns, N).

    Args:
        column_parity: Reflections that change the sign of each column of the constituents; see `Network`.
        n_constituents: Constituents per jet, N.
    """

    needs_hits = False
    vertex_dz: float | None = None
    """As in `Towers`; the subclass may set it."""

    def __init__(self, shards: ShardMeta, n_outputs: int, column_parity: Sequence[int], n_constituents: int) -> None:
        jet_parity = jet_feature_parity(shards)
        super().__init__(shards, n_outputs, [*jet_parity, *np.repeat(column_parity, n_constituents)])
        self.n_jet_features, self.shape = len(jet_parity), (len(column_parity), n_constituents)

    def extract_constituents(self, hits: Hits, towers: Towers) -> Tensor:
        """Return constituents (B, columns, N) float32, padded with zeros."""
        raise NotImplementedError

    def compute_features(self, batch: SparseBatch) -> Tensor:
        """Compute jet features, followed by the flattened constituents. See `Network.compute_features`."""
        hits = decode_hits(batch, self.shards)
        towers = build_towers(hits, self.vertex_dz)
        constituents = self.extract_constituents(hits, towers).flatten(1)
        return torch.cat([jet_features(batch, hits, towers, self.shards), constituents], dim=1)

    def split_features(self, batch: SparseBatch) -> tuple[Tensor, Tensor]:
        """Return jet features (B, K) and constituents (B, columns, N)."""
        sizes = [self.n_jet_features, self.num_features - self.n_jet_features]
        features, constituents = self.cached_features(batch).split(sizes, dim=1)
        return features, constituents.unflatten(1, self.shape)

    def fit_input_norm(self, batch: SparseBatch) -> None:
        """Fit mean and standard deviation of all inputs. See `Network.fit_input_norm`."""
        self.backbone.fit_input_norm(*self.split_features(batch))

    def forward(self, batch: SparseBatch) -> Tensor:
        """See `Network.forward`."""
        return self.backbone(*self.split_features(batch))
