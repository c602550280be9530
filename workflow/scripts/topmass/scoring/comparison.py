"""Experiments side by side: means and spreads over seeds, and paired differences on the test jets that they share."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from topmass.files import BadInput
from topmass.scoring.bootstrap import Bootstrap
from topmass.scoring.paired import paired_differences
from topmass.scoring.predictions import Predictions
from topmass.scoring.score import overall

VERSION = 3
COMPARED = ("mae", "mre", "resolution", "bias")
"""The metrics that are compared."""
SPENT = ("jets", "epochs", "seconds", "jets_per_second")
"""What differs from seed to seed of a training besides its scores; jets do not, and show that they do not."""
KEY = ("event", "mass", "pt")
"""What tells whether two rows of predictions are of one jet: events of different samples may have the same number."""


@dataclass(frozen=True)
class Experiment:
    """An experiment's runs, in the order of its seeds: metrics.json, training.json and predictions of each."""

    name: str
    seeds: Sequence[int]
    metrics: Sequence[Mapping]
    trainings: Sequence[Mapping]
    predictions: Sequence[Predictions]

    def row(self) -> dict:
        """What is told of it alone."""
        first, scores = self.trainings[0], [overall(metrics)["scores"] for metrics in self.metrics]
        return {
            "experiment": self.name,
            "seeds": list(self.seeds),
            "test_jets": overall(self.metrics[0])["jets"],
            "training": {
                **{name: first[name] for name in ("network", "layers", "parameters")},
                **{name: spread([training[name] for training in self.trainings]) for name in SPENT},
            },
            "scores": {name: spread([found["network"][name]["value"] for found in scores]) for name in COMPARED},
            "by_mass": list(responses_by_mass(self.metrics)),
            # Of one fit, which all seeds share.
            "trees": plain(scores[0], "trees_image"),
            **({"trees_subjets": plain(scores[0], "trees_subjets")} if "trees_subjets" in scores[0] else {}),
        }


def plain(scores: Mapping, estimator: str) -> dict[str, float] | None:
    """The metrics of one estimator without their intervals; None if it has not been scored."""
    return {name: scores[estimator][name]["value"] for name in COMPARED} if estimator in scores else None


def responses_by_mass(metrics: Sequence[Mapping]) -> Iterator[dict]:
    """For each bin of mass, its ends in GeV and what the seeds have for the median of predicted / generated mass."""
    of_seeds = ([region for region in each["regions"] if region["by"] == "mass"] for each in metrics)
    for regions in zip(*of_seeds, strict=True):
        found = spread([region["scores"]["network"]["response"]["value"] for region in regions])
        yield {"mass": regions[0]["mass"], "response": found}


def spread(values: Sequence[float]) -> dict:
    """One number of each seed, their mean and their standard deviation; no deviation of a single one."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"values": list(values), "mean": float(np.mean(values)), "deviation": deviation}


def compare_experiments(experiments: Sequence[Experiment]) -> dict:
    """A row for each experiment, with its difference to the first one on the very jets that both have in their test.

    The cut on the mass and the bootstrap are those of the metrics. BadInput if two experiments have no jets in common.
    """
    first = experiments[0]
    mass_above, bootstrap = first.metrics[0]["mass_above"], Bootstrap(**first.metrics[0]["bootstrap"])
    rows = [first.row() | {"shared_jets": None, "difference": None}]
    for other in experiments[1:]:
        mine, theirs = shared(first, other, mass_above)
        found = difference(first, other, mine, theirs, bootstrap)
        rows.append(other.row() | {"shared_jets": len(mine), "difference": found})
    return {"version": VERSION, "reference": first.name, "level": bootstrap.level, "rows": rows}


def shared(first: Experiment, other: Experiment, mass_above: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows in the predictions of both experiments that are of the same jets, of a mass above this."""
    jets = [np.rec.fromarrays([getattr(each.predictions[0], name) for name in KEY]) for each in (first, other)]
    _, mine, theirs = np.intersect1d(*jets, return_indices=True)
    used = first.predictions[0].mass[mine] > mass_above
    if len(np.unique(first.predictions[0].event[mine[used]])) < 2:
        raise BadInput(f"experiments '{first.name}' and '{other.name}' do not share the test jets of two events")
    return mine[used], theirs[used]


def difference(
    first: Experiment, other: Experiment, mine: np.ndarray, theirs: np.ndarray, bootstrap: Bootstrap
) -> dict[str, dict[str, float]]:
    """Metrics of `other` less those of `first` on the same jets, means over seeds, with their intervals."""
    event, mass = (getattr(first.predictions[0], name)[mine] for name in ("event", "mass"))
    predicted = ([each.predicted[rows] for each in one.predictions] for one, rows in ((first, mine), (other, theirs)))
    return paired_differences(mass, event, *predicted, COMPARED, bootstrap)


def read_comparison(path: Path) -> dict:
    """A comparison from its JSON; BadInput if it is none of this version."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["version"] != VERSION:
            raise BadInput(f"{path}: comparison of version {found['version']}, this code reads {VERSION}")
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path}: not a comparison ({type(error).__name__}: {error})") from None
    return found
