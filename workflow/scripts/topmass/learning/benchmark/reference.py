"""The reference's way of training, written anew from its description, to be compared with: every jet a dense picture.

Dense parquet files with one row group a jet; a Dataset that reads one row group at a time through `to_pydict`, which
makes a Python number of every pixel; a DataLoader with workers; float32, NCHW, eager, Adam; the loss read out at
each step (A. Ismail, "Fantastic Google Summer of Code Experiences", 2021, and its public code).
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from topmass.learning.feeding.batches import scatter
from topmass.learning.feeding.cutting import cut
from topmass.learning.feeding.sources import InMemory
from topmass.learning.networks.resnet15 import Convolutions
from topmass.learning.team import Team
from topmass.preprocessing.shards import MASS_SCALE
from topmass.sources.dense_file import nested


def write_dense(jets: InMemory, number: int, path: Path) -> None:
    """The first jets as in the public files: nested lists of doubles (C, H, W), one row group a jet."""
    left, writer = number, None
    for part in cut(jets.in_order(), min(number, 64), Team()):
        batch = part.on(torch.device("cpu"), jets.meta)
        images = scatter(batch, jets.meta)[:left].double().contiguous().numpy()
        columns = {"X_jet": nested(images), "m": batch.target * MASS_SCALE}
        # Its network knows of no jets without a position.
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
    """One row group a jet: image (C, H, W), position (2,), and mass / 500."""

    def __init__(self, path: Path) -> None:
        self.path, self.file = path, None
        self.jets = pq.ParquetFile(path).num_row_groups

    def __len__(self) -> int:
        return self.jets

    def __getitem__(self, jet: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        # Each worker opens the file for itself.
        self.file = self.file or pq.ParquetFile(self.path)
        row = self.file.read_row_group(jet).to_pydict()
        image = np.array(row["X_jet"][0], np.float32)
        image[np.abs(image) < 1e-5] = 0
        position = np.array([row["iphi"][0] / 360, row["ieta"][0] / 170], np.float32)
        return torch.from_numpy(image), torch.from_numpy(position), torch.tensor(row["m"][0] / MASS_SCALE).float()


def train_as_the_reference(path: Path, layers: int, batch: int, workers: int, device: torch.device) -> Iterator[int]:
    """Train over and over; yields the number of jets after each step."""
    network = Convolutions(layers).to(device)
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
