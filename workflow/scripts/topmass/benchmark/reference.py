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
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from topmass.data.batches import to_dense_images
from topmass.data.batching import iter_batches
from topmass.data.datasets import InMemoryDataset
from topmass.io.dense_file import nested_images
from topmass.models.resnet15 import ResNetBody
from topmass.preprocessing.shards import MASS_SCALE
from topmass.process_group import ProcessGroup


def write_dense(jets: InMemoryDataset, number: int, path: Path) -> None:
    """Write the first `number` jets as in the public files: nested lists of doubles (C, H, W), a row group per jet."""
    left, writer = number, None
    for part in iter_batches(jets.in_order(), min(number, 64), ProcessGroup()):
        batch = part.on(torch.device("cpu"), jets.meta)
        images = to_dense_images(batch, jets.meta)[:left].double().contiguous().numpy()
        columns = {"X_jet": nested_images(images), "m": batch.target * MASS_SCALE}
        # The reference network requires a position: use zeros if it is unknown.
        iphi, ieta = functional.pad(batch.position, (0, 2 - jets.meta.coordinates)).unbind(1)
        columns |= {"iphi": iphi * 360, "ieta": ieta * 170}
        table = pa.table({name: np.asarray(each)[:left] if name != "X_jet" else each for name, each in columns.items()})
        writer = writer or pq.ParquetWriter(path, table.schema, compression="snappy")
        writer.write_table(table, row_group_size=1)
        left -= len(table)
        if not left:
            writer.close()
            return


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


def train_as_the_reference(path: Path, layers: int, batch: int, workers: int, device: torch.device) -> Iterator[int]:
    """Train the reference network indefinitely on a file from `write_dense`; yield the number of jets per step."""
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
            yield len(target)
