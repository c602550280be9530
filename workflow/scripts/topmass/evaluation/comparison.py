"""Comparison of experiments: statistics over seeds, paired differences on common test jets."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from topmass.console import log_info
from topmass.evaluation.bootstrap import Bootstrap, paired_differences
from topmass.evaluation.metrics import METRICS
from topmass.evaluation.predictions import JET_KEY, Predictions
from topmass.evaluation.results_file import read_results
from topmass.evaluation.score import MAIN_METRICS, inclusive
from topmass.evaluation.score_frame import format_difference

COMPARISON_VERSION = 3
TRAINING_COST = ("jets", "epochs", "seconds", "jets_per_second")
"""Training statistics that are averaged over seeds; `jets` is included to show that it does not vary."""
HEADS = ("experiment", "seeds", "jets", "epochs", "seconds", "MAE (GeV)", "MRE (%)", "resolution (%)")


@dataclass(frozen=True)
class Experiment:
    """Runs of an experiment: metrics.json, training.json and predictions of each seed, in the order of `seeds`."""

    name: str
    seeds: Sequence[int]
    metrics: Sequence[Mapping]
    trainings: Sequence[Mapping]
    predictions: Sequence[Predictions]

    def row(self) -> dict:
        """Return the experiment's own entries of its row in comparison.json."""
        first, scores = self.trainings[0], [inclusive(metrics)["scores"] for metrics in self.metrics]
        # All seeds share one GBDT fit.
        gbdt = {
            kind: {name: scores[0][kind][name]["value"] for name in MAIN_METRICS}
            for kind in ("trees_image", "trees_subjets")
            if kind in scores[0]
        }
        return {
            "experiment": self.name,
            "seeds": list(self.seeds),
            "test_jets": inclusive(self.metrics[0])["jets"],
            "training": {
                **{name: first[name] for name in ("network", "layers", "parameters")},
                **{name: mean_std([training[name] for training in self.trainings]) for name in TRAINING_COST},
            },
            "scores": {name: mean_std([seed["network"][name]["value"] for seed in scores]) for name in MAIN_METRICS},
            "by_mass": list(responses_by_mass(self.metrics)),
            "trees": gbdt.get("trees_image"),
            **({"trees_subjets": gbdt["trees_subjets"]} if "trees_subjets" in gbdt else {}),
        }


def responses_by_mass(metrics: Sequence[Mapping]) -> Iterator[dict]:
    """Yield for each mass bin its edges in GeV and the response (median of predicted / generated) over seeds."""
    seeds = ([region for region in run["regions"] if region["by"] == "mass"] for run in metrics)
    for regions in zip(*seeds, strict=True):
        response = mean_std([region["scores"]["network"]["response"]["value"] for region in regions])
        yield {"mass": regions[0]["mass"], "response": response}


def mean_std(values: Sequence[float]) -> dict:
    """Return one value per seed, their mean and standard deviation; the deviation is None for a single seed."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"values": list(values), "mean": float(np.mean(values)), "deviation": deviation}


def compare_experiments(experiments: Sequence[Experiment]) -> dict:
    """Return comparison.json: one row per experiment, with its difference to the first one on common test jets.

    The minimum mass and the bootstrap settings are those of the first experiment's metrics. There is no difference
    without common test jets of two events, as for experiments with different samples.
    """
    first = experiments[0]
    min_mass, bootstrap = first.metrics[0]["min_mass"], Bootstrap(**first.metrics[0]["bootstrap"])
    rows = [first.row() | {"shared_jets": None, "difference": None}]
    for other in experiments[1:]:
        common = common_jets(first, other, min_mass)
        if len(np.unique(first.predictions[0].event[common[0]])) < 2:
            log_info(f"no differences between '{first.name}' and '{other.name}': their test jets are others")
            rows.append(other.row() | {"shared_jets": None, "difference": None})
            continue
        event, mass = (getattr(first.predictions[0], name)[common[0]] for name in ("event", "mass"))
        predicted = (
            [seed.predicted[jets] for seed in experiment.predictions]
            for experiment, jets in zip((first, other), common, strict=True)
        )
        difference = paired_differences(mass, event, *predicted, MAIN_METRICS, bootstrap)
        rows.append(other.row() | {"shared_jets": len(common[0]), "difference": difference})
    return {"version": COMPARISON_VERSION, "reference": first.name, "level": bootstrap.level, "rows": rows}


def common_jets(first: Experiment, other: Experiment, min_mass: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the common jets above `min_mass` (GeV) in the predictions of both experiments."""
    keys = [np.rec.fromarrays([getattr(run.predictions[0], name) for name in JET_KEY]) for run in (first, other)]
    _, rows, other_rows = np.intersect1d(*keys, return_indices=True)
    used = first.predictions[0].mass[rows] > min_mass
    return rows[used], other_rows[used]


def read_comparison(path: Path) -> dict:
    """Load a comparison.json; BadInput if the file is not a comparison of this version."""
    return read_results(path, "comparisons", COMPARISON_VERSION, lambda content: content["rows"])


def comparison_csv(comparison: Mapping) -> str:
    """Return a comparison as CSV, one row per experiment; mean, deviation and interval ends are separate columns."""
    rows = [flatten_row(row) for row in comparison["rows"]]
    return pd.DataFrame(rows, dtype=object).to_csv(index=False, lineterminator="\n")


def flatten_row(row: Mapping) -> dict:
    """Return an experiment's row as a flat dictionary."""
    training, difference = row["training"], row["difference"] or {}
    columns = {"experiment": row["experiment"], "seeds": len(row["seeds"]), "test_jets": row["test_jets"]}
    columns |= {"network": training["network"], "layers": " ".join(training["layers"])}
    columns |= {"parameters": training["parameters"]}
    for name, over_seeds in ({name: training[name] for name in TRAINING_COST} | row["scores"]).items():
        columns |= {name: over_seeds["mean"], f"{name}_deviation": over_seeds["deviation"]}
    columns["shared_jets"] = row["shared_jets"]
    for name in MAIN_METRICS:
        for end, suffix in {"value": "", "low": "_low", "high": "_high"}.items():
            columns[f"{name}_difference{suffix}"] = difference.get(name, {}).get(end)
    return columns


def comparison_text(comparison: Mapping) -> str:
    """Return a comparison as a text table: training cost, MAE, MRE, resolution and the paired difference in MAE."""
    lines = [[*HEADS, f"ΔMAE to {comparison['reference']} (GeV)"], *map(format_row, comparison["rows"])]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
    level = f"{comparison['level']:.0%} intervals of paired differences: bootstrap over events and seeds"
    return "\n".join([*rows, f"± standard deviation over seeds; {level}"]) + "\n"


def format_row(row: Mapping) -> list[str]:
    """Return the cells of an experiment; the difference of the reference is empty."""
    jets, epochs, seconds = (row["training"][name]["mean"] for name in ("jets", "epochs", "seconds"))
    cells = [row["experiment"], f"{len(row['seeds'])}", f"{jets:,.0f}", f"{epochs:.3g}", f"{seconds:,.0f}"]
    for name in ("mae", "mre", "resolution"):
        mean, deviation, factor = row["scores"][name]["mean"], row["scores"][name]["deviation"], METRICS[name].factor
        cells.append(f"{mean * factor:.2f}" + ("" if deviation is None else f" ± {deviation * factor:.2f}"))
    if not row["difference"]:
        return [*cells, ""]
    return [*cells, f"{format_difference(row['difference']['mae'], 1)} on {row['shared_jets']:,} jets"]
