"""Intervals of the mass: from a network's quantiles to the table of predictions, their scores, figure and page."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from jsonschema import Draft202012Validator

from conftest import REPOSITORY
from evaluate import evaluate
from figure_runs import run_twice
from predict_test import predict_test
from test_networks import SMALL, network_for
from topmass.evaluation.intervals import MIN_JETS_PER_BIN
from topmass.evaluation.predictions import Intervals, Predictions
from topmass.figures.figure_intervals import draw_intervals
from topmass.files import BadInput
from topmass.layers import PIXEL_ETA
from topmass.models.trained_model import TrainedModel
from topmass.preprocessing.shards import Shard
from topmass.report.score_tables import interval_tables

BINS = {"mass": (85, 300, 500), "pt": (400, 700, 1000)}
SCHEMA = yaml.safe_load((REPOSITORY / "workflow/schemas/metrics.schema.yaml").read_text(encoding="utf-8"))


def honest(jets: int = 4000) -> Predictions:
    """Predictions whose errors are normal with a width that is known of each jet: larger without all three quarks."""
    rng = np.random.default_rng(1)
    quarks = rng.integers(1, 4, jets)
    width = np.where(quarks == 3, 10, 40) * rng.uniform(0.7, 1.3, jets)
    predicted = rng.uniform(150, 450, jets)
    mass = np.clip(predicted + width * rng.standard_normal(jets), 86, 499)
    known = {"pt": rng.uniform(400, 1000, jets), "ieta": rng.integers(-115, 115, jets)}
    known |= {"jet_mass": mass * 0.8, "softdrop_mass": mass * 0.7, "quarks_in_window": quarks, "quarks_in_jet": quarks}
    one = 0.99446 * width
    intervals = Intervals(predicted - one, predicted + one, (0.16, 0.84))
    return Predictions(event=np.arange(jets), mass=mass, predicted=predicted, intervals=intervals, **known)


def score(jets: Predictions, folder: Path) -> tuple[dict, str, pd.DataFrame]:
    paths = [folder / name for name in ("predictions.parquet", "metrics.json", "metrics.csv", "summary.txt")]
    jets.save(paths[0])
    evaluate(paths[0], {}, *paths[1:], "mine", 3, BINS, 85, {"resamples": 50, "level": 0.68, "seed": 1})
    return json.loads(paths[1].read_text()), paths[3].read_text(encoding="utf-8"), pd.read_csv(paths[2])


@pytest.fixture(scope="module")
def scored(tmp_path_factory) -> tuple[dict, str, pd.DataFrame, Path]:
    folder = tmp_path_factory.mktemp("scored")
    return *score(honest(), folder), folder


def of_network(metrics: dict, by: str) -> list[dict]:
    return [each["scores"]["network"] for each in metrics["intervals"]["regions"] if each["by"] == by]


@pytest.mark.parametrize("name", SMALL)
def test_a_network_with_quantiles_predicts_intervals_as_wide_as_they_are_calibrated(name, dataset, tmp_path):
    shards = dataset[1]["test"]
    shard = Shard.load(shards[0])
    found = {}
    for widening in (1.0, 2.5):
        model = TrainedModel(network_for(SMALL[name], shard, 3), SMALL[name], shard.meta, (0.16, 0.5, 0.84), widening)
        model.save(tmp_path / "model")
        predict_test(tmp_path / "model", shards, tmp_path / "p.parquet", "cpu", "float32", 1)
        found[widening] = Predictions.load(tmp_path / "p.parquet")
    narrow, wide = found.values()
    np.testing.assert_array_equal(narrow.predicted, wide.predicted)
    assert narrow.intervals.quantiles == (0.16, 0.84) and narrow.intervals.level == 0.68
    for end in ("low", "high"):
        reach = [getattr(each.intervals, end) - each.predicted for each in (narrow, wide)]
        np.testing.assert_allclose(2.5 * reach[0], reach[1], rtol=1e-3, atol=1e-2)
    assert (narrow.intervals.low < narrow.predicted).all() and (narrow.predicted < narrow.intervals.high).all()


def test_a_network_of_the_mass_alone_has_no_intervals(dataset, tmp_path):
    shards = dataset[1]["test"]
    shard = Shard.load(shards[0])
    TrainedModel(network_for(SMALL["kinematics"], shard), SMALL["kinematics"], shard.meta).save(tmp_path / "model")
    predict_test(tmp_path / "model", shards, tmp_path / "p.parquet", "cpu", "float32", 1)
    assert Predictions.load(tmp_path / "p.parquet").intervals is None
    assert not {"low", "high"} & set(pq.read_schema(tmp_path / "p.parquet").names)


SPOILT = {
    "no end": (lambda table: table.drop_columns(["high"]), "no column 'high'"),
    "no level": (lambda table: table.replace_schema_metadata(None), "the metadata lacks 'quantiles'"),
    "one quantile": (lambda table: table.replace_schema_metadata({"quantiles": "[0.5]"}), "lacks 'quantiles'"),
    "quantiles that fall": (lambda table: table.replace_schema_metadata({"quantiles": "[0.8, 0.2]"}), "0.8 and 0.2"),
    "ends that cross": (
        lambda table: pa.table(
            {**{name: table[name] for name in table.column_names}, "low": table["high"], "high": table["low"]}
        ).replace_schema_metadata(table.schema.metadata),
        "row 0: low and high are no interval",
    ),
}


@pytest.mark.parametrize(("spoil", "message"), SPOILT.values(), ids=SPOILT)
def test_intervals_that_are_none_are_refused(spoil, message, tmp_path):
    path = tmp_path / "p.parquet"
    honest(20).save(path)
    pq.write_table(spoil(pq.read_table(path)), path)
    with pytest.raises(BadInput, match=rf"p\.parquet: .*{message}"):
        Predictions.load(path)


def test_honest_intervals_hold_what_they_promise_wherever_jets_are_told_apart_by_what_is_known(scored):
    metrics = scored[0]
    assert list(Draft202012Validator(SCHEMA).iter_errors(metrics)) == []
    assert metrics["intervals"]["level"] == 0.68
    for by, tolerance in (("all", 0.02), ("pt", 0.03), ("predicted", 0.03), ("eta", 0.05), ("contained", 0.04)):
        found = [each["coverage"]["value"] for each in of_network(metrics, by)]
        assert np.allclose(found, 0.68, atol=tolerance), (by, found)


def test_every_number_of_an_interval_is_what_numpy_makes_of_the_predictions(scored):
    metrics, _, _, folder = scored
    jets = pq.read_table(folder / "predictions.parquet").to_pandas().astype(float)
    values = {"mass": jets.mass, "pt": jets.pt, "quarks": jets.quarks_in_window}
    values |= {"predicted": jets.predicted, "eta": np.abs(jets.ieta.astype("f4") + 0.5) * PIXEL_ETA}
    values["half_width"] = ((jets.high - jets.low) / 2).astype("f4")
    seen = {}
    for region in metrics["intervals"]["regions"]:
        here = pd.Series(True, jets.index)
        for name, each in values.items():
            low, high = region[name] or (-np.inf, np.inf)
            if name == "quarks":
                here &= (each >= low) & (each <= high)
            elif name in ("eta", "half_width"):
                here &= ((each > low) if low > each.min() else (each >= low)) & (each <= high)
            else:
                here &= (each >= low) & (each < high)
        assert here.sum() == region["jets"], region
        found, width = region["scores"]["network"], (jets.high - jets.low)[here]
        inside = (jets.mass >= jets.low) & (jets.mass <= jets.high)
        expected = {"coverage": inside[here].mean(), "mean_width": width.mean(), "median_width": width.median()}
        expected["median_error"] = (jets.predicted - jets.mass).abs()[here].median()
        assert {name: each["value"] for name, each in found.items()} == pytest.approx(expected, rel=1e-6)
        assert all(each["low"] <= each["high"] for each in found.values())
        seen[region["by"]] = seen.get(region["by"], 0) + region["jets"]
    assert {by for by, number in seen.items() if number == 4000} >= {"all", "predicted", "predicted and pt", "eta"}
    assert seen["half_width"] == 4000


def test_wider_intervals_are_wider_by_as_much_and_hold_more(scored, tmp_path):
    jets = honest()
    ends = {"low": jets.intervals.low, "high": jets.intervals.high}
    doubled = {name: 2 * end - jets.predicted for name, end in ends.items()}
    wide = score(replace(jets, intervals=Intervals(**doubled, quantiles=(0.16, 0.84))), tmp_path)[0]
    (before,), (after,) = (of_network(metrics, "all") for metrics in (scored[0], wide))
    for name in ("mean_width", "median_width"):
        assert after[name]["value"] == pytest.approx(2 * before[name]["value"], rel=1e-5)
    assert after["coverage"]["value"] == pytest.approx(0.953, abs=0.01)
    assert after["median_error"] == before["median_error"]


def test_the_jets_that_do_not_hold_their_top_have_the_wider_intervals_and_the_larger_errors(scored):
    (contained,), (other,) = (of_network(scored[0], by) for by in ("contained", "not contained"))
    assert other["mean_width"]["low"] > 3 * contained["mean_width"]["high"]
    by_width = of_network(scored[0], "half_width")
    errors = [each["median_error"]["value"] for each in by_width]
    half_widths = [each["median_width"]["value"] / 2 for each in by_width]
    assert len(by_width) == 8 and errors == sorted(errors)
    assert np.median(np.divide(errors, half_widths)) == pytest.approx(0.678, abs=0.05)


def test_what_is_scored_of_the_masses_is_the_same_without_intervals(scored, tmp_path):
    metrics, summary, spreadsheet = score(replace(honest(), intervals=None), tmp_path)
    assert list(Draft202012Validator(SCHEMA).iter_errors(metrics)) == []
    assert metrics["intervals"] is None and metrics["regions"] == scored[0]["regions"]
    assert "intervals: coverage" not in summary and "coverage" not in set(spreadsheet.metric)
    assert interval_tables([metrics]) == []
    with pytest.raises(BadInput, match=r"metrics\.json: the network predicts only the mass, without quantiles"):
        draw_intervals(tmp_path / "metrics.json")


def worst(metrics: dict, by: str) -> float:
    """The coverage that is the farthest off, of bins with jets enough."""
    cells = [each for each in metrics["intervals"]["regions"] if each["by"] == by and each["jets"] >= MIN_JETS_PER_BIN]
    return max((each["scores"]["network"]["coverage"]["value"] for each in cells), key=lambda each: abs(each - 0.68))


def test_the_worst_bins_are_told_in_the_summary_and_on_the_page(scored):
    metrics, summary, spreadsheet, _ = scored
    (line,) = [line for line in summary.splitlines() if "intervals: coverage" in line]
    told = [worst(metrics, by) for by in ("mass and pt", "predicted and pt")]
    assert f"worst coverage in bins with ≥ 200 jets: {told[0]:.1%} (generated mass × pT), {told[1]:.1%} (pred" in line
    (table,) = interval_tables([metrics, metrics | {"intervals": None}])
    ((name, nominal, coverage, mean, *_, generated, predicted),) = table.rows
    assert name == "network mine, seed 3" and nominal.value == "68.00"
    (overall,) = of_network(metrics, "all")
    shown = {coverage: 100 * overall["coverage"]["value"], mean: overall["mean_width"]["value"]}
    shown |= {generated: 100 * told[0], predicted: 100 * told[1]}
    assert [float(each.value) for each in shown] == pytest.approx(list(shown.values()), abs=0.0051)
    assert len(table.columns) == len(table.rows[0])
    (row,) = spreadsheet.query("by == 'predicted' and predicted_low == 85 and metric == 'coverage'").itertuples()
    assert row.value == pytest.approx(of_network(metrics, "predicted")[0]["coverage"]["value"]) and row.unit == "1"


def test_bins_with_few_jets_are_no_worst_ones(tmp_path):
    metrics, summary, _ = score(honest(150), tmp_path)
    assert summary.count("intervals: coverage") == 1 and "worst" not in summary
    assert [each.value for each in interval_tables([metrics])[0].rows[0][-2:]] == ["–", "–"]


def test_intervals_are_drawn_the_same_each_time_also_where_neither_quarks_nor_eta_are_known(scored, tmp_path):
    run_twice(draw_intervals, {"metrics": scored[3] / "metrics.json"}, tmp_path)
    numbers = pd.read_csv(tmp_path / "first/intervals.csv")
    assert {"predicted", "eta", "half_width", "contained and mass"} < set(numbers.against)
    unknown = np.full(400, np.nan)
    score(replace(honest(400), quarks_in_window=unknown, ieta=unknown), tmp_path)
    drawn = draw_intervals(tmp_path / "metrics.json")["intervals"]
    assert set(drawn.data["against"]) == {"mass", "predicted", "pt", "half_width"}
