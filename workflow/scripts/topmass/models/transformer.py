"""Network `transformer`: attention over the leading towers, with a pairwise bias."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from topmass.features.hits import Hits
from topmass.features.leading_towers import (
    N_PAIR_FEATURES,
    N_TOWER_FEATURES,
    TOWER_PARITY,
    leading_towers,
    pairwise_features,
    tower_features,
)
from topmass.features.p4 import minkowski_dot
from topmass.features.towers import Towers
from topmass.models.constituents import JET_DIM, MASK_VALUE, ConstituentNetwork
from topmass.models.network import InputNorm, mlp, zero_init_head
from topmass.preprocessing.shards import ShardMeta

PAIR_HIDDEN_DIM = 16
"""Hidden features of the pairwise bias."""
N_POOLED_P4 = 8
"""Four-momenta from learned soft clustering of all towers."""
N_NORM_JETS = 256
"""Jets to whose pairs of towers the normalisation is fitted."""


class Transformer(ConstituentNetwork):
    """Transformer encoder over the leading towers of a jet.

    Args:
        towers: Number of leading towers T.
        width: Features per tower and attention head.
        heads: Attention heads.
        num_layers: Encoder blocks.
    """

    def __init__(
        self, shards: ShardMeta, n_outputs: int, towers: int = 40, width: int = 12, heads: int = 4, num_layers: int = 2
    ) -> None:
        super().__init__(shards, n_outputs, TOWER_PARITY, towers)
        self.towers = towers
        self.backbone = TowerTransformer(self.n_jet_features, heads * width, heads, num_layers, n_outputs)

    def extract_constituents(self, hits: Hits, towers: Towers) -> Tensor:
        """Return the leading towers. See `ConstituentNetwork.extract_constituents`."""
        return leading_towers(towers, self.towers)


class TowerTransformer(nn.Module):
    """Backbone of `Transformer`: jet features (B, K) and towers (B, columns, T) to outputs (B, n_outputs)."""

    def __init__(self, n_features: int, width: int, heads: int, num_layers: int, n_outputs: int) -> None:
        super().__init__()
        self.jet_norm, self.tower_norm = InputNorm(n_features), InputNorm(N_TOWER_FEATURES)
        self.jet_embedding = mlp(n_features, JET_DIM, 2)
        self.jet_to_tower, self.tower_embedding = nn.Linear(JET_DIM, width), nn.Linear(N_TOWER_FEATURES, width)
        self.bias = PairwiseBias(heads)
        self.blocks = nn.ModuleList(EncoderBlock(width, heads) for _ in range(num_layers))
        self.norm, self.pool_logits = nn.LayerNorm(width), nn.Linear(width, heads)
        self.p4_logits = nn.Linear(width, N_POOLED_P4)
        pooled = (heads + 1) * width + N_POOLED_P4 * (N_POOLED_P4 + 3) // 2
        self.head = nn.Sequential(*mlp(JET_DIM + pooled, JET_DIM, 2), zero_init_head(JET_DIM, n_outputs))

    @torch.no_grad()
    def fit_input_norm(self, features: Tensor, towers: Tensor) -> None:
        """Fit the normalisation to these jets and to their towers, padding excluded."""
        mask = tower_mask(towers)
        self.jet_norm.fit(features)
        self.tower_norm.fit(tower_features(towers)[mask])
        some = mask[:N_NORM_JETS]
        self.bias.norm.fit(pairwise_features(towers[:N_NORM_JETS, :4])[some[:, :, None] & some[:, None]])

    def forward(self, features: Tensor, towers: Tensor) -> Tensor:
        """Return outputs (B, n_outputs) float32."""
        jet, mask = self.jet_embedding(self.jet_norm(features)), tower_mask(towers)
        x = self.tower_embedding(self.tower_norm(tower_features(towers))) + self.jet_to_tower(jet)[:, None]
        bias = self.bias(towers[:, :4]).masked_fill(~mask[:, None], MASK_VALUE)
        for block in self.blocks:
            x = block(x, bias)
        x = self.norm(x)
        pool = self.pool_logits(x).masked_fill(~mask[..., None], MASK_VALUE).softmax(1)
        largest = (functional.relu(x) * mask[..., None]).amax(1)
        invariants = pooled_p4_invariants(self.p4_logits(x), towers[:, :4].mT)
        return self.head(torch.cat([jet, (pool.mT @ x).flatten(1), largest, invariants], dim=1))


class PairwiseBias(nn.Module):
    """Pairwise attention bias from ΔR, kT, z and m², as in the Particle Transformer (arXiv:2202.03772)."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.norm = InputNorm(N_PAIR_FEATURES)
        self.fc1, self.fc2 = nn.Linear(N_PAIR_FEATURES, PAIR_HIDDEN_DIM), nn.Linear(PAIR_HIDDEN_DIM, heads)

    def forward(self, p4: Tensor) -> Tensor:
        """Return biases (heads, B, T, T) of four-momenta (B, 4, T)."""
        pairs = self.norm(pairwise_features(p4)).movedim(3, 0)
        # The pairs are the last dimension: attention takes the biases in this memory layout.
        hidden = functional.relu(torch.addmm(self.fc1.bias[:, None], self.fc1.weight, pairs.flatten(1)))
        bias = torch.addmm(self.fc2.bias[:, None], self.fc2.weight, hidden)
        return bias.unflatten(1, (-1, *pairs.shape[2:]))


class EncoderBlock(nn.Module):
    """Attention with a bias, then a perceptron per tower. Both are residual, and change nothing before training."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        for last in (self.out_proj, self.fc2):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Return updated towers (B, T, width) of towers (B, T, width) and biases (heads, B, T, T)."""
        head_dim = x.shape[2] // self.heads
        qkv = self.qkv(self.norm1(x)).unflatten(2, (3, self.heads, head_dim))
        query, key, value = qkv.permute(2, 3, 0, 1, 4).flatten(1, 2)
        logits = torch.baddbmm(bias.flatten(0, 1), query, key.mT, alpha=head_dim**-0.5)
        attended = (logits.softmax(2) @ value).unflatten(0, (self.heads, x.shape[0]))
        x = x + self.out_proj(attended.permute(1, 2, 0, 3).flatten(2))
        return x + self.fc2(functional.gelu(self.fc1(self.norm2(x))))


def tower_mask(towers: Tensor) -> Tensor:
    """Return a mask (B, T): True for towers, False for padding, which has no energy."""
    return towers[:, 3] > 0


def pooled_p4_invariants(logits: Tensor, p4: Tensor) -> Tensor:
    """Return ln pT² and the logarithms of all Minkowski products of softly clustered four-momenta.

    Args:
        logits: Assignment logits (B, T, N_POOLED_P4).
        p4: Four-momenta of the towers (B, T, 4), GeV.
    """
    with torch.autocast(p4.device.type, enabled=False):
        total = logits.float().sigmoid().mT @ p4
    first, second = torch.triu_indices(N_POOLED_P4, N_POOLED_P4, device=total.device)
    invariants = torch.cat([total[..., :2].square().sum(2), minkowski_dot(total, total)[:, first, second]], dim=1)
    # About as far from zero as normalised features.
    return invariants.clamp(min=1.0).log() / 4 - 2
