"""Compare `prongs` with and without an auxiliary target: whether the three quarks are in the window.

    python studies/auxiliary.py real/1 [--weight 0.02] [--seeds 1 2] [--out results/auxiliary]

The network, recipe and shards are those of this training, in results/. Both networks have the same start and the same
batches. The loss of the second one has an additional term, `--weight` times the cross-entropy of a further output with
the label; jets of the background have no label. The output is MAE and paired difference on the test jets per seed.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

sys.path.append(str(Path(__file__).resolve().parents[1] / "workflow/scripts"))
from topmass.config.configuration import REPO_ROOT, configure
from topmass.console import print_status, stage
from topmass.data.batches import SparseJets
from topmass.device import autocast, find_precision
from topmass.evaluation.bootstrap import Bootstrap
from topmass.evaluation.metrics import Metric, absolute
from topmass.files import BadInput, write_atomically
from topmass.limits import available_cores
from topmass.models.constituents import JET_DIM
from topmass.models.trained_model import TrainedModel
from topmass.preprocessing.shards import MASS_SCALE, Shard, load_shards
from topmass.progress import Progress, track
from topmass.report.provenance import commit
from topmass.report.settings import read_config
from topmass.training.inference import PREDICT_BATCH_SIZE
from topmass.training.recipe import Recipe
from topmass.training.run import NORM_SAMPLE_SIZE

CPU = torch.device("cpu")
METRICS = {
    "mae": Metric("MAE", "GeV", lambda mass, predicted, _: absolute(mass, predicted)),
    "difference": Metric(
        "ΔMAE", "GeV", lambda mass, predicted, plain: absolute(mass, predicted) - absolute(mass, plain)
    ),
}
"""Metrics of generated mass, predicted mass, and prediction without the auxiliary target, `(N,)` each, GeV."""
QUANTILES = 3


class TwoHeads(nn.Module):
    """Head of the masses, and one further output.

    Args:
        head: Head of the masses.
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head, self.logit = head, nn.Linear(JET_DIM, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return masses and logit (B, n_outputs + 1) of jet embeddings (B, JET_DIM)."""
        return torch.cat([self.head(x), self.logit(x.to(self.logit.weight.dtype))], dim=1)


def split_jets(folder: Path, model: TrainedModel) -> tuple[SparseJets, Tensor]:
    """Return the jets of a split with the features of the network, and their labels (N,): 1, 0 or NaN if unknown."""
    shards = list(load_shards(sorted(folder.glob("*.npz")), model.shards.statistics, model.shards))
    quarks = np.concatenate([shard.arrays["quarks_in_window"] for shard in shards])
    tracked = track(shards, f"features of {folder.name} jets", "shard")
    jets = SparseJets.build(tracked, model.shards, sum(map(len, shards)), 0, CPU, model.network)
    return jets, torch.from_numpy(np.where(np.isnan(quarks), np.nan, quarks == 3)).float()


def train(model: TrainedModel, recipe: Recipe, jets: SparseJets, label: Tensor, seed: int, weight: float) -> None:
    """Train a network in place with the schedule of its recipe; `weight` multiplies the auxiliary loss."""
    network, precision = model.network, find_precision("auto", CPU)
    network.fit_input_norm(jets.gather(torch.arange(len(jets))[:NORM_SAMPLE_SIZE], 0))
    optimizer = recipe.make_optimizer([*network.parameters()], fused=False)
    rng = np.random.default_rng(seed)
    steps = -(-len(jets) // recipe.batch_size)
    with Progress(f"training, auxiliary weight {weight:g}", recipe.epochs * len(jets)) as progress:
        for epoch in range(recipe.epochs):
            order = torch.from_numpy(rng.permutation(len(jets)))
            for step, chosen in enumerate(order.split(recipe.batch_size)):
                for group in optimizer.param_groups:
                    group["lr"] = recipe.cosine_lr(epoch * steps + step, steps)
                batch, truth = jets.gather(chosen, 0), label[chosen]
                with autocast(CPU, precision):
                    outputs = network(batch)
                loss = (recipe.loss_per_jet(outputs[:, :QUANTILES], batch.target) * batch.weight).mean()
                known = ~truth.isnan()
                terms = functional.binary_cross_entropy_with_logits(
                    outputs[known, QUANTILES], truth[known], batch.weight[known], reduction="sum"
                )
                optimizer.zero_grad()
                (loss + weight * terms / len(chosen)).backward()
                nn.utils.clip_grad_norm_(network.parameters(), recipe.gradient_clip_norm)
                optimizer.step()
                progress.update(len(chosen))


@torch.no_grad()
def predict(model: TrainedModel, jets: SparseJets) -> np.ndarray:
    """Return the median predictions (N,), GeV."""
    parts = torch.arange(len(jets)).split(PREDICT_BATCH_SIZE["cpu"])
    return (
        MASS_SCALE * torch.cat([model.network(jets.gather(chosen, 0))[:, QUANTILES // 2] for chosen in parts]).numpy()
    )


def compare(
    network: Mapping, recipe: Recipe, shards: Path, weight: float, seeds: Sequence[int], settings: Mapping, out: Path
) -> str:
    """Train both networks for each seed; return a table as Markdown.

    Args:
        network: Settings of the network `prongs`.
        recipe: Recipe with three quantiles and a cosine schedule.
        shards: Folder of the splits of a dataset.
        weight: Weight of the auxiliary loss, relative to that of masses in units of the mass scale.
        seeds: Seeds of start and batches.
        settings: The section `evaluate.bootstrap` of the configuration.
        out: Folder of `auxiliary.md`.

    Raises:
        BadInput: A split has no jets.
    """
    files = sorted((shards / "train").glob("*.npz"))
    if not files:
        raise BadInput(f"{shards / 'train'}: no shards; to fix: train a network on this dataset first")
    meta = Shard.load(files[0]).meta

    def new_model() -> TrainedModel:
        model = TrainedModel.new(network, meta, recipe.quantiles)
        model.network.backbone.head[-1] = TwoHeads(model.network.backbone.head[-1])
        return model

    (train_jets, label), (test, _) = (split_jets(shards / split, new_model()) for split in ("train", "test"))
    lines = [
        f"{len(train_jets):,} training and {len(test):,} test jets of {shards}, {recipe.epochs} epochs, "
        f"weight {weight:g}; commit {commit(REPO_ROOT)}.",
        "",
        "| seed | MAE, GeV | with the auxiliary target | difference, GeV |",
        "|--:|--:|--:|--:|",
    ]
    mass = (test.target * MASS_SCALE).numpy()
    for seed in seeds:
        predicted = []
        for each in (0, weight):
            torch.manual_seed(seed)
            model = new_model()
            train(model, recipe, train_jets, label, seed, each)
            predicted.append(predict(model, test))
        columns = {
            name: (mass, masses, predicted[0]) for name, masses in zip(("plain", "both"), predicted, strict=True)
        }
        (scores,) = Bootstrap(**settings).score(METRICS, columns, [np.arange(len(test))], test.event)
        cells = [scores["plain"]["mae"], scores["both"]["mae"], scores["both"]["difference"]]
        lines.append(
            f"| {seed} | {' | '.join('{value:.2f} [{low:.2f}, {high:.2f}]'.format(**cell) for cell in cells)} |"
        )
    table = "\n".join(lines) + "\n"
    write_atomically(out / "auxiliary.md", table)
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Compare a network with and without an auxiliary target.")
    parser.add_argument("training", metavar="EXPERIMENT/SEED", help="a training of this run, such as real/1")
    parser.add_argument("--weight", type=float, default=0.02, help="weight of the auxiliary loss")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", type=Path, default=Path("results/auxiliary"))
    args = parser.parse_args()
    with stage("auxiliary", str(args.out / "log.txt")):
        torch.set_num_threads(available_cores())
        trained = read_config(Path("results/train") / args.training / "training.json")
        (experiment,), (dataset,) = trained["experiments"].values(), trained["datasets"]
        table = compare(
            experiment["network"], Recipe(**experiment["recipe"]), Path("results/shards") / dataset,
            args.weight, args.seeds, configure([])["evaluate"]["bootstrap"], args.out,
        )  # fmt: skip
        print_status(table)
