"""Training pipeline of the reference, reimplemented from its description, for comparison.

Dense parquet files contain one row group per jet. A Dataset reads one row group at a time with `to_pydict`, which
converts each pixel to a Python number. A DataLoader has several workers. Training is in float32, NCHW and eager mode,
with Adam, and reads the loss at each step (A. Ismail, "Fantastic Google Summer of Code Experiences", 2021, and its
public code).
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch.utils.data import DataLoader, Dataset

from topmass.data.batches import SparseBatch, SparseJets, to_dense_images
from topmass.data.batching import iter_batches
from topmass.data.datasets import InMemoryDataset
from topmass.io.dense_file import nested_images
from topmass.models.resnet15 import ResNetBody
from topmass.preprocessing.shards import MASS_SCALE, Shard, ShardMeta
from topmass.process_group import ProcessGroup


def write_dense(shard: Shard, path: Path) -> None:
    """Write jets as in the public files: nested lists of doubles (C, H, W), one row group per jet."""
    cpu = torch.device("cpu")
    jets = InMemoryDataset(SparseJets.of(shard, cpu))
    tables = [
        to_table(batch.on(cpu, shard.meta), shard.meta) for batch in iter_batches(jets.in_order(), 64, ProcessGroup())
    ]
    pq.write_table(pa.concat_tables(tables), path, row_group_size=1)


def to_table(batch: SparseBatch, meta: ShardMeta) -> pa.Table:
    """Return a batch as a table with the columns of the public files."""
    images = nested_images(to_dense_images(batch, meta).double().contiguous().numpy())
    iphi, ieta = batch.position.numpy().T
    return pa.table({"X_jet": images, "m": (batch.target * MASS_SCALE).numpy(), "iphi": iphi * 360, "ieta": ieta * 170})


class RowGroups(Dataset):
    """Dataset with one row group per jet: image (C, H, W), position (2,), and mass / `MASS_SCALE`."""

    def __init__(self, path: Path) -> None:
        self.path, self.file = path, None
        self.jets = pq.ParquetFile(path).num_row_groups

    def __len__(self) -> int:
        return self.jets

    def __getitem__(self, jet: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        # Each worker opens its own file handle.
        self.file = self.file or pq.ParquetFile(self.path)
        row = self.file.read_row_group(jet).to_pydict()
        image = np.array(row["X_jet"][0], np.float32)
        image[np.abs(image) < 1e-5] = 0
        position = np.array([row["iphi"][0] / 360, row["ieta"][0] / 170], np.float32)
        return torch.from_numpy(image), torch.from_numpy(position), torch.tensor(row["m"][0] / MASS_SCALE).float()


def train_as_the_reference(path: Path, layers: int, batch: int, workers: int, device: torch.device) -> Iterator[None]:
    """Train the reference network indefinitely on a file from `write_dense`; yield after each step."""
    network = ResNetBody(layers).to(device)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    loader = DataLoader(RowGroups(path), batch, shuffle=True, num_workers=workers, persistent_workers=workers > 0)
    while True:
        for image, position, target in loader:
            loss = (network(image.to(device), position.to(device))[:, 0] - target.to(device)).abs().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()
            yield
