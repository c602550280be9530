"""Metrics, baselines, intervals, and the stage `evaluate`."""

import io
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from jsonschema import Draft202012Validator

from conftest import REPOSITORY
from evaluate import evaluate
from topmass.evaluation.bootstrap import Bootstrap, Resamples
from topmass.evaluation.metrics import METRICS, absolute, relative
from topmass.evaluation.predictions import PREDICTION_COLUMNS, Predictions
from topmass.evaluation.regions import occupied_edges
from topmass.evaluation.score import TITLES, baselines, baselines_not_beaten, weighted_median
from topmass.files import BadInput

BOOTSTRAP = {"resamples": 200, "level": 0.68, "seed": 1}
BINS = {"mass": (85, 300, 500), "pt": (400, 700, 1000)}
SCHEMA = yaml.safe_load((REPOSITORY / "workflow/schemas/metrics.schema.yaml").read_text(encoding="utf-8"))


def made_up(jets: int, seed: int = 0, bias: float = 0, width: float = 20) -> Predictions:
    rng = np.random.default_rng(seed)
    mass = rng.uniform(86, 500, jets)
    return Predictions(
        event=np.arange(jets) // 2, mass=mass, predicted=mass + rng.normal(bias, width, jets),
        pt=rng.uniform(400, 1000, jets), ieta=np.zeros(jets), jet_mass=mass * 0.7, softdrop_mass=mass * 0.5,
        quarks_in_window=np.full(jets, np.nan), quarks_in_jet=np.full(jets, np.nan),
    )  # fmt: skip


def test_errors_of_known_numbers():
    mass, predicted = np.array([100.0, 200, 400]), np.array([110.0, 180, 400])
    assert absolute(mass, predicted).mean() == 10
    assert relative(mass, predicted).mean() == pytest.approx(0.2 / 3)


def test_no_constant_is_better_than_the_baseline():
    jets = made_up(500)
    guesses = baselines(jets, 0)
    constants = np.linspace(85, 500, 200)[:, None]
    assert absolute(jets.mass, guesses["constant_mae"]).mean() <= absolute(jets.mass, constants).mean(axis=2).min()
    assert relative(jets.mass, guesses["constant_mre"]).mean() <= relative(jets.mass, constants).mean(axis=2).min()


def test_constants_of_a_flat_mass_are_those_of_the_reference():
    mass = np.linspace(85, 500, 100_001)
    jets = Predictions(
        event=np.arange(len(mass)),
        **{name: mass for name in PREDICTION_COLUMNS if name != "event"},
    )
    guesses = baselines(jets, 0)
    assert absolute(mass, guesses["constant_mae"]).mean() == pytest.approx(103.75, abs=0.01)
    assert (
        guesses["constant_mre"][0] == pytest.approx(206, abs=1) and weighted_median(mass, np.ones_like(mass)) == 292.5
    )


def test_a_mass_that_the_source_does_not_know_is_no_baseline():
    jets = made_up(10)
    jets.jet_mass[3] = np.nan
    assert "jet_mass" not in baselines(jets, 0) and "softdrop_mass" in baselines(jets, 0)


def intervals(values: np.ndarray, event: np.ndarray, resamples: int = 1000) -> dict[str, dict]:
    """All metrics of errors of these values, (N,), around a mass of 300 GeV."""
    mass = np.full(len(values), 300.0)
    columns = {"it": (mass, mass + values)}
    return Bootstrap(resamples, 0.6827, 1).score(METRICS, columns, [np.arange(len(values))], event)[0]["it"]


def half_width(number: dict) -> float:
    return (number["high"] - number["low"]) / 2


def test_intervals_of_means_and_quantiles_are_those_of_large_samples():
    """Of a mean σ/√N, of a median √(π/2) times that, of half the width from 16 to 84 % 0.958 times it (normal law)."""
    values = np.random.default_rng(3).normal(5, 2, 8000)
    found = intervals(values, np.arange(8000))
    of_mean = 2 / np.sqrt(8000)
    assert found["bias"]["value"] == pytest.approx(np.median(values))
    assert half_width(found["bias"]) == pytest.approx(of_mean * np.sqrt(np.pi / 2), rel=0.12)
    assert half_width(found["resolution"]) == pytest.approx(0.958 * of_mean / 300, rel=0.2)
    squares = values**2
    of_rmse = squares.std() / np.sqrt(8000) / (2 * np.sqrt(squares.mean()))
    assert half_width(found["rmse"]) == pytest.approx(of_rmse, rel=0.1)


def test_an_interval_covers_the_truth_as_often_as_it_says():
    rng, hit = np.random.default_rng(5), []
    for _ in range(150):
        found = intervals(rng.normal(0, 1, 200), np.arange(200), 200)["bias"]
        hit.append(found["low"] <= 0 <= found["high"])
    assert np.mean(hit) == pytest.approx(0.68, abs=0.12)


@pytest.mark.parametrize("jets", [1, 2, 3, 50, 121])
def test_quantiles_of_a_draw_are_those_of_its_jets_each_as_often_as_it_is_drawn(jets):
    rng = np.random.default_rng(jets)
    values, weights = rng.integers(0, 40, jets).astype(float), rng.poisson(1, (jets, 60)).astype(np.uint8)
    weights[:, :2], levels = 0, (0.16, 0.5, 0.84)
    weights[0, 1] = 200
    found = Resamples(weights).quantiles(values, np.argsort(values), levels)
    for drawn, each in zip(found.T, weights.T, strict=True):
        repeated = np.repeat(values, each)
        expected = np.quantile(repeated, levels, method="inverted_cdf") if len(repeated) else [np.nan] * 3
        np.testing.assert_array_equal(drawn, expected)


def test_jets_of_one_event_are_drawn_together():
    values = np.repeat(np.random.default_rng(4).normal(0, 1, 1000), 4)
    together, apart = (intervals(values, event) for event in (np.arange(4000) // 4, np.arange(4000)))
    for metric in ("mae", "bias"):
        assert half_width(together[metric]) / half_width(apart[metric]) == pytest.approx(2, rel=0.25)


def test_many_jets_are_resampled_in_pieces_with_the_same_result(monkeypatch):
    values, event = np.random.default_rng(6).normal(0, 1, 300), np.arange(300)
    whole = intervals(values, event)
    monkeypatch.setattr("topmass.evaluation.bootstrap.WEIGHTS_PER_CHUNK", 7000)
    for name, number in intervals(values, event).items():
        assert number == (whole[name] and pytest.approx(whole[name], rel=1e-12))


def score(jets: Predictions, folder, bins=BINS, others=None) -> tuple[dict, str, pd.DataFrame]:
    jets.save(folder / "predictions.parquet")
    names = ("predictions.parquet", "metrics.json", "metrics.csv", "summary.txt")
    paths = [folder / name for name in names]
    evaluate(paths[0], others or {}, *paths[1:], "mine", 3, bins, 85, BOOTSTRAP)
    metrics, csv, summary = (path.read_text(encoding="utf-8") for path in paths[1:])
    return json.loads(metrics), summary, pd.read_csv(io.StringIO(csv))


# Written anew, and on purpose not with the functions of the library.
ANEW = {
    "mae": lambda m, p: np.mean(np.abs(p - m)),
    "mre": lambda m, p: np.mean(np.abs(p / m - 1)),
    "median_error": lambda m, p: np.median(np.abs(p - m)),
    "rmse": lambda m, p: np.sqrt(np.mean((p - m) ** 2)),
    "response": lambda m, p: np.median(p / m),
    "resolution": lambda m, p: (np.quantile(p / m, 0.84) - np.quantile(p / m, 0.16)) / 2,
    "bias": lambda m, p: np.median(p - m),
    "far_off": lambda m, p: np.mean(np.abs(p - m) > 0.5 * m),
    "slope": lambda m, p: np.polyfit(m, p, 1)[0],
    "correlation": lambda m, p: np.corrcoef(m, p)[0, 1],
}


def test_every_number_is_what_numpy_makes_of_the_predictions(tmp_path):
    metrics, summary, spreadsheet = score(made_up(800, width=120), tmp_path)
    jets = pq.read_table(tmp_path / "predictions.parquet").to_pandas().astype(float)
    guesses = {"network": jets.predicted, "jet_mass": jets.jet_mass, "softdrop_mass": jets.softdrop_mass}
    assert set(ANEW) == set(METRICS)
    seen = 0
    for region in metrics["regions"]:
        here = pd.Series(True, jets.index)
        for name in ("mass", "pt"):
            low, high = region[name] or (-np.inf, np.inf)
            here &= (jets[name] >= low) & (jets[name] < high)
        assert here.sum() == region["jets"]
        for name, guess in guesses.items():
            for metric, found in region["scores"][name].items():
                expected = ANEW[metric](jets.mass[here], guess[here])
                assert found["value"] == pytest.approx(expected, rel=1e-9, abs=1e-9), (region["by"], name, metric)
                assert found["low"] <= found["high"]
                seen += 1
    assert seen == 9 * len(guesses) * len(ANEW)
    assert f"{metrics['regions'][0]['scores']['network']['mae']['value']:.2f}" in summary
    assert len(spreadsheet) == 9 * 5 * len(ANEW)


def test_a_known_bias_and_width_are_found(tmp_path):
    metrics, _, spreadsheet = score(made_up(6_000, bias=12, width=30), tmp_path)
    network = metrics["regions"][0]["scores"]["network"]
    for name, expected, tolerance in (("bias", 12, 2), ("rmse", 32.3, 1), ("slope", 1, 0.02)):
        assert network[name]["value"] == pytest.approx(expected, abs=tolerance)
    row = spreadsheet.query("by == 'pt' and pt_low == 700 and estimator == 'network' and metric == 'bias'").iloc[0]
    assert row.value == pytest.approx(12, abs=3) and row.low < row.value < row.high and row.unit == "GeV"


def test_the_metrics_have_the_form_that_is_documented(tmp_path):
    metrics, summary, spreadsheet = score(made_up(400), tmp_path)
    assert list(Draft202012Validator(SCHEMA).iter_errors(metrics)) == []
    assert metrics["experiment"] == "mine" and metrics["seed"] == 3
    assert SCHEMA["$defs"]["metrics"]["required"] == list(METRICS)
    assert SCHEMA["$defs"]["region"]["properties"]["scores"]["propertyNames"]["enum"] == list(TITLES)
    for name in ("network", "best constant for MAE", "best constant for MRE", "jet mass", "soft-drop mass"):
        assert name in summary
    assert set(spreadsheet.metric) == set(METRICS) and set(spreadsheet.by) == {"all", "mass", "pt", "mass and pt"}


def with_quarks(jets: int = 600) -> Predictions:
    """Jets that hold any number of quarks, or an unknown one; with all three they are predicted twice as well."""
    found, rng = made_up(jets), np.random.default_rng(7)
    found.quarks_in_window = np.where(rng.random(jets) < 0.2, np.nan, rng.integers(0, 4, jets))
    found.predicted = found.mass + np.where(found.quarks_in_window == 3, 10, 20)
    return found


def test_jets_are_scored_by_containment_and_each_that_is_known_once(tmp_path):
    jets = with_quarks()
    metrics, _, spreadsheet = score(jets, tmp_path)
    assert list(Draft202012Validator(SCHEMA).iter_errors(metrics)) == []
    known = int(np.isfinite(jets.quarks_in_window).sum())
    regions = [region for region in metrics["regions"] if region["quarks"]]
    kinds = ({"quarks"}, {"contained", "not contained"}, {"contained and mass", "not contained and mass"})
    for by in kinds:
        assert sum(region["jets"] for region in regions if region["by"] in by) == known
    for region in regions:
        low, high = region["quarks"]
        first, last = region["mass"] or (85, 500)
        here = (jets.quarks_in_window >= low) & (jets.quarks_in_window <= high)
        assert region["jets"] == (here & (jets.mass >= first) & (jets.mass < last)).sum()
        assert region["scores"]["network"]["mae"]["value"] == pytest.approx(10 if low == 3 else 20, rel=1e-5)
    (row,) = spreadsheet.query("by == 'not contained' and estimator == 'jet_mass' and metric == 'mae'").itertuples()
    assert (row.quarks_low, row.quarks_high) == (0, 2) and row.jets == (jets.quarks_in_window < 3).sum()


def test_what_is_scored_without_quarks_is_the_same_with_them(tmp_path):
    jets = with_quarks()
    known = score(jets, tmp_path)[0]["regions"]
    unknown = score(replace(jets, quarks_in_window=np.full(600, np.nan)), tmp_path)[0]["regions"]
    assert {region["by"] for region in unknown} == {"all", "mass", "pt", "mass and pt"}
    assert [region for region in known if region["quarks"] is None] == unknown


def test_jets_that_all_hold_their_top_have_no_empty_region(tmp_path):
    metrics = score(replace(made_up(100), quarks_in_window=np.full(100, 3)), tmp_path)[0]
    found = [(region["by"], region["jets"]) for region in metrics["regions"] if region["quarks"]]
    assert found[:2] == [("contained", 100), ("quarks", 100)] and {by for by, _ in found[2:]} == {"contained and mass"}


def test_what_is_constant_has_no_correlation(tmp_path):
    found = score(made_up(100), tmp_path)[0]["regions"][0]["scores"]["constant_mae"]
    assert found["correlation"] is None and found["slope"]["value"] == pytest.approx(0)


def test_jets_at_or_below_the_cut_count_in_one_region_alone(tmp_path):
    jets = made_up(50)
    jets.mass[:5] = 85
    regions = score(jets, tmp_path)[0]["regions"]
    assert [(region["by"], region["jets"]) for region in regions[:2]] == [("all", 45), ("uncut", 50)]
    assert sum(region["jets"] for region in regions if region["by"] == "mass and pt") == 45


def test_same_predictions_same_bytes(tmp_path):
    jets = made_up(60)
    score(jets, tmp_path)
    before = (tmp_path / "metrics.json").read_bytes()
    score(jets, tmp_path)
    assert (tmp_path / "metrics.json").read_bytes() == before


def test_a_network_that_is_not_better_than_a_constant_says_so(tmp_path, caplog):
    jets = made_up(400)
    metrics, summary, _ = score(jets, tmp_path)
    assert baselines_not_beaten(metrics) is None and "not better" not in summary
    jets.predicted[:] = 300
    caplog.set_level("INFO", "topmass")
    metrics, summary, _ = score(jets, tmp_path)
    assert "is not better than" in summary and "best constant for MAE" in baselines_not_beaten(metrics)
    assert baselines_not_beaten(metrics) in caplog.text


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-8]), "not a complete parquet file"),
        (lambda path: path.write_text("mass\n1\n"), "not a complete parquet file"),
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


def test_a_bin_has_its_lower_edge_and_the_last_also_its_upper(tmp_path):
    jets = made_up(8)
    jets.mass[:] = [100, 100, 200, 200, 300, 300, 500, 500]
    jets.event[:] = np.arange(8)
    regions = score(jets, tmp_path, BINS | {"mass": (100, 200, 300, 500)})[0]["regions"]
    assert [region["jets"] for region in regions if region["by"] == "mass"] == [2, 2, 4]


def test_the_last_bin_of_pt_has_all_that_lies_above(tmp_path):
    jets = made_up(200)
    jets.pt[:3] = 5000
    spans = [region["jets"] for region in score(jets, tmp_path)[0]["regions"] if region["by"] == "pt"]
    assert sum(spans) == 200 and spans[-1] >= 3


@pytest.mark.parametrize(
    ("bins", "message"),
    [
        ({"mass": (85, 300, 400)}, r"evaluate.mass_bins: \d+ of 200 jets lie outside 85 to 400 GeV; they have 8\d to"),
        ({"pt": (500, 1000)}, r"evaluate.pt_bins: \d+ of 200 jets lie outside 500 to 1000 GeV"),
        ({"mass": (85, 200, 201, 500)}, "evaluate.mass_bins: fewer than two events in 200 to 201 GeV; make it wider"),
    ],
)
def test_bins_that_do_not_fit_the_jets_are_refused_and_nothing_is_written(bins, message, tmp_path):
    with pytest.raises(BadInput, match=message):
        score(made_up(200), tmp_path, BINS | bins)
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.parquet"]


def test_a_cell_of_mass_and_pt_without_two_events_has_no_numbers(tmp_path):
    jets = made_up(40)
    jets.pt[jets.mass < 300] = 500
    cells = [each for each in score(jets, tmp_path)[0]["regions"] if each["by"] == "mass and pt"]
    (empty,) = [each for each in cells if not each["jets"]]
    assert set(empty["scores"]["network"].values()) == {None}


def test_no_jet_above_the_cut_is_refused(tmp_path):
    jets = made_up(10)
    jets.mass[:] = 85
    with pytest.raises(BadInput, match="fewer than two events have a jet with a mass above 85 GeV"):
        score(jets, tmp_path)


def test_other_estimators_are_rows_of_their_own(tmp_path):
    jets = made_up(400)
    replace(jets, predicted=jets.mass + 20).save(tmp_path / "trees.parquet")
    metrics, summary, spreadsheet = score(jets, tmp_path, others={"trees_image": tmp_path / "trees.parquet"})
    found = metrics["regions"][0]["scores"]
    assert list(found)[:2] == ["network", "trees_image"]
    assert found["trees_image"]["mae"]["value"] == pytest.approx(20, rel=1e-5)
    assert "GBDT, image moments" in summary and "trees_image" in set(spreadsheet["estimator"])


def test_the_network_is_compared_with_trees_that_are_told_as_much_on_the_same_jets(tmp_path):
    jets = made_up(400)
    trees = replace(jets, predicted=jets.predicted + np.where(jets.predicted > jets.mass, 3, -3))
    trees.save(tmp_path / "trees.parquet")
    metrics, summary, spreadsheet = score(jets, tmp_path, others={"trees_subjets": tmp_path / "trees.parquet"})
    assert list(Draft202012Validator(SCHEMA).iter_errors(metrics)) == []
    found, mae = metrics["differences"]["trees_subjets"], metrics["regions"][0]["scores"]["network"]["mae"]
    # Each jet is worse by 3 GeV, whichever are drawn.
    assert [found["mae"][end] for end in ("value", "low", "high")] == pytest.approx(3 * [-3], abs=1e-4)
    assert mae["high"] - mae["low"] > 0.5
    assert found["mre"]["low"] < found["mre"]["value"] < found["mre"]["high"] < 0
    assert "network − GBDT, subjet features, on the same jets: MAE -3.00 [-3.00, -3.00] GeV" in summary
    row = spreadsheet.query("estimator == 'network minus trees_subjets' and metric == 'mae'")
    assert row.value.tolist() == [found["mae"]["value"]] and row.by.tolist() == ["all"]


def test_without_trees_that_are_told_as_much_nothing_is_said_of_them(tmp_path):
    jets = made_up(400)
    jets.save(tmp_path / "trees.parquet")
    metrics, summary, _ = score(jets, tmp_path, others={"trees_image": tmp_path / "trees.parquet"})
    assert "differences" not in metrics and "less" not in summary


@pytest.mark.parametrize("which", ["fewer", "in another order", "of other events"])
def test_predictions_of_other_jets_are_no_baseline(which, tmp_path):
    jets = made_up(400)
    rows = {"fewer": slice(1, None), "in another order": slice(None, None, -1)}.get(which, slice(None))
    other = Predictions(**{name: getattr(jets, name)[rows] for name in PREDICTION_COLUMNS})
    other.event = other.event + (which == "of other events")
    other.save(tmp_path / "trees.parquet")
    with pytest.raises(BadInput, match=r"trees\.parquet: expected the same 400 jets, in the same order"):
        score(jets, tmp_path, others={"trees_jet": tmp_path / "trees.parquet"})
    assert not (tmp_path / "metrics.json").exists()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([140.0, 210.0], [85, 150, 200, 250]),
        ([150.0, 200.0], [150, 200]),
        ([90.0, 400.0], [85, 150, 200, 250, 500]),
        ([10.0, 600.0], [85, 150, 200, 250, 500]),
        ([], [85, 150, 200, 250, 500]),
    ],
)
def test_bins_of_mass_beyond_all_jets_are_left_out(values, expected):
    assert occupied_edges((85, 150, 200, 250, 500), np.array(values)) == expected
