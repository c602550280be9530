"""Metrics, baselines, intervals, and the stage `evaluate`."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evaluate import evaluate
from topmass.files import BadInput
from topmass.scoring.baselines import baselines, weighted_median
from topmass.scoring.bootstrap import Bootstrap
from topmass.scoring.metrics import absolute_errors, relative_errors
from topmass.scoring.predictions import Predictions

BOOTSTRAP = {"resamples": 200, "level": 0.68, "seed": 1}


def made_up(jets: int, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    mass = rng.uniform(85, 500, jets)
    return Predictions(
        event=np.arange(jets) // 2, mass=mass, predicted=mass + rng.normal(0, 20, jets),
        pt=rng.uniform(400, 1000, jets), jet_mass=mass * 0.7, softdrop_mass=mass * 0.5,
    )  # fmt: skip


def test_errors_of_known_numbers():
    mass, predicted = np.array([100.0, 200, 400]), np.array([110.0, 180, 400])
    assert absolute_errors(mass, predicted).mean() == 10
    assert relative_errors(mass, predicted).mean() == pytest.approx(0.2 / 3)


def test_no_constant_is_better_than_the_baseline():
    jets = made_up(500)
    guesses = baselines(jets)
    constants = np.linspace(85, 500, 200)[:, None]
    assert (
        absolute_errors(jets.mass, guesses["constant_mae"]).mean()
        <= absolute_errors(jets.mass, constants).mean(axis=1).min()
    )
    assert (
        relative_errors(jets.mass, guesses["constant_mre"]).mean()
        <= relative_errors(jets.mass, constants).mean(axis=1).min()
    )


def test_constants_of_a_flat_mass_are_those_of_the_reference():
    mass = np.linspace(85, 500, 100_001)
    jets = Predictions(
        event=np.arange(len(mass)), **dict.fromkeys(("mass", "predicted", "pt", "jet_mass", "softdrop_mass"), mass)
    )
    guesses = baselines(jets)
    assert absolute_errors(mass, guesses["constant_mae"]).mean() == pytest.approx(103.75, abs=0.01)
    assert (
        guesses["constant_mre"][0] == pytest.approx(206, abs=1) and weighted_median(mass, np.ones_like(mass)) == 292.5
    )


def test_a_mass_that_the_source_does_not_know_is_no_baseline():
    jets = made_up(10)
    jets.jet_mass[3] = np.nan
    assert "jet_mass" not in baselines(jets) and "softdrop_mass" in baselines(jets)


def test_the_interval_is_that_of_the_central_limit_theorem():
    rng = np.random.default_rng(3)
    values = rng.normal(5, 2, 4000)
    everything = np.ones((4000, 1), bool)
    (found,) = Bootstrap(2000, 0.6827, 1).means(values, everything, np.arange(4000))
    assert found["value"] == pytest.approx(values.mean())
    assert (found["high"] - found["low"]) / 2 == pytest.approx(2 / np.sqrt(4000), rel=0.08)


def test_jets_of_one_event_are_drawn_together():
    values = np.repeat(np.random.default_rng(4).normal(0, 1, 1000), 4)
    together, apart = (
        Bootstrap(500, 0.68, 1).means(values, np.ones((4000, 1), bool), event)[0]
        for event in (np.arange(4000) // 4, np.arange(4000))
    )
    assert (together["high"] - together["low"]) / (apart["high"] - apart["low"]) == pytest.approx(2, rel=0.2)


def test_an_empty_region_has_no_mean():
    regions = np.array([[True, False], [True, False]])
    assert Bootstrap(10, 0.68, 1).means(np.ones(2), regions, np.arange(2))[1] is None


def score(jets: Predictions, folder, bins=(85, 300, 500)) -> tuple[dict, str]:
    jets.save(folder / "predictions.parquet")
    evaluate(
        folder / "predictions.parquet", folder / "metrics.json", folder / "summary.txt", "mine", 3, bins, 85, BOOTSTRAP
    )
    return json.loads((folder / "metrics.json").read_text()), (folder / "summary.txt").read_text()


def test_metrics_overall_and_by_mass_are_means_over_their_jets(tmp_path):
    jets = made_up(400)
    metrics, summary = score(jets, tmp_path)
    error = np.abs(jets.predicted.astype("f4") - jets.mass.astype("f4"))
    assert metrics["overall"]["network"]["mae"]["value"] == pytest.approx(error.mean(), rel=1e-5)
    assert metrics["by_mass"][1]["network"]["mae"]["value"] == pytest.approx(error[jets.mass >= 300].mean(), rel=1e-5)
    assert sum(region["jets"] for region in metrics["by_mass"]) == metrics["jets"] == 400
    assert metrics["experiment"] == "mine" and metrics["seed"] == 3
    for name in ("network", "best constant for MAE", "best constant for MRE", "jet mass", "soft-drop mass"):
        assert name in summary
    assert f"{error.mean():.2f}" in summary


def test_jets_at_or_below_the_cut_do_not_count(tmp_path):
    jets = made_up(50)
    jets.mass[:5] = 85
    assert score(jets, tmp_path)[0]["jets"] == 45


def test_same_predictions_same_bytes(tmp_path):
    jets = made_up(60)
    score(jets, tmp_path)
    before = (tmp_path / "metrics.json").read_bytes()
    score(jets, tmp_path)
    assert (tmp_path / "metrics.json").read_bytes() == before


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-8]), "not a whole parquet file"),
        (lambda path: path.write_text("mass\n1\n"), "not a whole parquet file"),
        (lambda path: pq.write_table(pa.table({"mass": [1.0]}), path), "no column 'event'"),
        (lambda path: pq.write_table(pq.read_table(path).slice(0, 0), path), "no jet"),
    ],
)
def test_predictions_that_are_none_are_refused(spoil, message, tmp_path):
    path = tmp_path / "predictions.parquet"
    made_up(10).save(path)
    spoil(path)
    with pytest.raises(BadInput, match=rf"predictions\.parquet: {message}"):
        Predictions.load(path)


def test_a_prediction_that_is_not_finite_is_refused_with_its_row(tmp_path):
    jets = made_up(10)
    jets.predicted[4] = np.nan
    jets.save(tmp_path / "p.parquet")
    with pytest.raises(BadInput, match=r"p\.parquet: row 4: predicted is not finite"):
        Predictions.load(tmp_path / "p.parquet")


def test_bins_have_their_lower_edge_the_last_also_its_upper_and_none_of_one_event_has_an_interval(tmp_path):
    jets = made_up(6)
    jets.mass[:] = [100, 200, 200, 300, 500, 500]
    jets.event[:] = [1, 2, 3, 4, 5, 6]
    bins = score(jets, tmp_path, bins=(100, 200, 300, 500))[0]["by_mass"]
    assert [each["jets"] for each in bins] == [1, 2, 3]
    assert bins[0]["network"]["mae"] is None and bins[1]["network"]["mae"]["low"] is not None


def test_no_jet_above_the_cut_is_refused(tmp_path):
    jets = made_up(10)
    jets.mass[:] = 85
    with pytest.raises(BadInput, match="fewer than two events have a jet with a mass above 85 GeV"):
        score(jets, tmp_path)
