"""GBDT baselines on jet features."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import lightgbm
import numpy as np

from topmass.features.feature_registry import JET_FEATURES, MOMENT_FEATURES, SUBJET_FEATURES, Feature
from topmass.features.feature_table import FeatureTable
from topmass.files import classify_read_error, write_atomically
from topmass.progress import Progress

FEATURES_BY_NAME = {feature.name: feature for feature in MOMENT_FEATURES + SUBJET_FEATURES + JET_FEATURES}

PARAMS = {
    "objective": "mae", "learning_rate": 0.1, "num_leaves": 31, "verbosity": -1,
    # Reproducible with any number of threads.
    "seed": 1, "deterministic": True, "force_col_wise": True,
}  # fmt: skip
MANY_FEATURES = 100
"""Number of jet features above which `PARAMS_MANY_FEATURES` apply."""
PARAMS_MANY_FEATURES = {"feature_fraction": 0.3}
"""Fraction of the features per tree. For 325 features of 17,097 and of 85,878 jets, it lowered the MAE by 0.13 and
0.12 GeV on 10,976 validation jets, and raised it by 0.45 and 0.18 GeV on 10,950 test jets. These samples show no clear
difference, and the fit takes less than half of the time."""
NUM_BOOST_ROUND = 2000
"""Maximum number of rounds; 48,000 jets take about 200."""
EARLY_STOPPING_ROUNDS = 30
"""Rounds without a lower validation error after which boosting stops."""


@dataclass(frozen=True)
class GBDTBaseline:
    """GBDT that predicts masses from columns of a feature table.

    Attributes:
        booster: Fitted LightGBM model.
        features: Input features, in the order of the columns.
        threads: Threads for predictions.
    """

    booster: lightgbm.Booster
    features: tuple[Feature, ...]
    threads: int

    @classmethod
    def fit(
        cls, train: FeatureTable, validation: FeatureTable, features: Sequence[Feature], threads: int, title: str
    ) -> "GBDTBaseline":
        """Fit a GBDT for the lowest weighted MAE.

        Features that no training jet has are omitted. The validation jets determine the number of rounds. `title` is
        that of the progress bar.
        """
        candidates = [feature for feature in features if feature in train.features]
        # `fmin` ignores NaN: the result is NaN only for features that no jet has.
        empty = np.isnan(np.fmin.reduce(train.select(candidates)))
        available = tuple(feature for feature, is_empty in zip(candidates, empty, strict=True) if not is_empty)
        arrays = (
            (jets.select(available), jets.jet_arrays["mass"], jets.jet_arrays["weight"]) for jets in (train, validation)
        )
        return cls(fit_booster(*arrays, threads, title, [feature.name for feature in available]), available, threads)

    def save(self, path: Path) -> None:
        """Write the trees and the names of their features in LightGBM's text format."""
        # The number of threads does not change the trees.
        write_atomically(path, re.sub(r"\[num_threads: \d+\]\n", "", self.booster.model_to_string()))

    @classmethod
    def load(cls, path: Path, threads: int) -> "GBDTBaseline":
        """Load a saved GBDT.

        Raises:
            BadInput: The file is damaged, or has other features than this code computes.
        """
        try:
            booster = lightgbm.Booster(model_str=path.read_text(encoding="utf-8"))
            features = tuple(FEATURES_BY_NAME[name] for name in booster.feature_name())
        except (lightgbm.basic.LightGBMError, KeyError, UnicodeDecodeError) as error:
            raise classify_read_error(error, f"{path}: not a GBDT on jet features") from None
        return cls(booster, features, threads)

    @property
    def error(self) -> float:
        """MAE on the validation jets, GeV."""
        return self.booster.best_score["valid_0"]["l1"]

    def predict(self, jets: FeatureTable) -> np.ndarray:
        """Return masses (N,) float32, GeV."""
        return self.booster.predict(jets.select(self.features), num_threads=self.threads).astype("f4")


def fit_booster(
    train: Sequence[np.ndarray], validation: Sequence[np.ndarray], threads: int, title: str, names: list[str]
) -> lightgbm.Booster:
    """Fit a booster with the number of rounds that is best for the validation jets.

    `train` and `validation` are features (N, K), masses (N,) in GeV and weights (N,). `names` are the K features.
    """
    settings = PARAMS | (PARAMS_MANY_FEATURES if train[0].shape[1] > MANY_FEATURES else {}) | {"num_threads": threads}
    train_set, validation_set = (
        lightgbm.Dataset(features, mass, weight=weight, params=settings, feature_name=names)
        for features, mass, weight in (train, validation)
    )
    validation_set.set_reference(train_set)  # same bins
    stop = lightgbm.early_stopping(EARLY_STOPPING_ROUNDS, verbose=False)
    with Progress(title, None, "round") as rounds:

        def show(round_end: lightgbm.callback.CallbackEnv) -> None:
            rounds.update(1, f"validation MAE {round_end.evaluation_result_list[0][2]:.2f} GeV")

        return lightgbm.train(settings, train_set, NUM_BOOST_ROUND, [validation_set], callbacks=[show, stop])
