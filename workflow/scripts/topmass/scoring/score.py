"""All metrics of one set of predictions, overall and by mass, and a short table of them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

from topmass.files import BadInput
from topmass.scoring.baselines import baselines
from topmass.scoring.bootstrap import Bootstrap
from topmass.scoring.metrics import METRICS
from topmass.scoring.predictions import Predictions

TITLES = {
    "network": "network",
    "constant_mae": "best constant for MAE",
    "constant_mre": "best constant for MRE",
    "jet_mass": "jet mass",
    "softdrop_mass": "soft-drop mass",
}


def score(jets: Predictions, mass_bins: Sequence[float], mass_above: float, bootstrap: Bootstrap) -> dict:
    """Metrics with intervals of the network and of each baseline, overall and in each bin of mass (edges in GeV).

    Jets with a mass of `mass_above` or less are left out, as in the reference. BadInput if two events are not left.
    """
    used = jets.mass > mass_above
    if len(np.unique(jets.event[used])) < 2:
        raise BadInput(f"fewer than two events have a jet with a mass above {mass_above:g} GeV")
    jets = Predictions(**{name: values[used] for name, values in vars(jets).items()})
    bin_of = np.searchsorted(mass_bins, jets.mass, side="right") - 1
    bin_of[jets.mass == mass_bins[-1]] = len(mass_bins) - 2  # the last edge belongs to the last bin
    regions = np.stack([np.ones(len(jets.mass), bool), *(bin_of == i for i in range(len(mass_bins) - 1))], axis=1)
    scores: list[dict] = [{} for _ in regions.T]
    for name, guess in {"network": jets.predicted, **baselines(jets)}.items():
        numbers = [bootstrap.means(error(jets.mass, guess), regions, jets.event) for error in METRICS.values()]
        for region, values in zip(scores, zip(*numbers, strict=True), strict=True):
            region[name] = dict(zip(METRICS, values, strict=True))
    bins = zip(mass_bins[:-1], mass_bins[1:], regions.T[1:], scores[1:], strict=True)
    return {
        "jets": len(jets.mass),
        "mass_above": mass_above,
        "bootstrap": asdict(bootstrap),
        "overall": scores[0],
        "by_mass": [
            {"low": low, "high": high, "jets": int(region.sum()), **result} for low, high, region, result in bins
        ],
    }


def table(title: str, metrics: Mapping) -> str:
    """A few lines of text: MAE and MRE with their intervals of the network and of each baseline."""
    level = metrics["bootstrap"]["level"]
    lines = [
        f"{title}: {metrics['jets']:,} test jets; intervals: {level:.0%}, bootstrap over events",
        f"{'':24}{'MAE (GeV)':26}MRE (%)",
    ]
    for name, errors in metrics["overall"].items():
        mae, mre = interval(errors["mae"], 1), interval(errors["mre"], 100)
        lines.append(f"{TITLES[name]:24}{mae:26}{mre}")
    return "\n".join(lines) + "\n"


def interval(number: Mapping[str, float], factor: float) -> str:
    """A value and its interval, in other units."""
    value, low, high = (number[key] * factor for key in ("value", "low", "high"))
    return f"{value:6.2f} [{low:6.2f}, {high:6.2f}]"
