"""What all networks are: a batch of sparse jets in, the masses out."""

from torch import Tensor, nn

from topmass.learning.feeding.batches import SparseBatch
from topmass.preprocessing.shards import ShardMeta


class Network(nn.Module):
    """A network of jets of shards like `shards`, with so many `outputs` a jet.

    `body` is what comes after a batch has become tensors whose shapes depend on the number of jets alone: torch.compile
    makes kernels for it. A network that takes `numbers` of a jet which do not change while it is trained says how many,
    and makes them in `look`: they are kept beside the jets, or instead of them where it does not take their `hits`.
    """

    hits = True
    numbers = 0
    body: nn.Module

    def __init__(self, shards: ShardMeta, outputs: int) -> None:
        super().__init__()
        self.shards, self.outputs = shards, outputs

    def look(self, batch: SparseBatch) -> Tensor:
        """Numbers (B, `numbers`) float32 of a batch with its hits."""
        return batch.position.new_zeros(batch.position.shape[0], 0)

    def seen(self, batch: SparseBatch) -> Tensor:
        """The same, as they were kept if they were."""
        return batch.numbers if batch.numbers.shape[1] == self.numbers else self.look(batch)

    def adapt(self, batch: SparseBatch) -> None:
        """Take from some jets of the training what has to be known of them all before it starts."""

    def forward(self, batch: SparseBatch) -> Tensor:
        """Masses in units of the mass scale, (B, `outputs`) float32, rising from output to output."""
        raise NotImplementedError
