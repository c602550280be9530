"""Comparison of experiments: statistics over seeds, paired differences on common test jets."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from topmass.evaluation.bootstrap import Bootstrap
from topmass.evaluation.paired import paired_differences
from topmass.evaluation.predictions import Predictions
from topmass.evaluation.score import inclusive
from topmass.files import BadInput

COMPARISON_VERSION = 3
COMPARED = ("mae", "mre", "resolution", "bias")
"""Compared metrics."""
TRAINING_COST = ("jets", "epochs", "seconds", "jets_per_second")
"""Training statistics that are averaged over seeds; `jets` is included to show that it does not vary."""
KEY = ("event", "mass", "pt")
"""Columns that identify a jet; the event number alone may repeat between samples."""


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
        return {
            "experiment": self.name,
            "seeds": list(self.seeds),
            "test_jets": inclusive(self.metrics[0])["jets"],
            "training": {
                **{name: first[name] for name in ("network", "layers", "parameters")},
                **{name: mean_std([training[name] for training in self.trainings]) for name in TRAINING_COST},
            },
            "scores": {name: mean_std([found["network"][name]["value"] for found in scores]) for name in COMPARED},
            "by_mass": list(responses_by_mass(self.metrics)),
            # All seeds share one GBDT fit.
            "trees": point_estimates(scores[0], "trees_image"),
            **({"trees_subjets": point_estimates(scores[0], "trees_subjets")} if "trees_subjets" in scores[0] else {}),
        }


def point_estimates(scores: Mapping, estimator: str) -> dict[str, float] | None:
    """Return the metrics of one estimator without intervals; None if it was not scored."""
    return {name: scores[estimator][name]["value"] for name in COMPARED} if estimator in scores else None


def responses_by_mass(metrics: Sequence[Mapping]) -> Iterator[dict]:
    """Yield for each mass bin its edges in GeV and the response (median of predicted / generated) over seeds."""
    of_seeds = ([region for region in each["regions"] if region["by"] == "mass"] for each in metrics)
    for regions in zip(*of_seeds, strict=True):
        found = mean_std([region["scores"]["network"]["response"]["value"] for region in regions])
        yield {"mass": regions[0]["mass"], "response": found}


def mean_std(values: Sequence[float]) -> dict:
    """Return one value per seed, their mean and standard deviation; the deviation is None for a single seed."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"values": list(values), "mean": float(np.mean(values)), "deviation": deviation}


def compare_experiments(experiments: Sequence[Experiment]) -> dict:
    """Return comparison.json: one row per experiment, with its difference to the first one on common test jets.

    The minimum mass and the bootstrap settings are those of the first experiment's metrics.

    Raises:
        BadInput: If two experiments have common test jets of fewer than two events.
    """
    first = experiments[0]
    min_mass, bootstrap = first.metrics[0]["min_mass"], Bootstrap(**first.metrics[0]["bootstrap"])
    rows = [first.row() | {"shared_jets": None, "difference": None}]
    for other in experiments[1:]:
        mine, theirs = common_jets(first, other, min_mass)
        found = paired_difference(first, other, mine, theirs, bootstrap)
        rows.append(other.row() | {"shared_jets": len(mine), "difference": found})
    return {"version": COMPARISON_VERSION, "reference": first.name, "level": bootstrap.level, "rows": rows}


def common_jets(first: Experiment, other: Experiment, min_mass: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the common jets in the predictions of both experiments.

    Args:
        first: Reference experiment.
        other: Compared experiment.
        min_mass: Generated mass in GeV above which jets are used.

    Raises:
        BadInput: If the common jets are of fewer than two events.
    """
    jets = [np.rec.fromarrays([getattr(each.predictions[0], name) for name in KEY]) for each in (first, other)]
    _, mine, theirs = np.intersect1d(*jets, return_indices=True)
    used = first.predictions[0].mass[mine] > min_mass
    if len(np.unique(first.predictions[0].event[mine[used]])) < 2:
        raise BadInput(f"experiments '{first.name}' and '{other.name}' do not share the test jets of two events")
    return mine[used], theirs[used]


def paired_difference(
    first: Experiment, other: Experiment, mine: np.ndarray, theirs: np.ndarray, bootstrap: Bootstrap
) -> dict[str, dict[str, float]]:
    """Return the metrics of `other` minus those of `first`, averaged over seeds, with intervals.

    Args:
        first: Reference experiment.
        other: Compared experiment.
        mine: Rows of the common jets in the predictions of `first`.
        theirs: Rows of the same jets in the predictions of `other`.
        bootstrap: Bootstrap settings.
    """
    event, mass = (getattr(first.predictions[0], name)[mine] for name in ("event", "mass"))
    predicted = ([each.predicted[rows] for each in one.predictions] for one, rows in ((first, mine), (other, theirs)))
    return paired_differences(mass, event, *predicted, COMPARED, bootstrap)


def read_comparison(path: Path) -> dict:
    """Load a comparison.json.

    Raises:
        BadInput: If the file is not a comparison of this version.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["version"] != COMPARISON_VERSION:
            raise BadInput(f"{path}: comparison of version {found['version']}, this code reads {COMPARISON_VERSION}")
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path}: not a comparison ({type(error).__name__}: {error})") from None
    return found
