"""Figures of predictions and of their scores: what stands in the numbers behind them, and what cannot be drawn."""

import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from compute_statistics import compute_statistics
from conftest import FLATTEN, SPLIT, make_jets
from figure_runs import COLOURS, run, run_twice
from make_shards import make_shards
from topmass.evaluation.bootstrap import Bootstrap
from topmass.evaluation.predictions import TRUTH_COLUMNS, Predictions
from topmass.evaluation.score import TITLES, score
from topmass.evaluation.score_frame import score_frame
from topmass.figures.figure_containment import draw_containment
from topmass.figures.figure_largest_errors import draw_largest_errors
from topmass.figures.figure_layers import draw_layers
from topmass.figures.figure_metrics import draw_metrics, resolution_cells
from topmass.figures.figure_predictions import draw_predictions, scores_by_eta
from topmass.files import BadInput
from topmass.jets import JetBatch, write_jets
from topmass.layers import LAYERS, PIXEL_ETA
from topmass.plotting.binned_metrics import X_AXES, dependence, metric_points
from topmass.plotting.spectra import spectra
from topmass.plotting.style import ESTIMATORS

BINS = {"mass": (85, 200, 350, 500), "pt": (400, 700, 1000)}


def made_up(jets: int = 600, bias: float = 0, width: float = 30) -> Predictions:
    rng = np.random.default_rng(1)
    mass, pt = rng.uniform(86, 500, jets).astype("f4"), rng.uniform(400, 1000, jets).astype("f4")
    predicted, ieta = mass + rng.normal(bias, width, jets), rng.integers(-115, 115, jets)
    known = {"jet_mass": mass * 0.9, "softdrop_mass": mass * 0.7, "quarks_in_window": np.arange(jets) % 4}
    return Predictions(np.arange(jets), mass, predicted, pt, ieta, quarks_in_jet=np.zeros(jets), **known)


def predictions(folder: Path, jets: Predictions | None = None, trees: bool = True) -> dict:
    """Arguments for `draw_predictions`: the predictions, their metrics, and those of trees."""
    jets = jets or made_up()
    jets.save(folder / "predictions.parquet")
    shifts = {"trees_subjets": 3, "trees_image": 5} if trees else {}
    others = {name: replace(jets, predicted=jets.mass + shift) for name, shift in shifts.items()}
    metrics = score(jets, {name: each.predicted for name, each in others.items()}, 85, BINS, Bootstrap(20, 0.68, 1))
    (folder / "metrics.json").write_text(json.dumps(metrics))
    for name, each in others.items():
        each.save(folder / f"{name}.parquet")
    paths = {name: folder / f"{name}.parquet" for name in others}
    files = {"predictions": folder / "predictions.parquet", "metrics": folder / "metrics.json"}
    return {**files, "others": [*paths.values()], "falling_slope": 100}


def metrics(folder: Path) -> dict:
    """Arguments for `draw_metrics`."""
    return {"metrics": predictions(folder)["metrics"]}


def layers(folder: Path) -> dict:
    """Arguments for `draw_layers`: tables of no and of 60 jets, and the shards that were made of them."""
    tables, shards = [folder / f"{block:05d}.parquet" for block in range(2)], []
    statistics = folder / "statistics.json"
    for table, batches in zip(tables, ([], [make_jets(60)]), strict=True):
        write_jets(table, batches, LAYERS, {})
    compute_statistics(tables, statistics, "gun", SPLIT, ["track_pt", "track_d0", "hcal"], {}, 0.99, FLATTEN)
    for table in tables:
        splits = {split: folder / f"{split}_{table.stem}.npz" for split in SPLIT}
        make_shards(table, statistics, splits, 1e-5, "log")
        shards.append(splits["train"])
    return {"tables": tables, "shards": shards, "statistics": statistics}


def jets_in_tables(folder: Path, jets: int = 40) -> tuple[JetBatch, dict]:
    """Jets in two tables, and arguments for `draw_largest_errors`; the i-th jet is predicted i GeV too high."""
    batch = make_jets(jets)
    batch.event = np.arange(jets) // 2
    tables = [folder / f"{block:05d}.parquet" for block in range(2)]
    for half, table in enumerate(tables):
        write_jets(table, [batch.take(np.arange(half * jets // 2, (half + 1) * jets // 2))], LAYERS, {})
    known = {name: getattr(batch, name) for name in TRUTH_COLUMNS}
    Predictions(predicted=batch.mass + np.arange(jets), **known).save(folder / "predictions.parquet")
    return batch, {"predictions": folder / "predictions.parquet", "tables": tables}


STAGES = [
    (draw_predictions, predictions),
    (draw_metrics, metrics),
    (draw_containment, metrics),
    (draw_layers, layers),
    (draw_largest_errors, lambda folder: jets_in_tables(folder)[1]),
]


@pytest.mark.parametrize(("stage", "make"), STAGES, ids=[stage.__name__ for stage, _ in STAGES])
def test_figures_are_made_and_made_again_byte_for_byte(stage, make, tmp_path):
    run_twice(stage, make(tmp_path), tmp_path)


def test_a_known_bias_and_width_stand_in_the_numbers_behind_the_figures(tmp_path):
    given = predictions(tmp_path, made_up(4000, bias=12, width=30))
    run(draw_metrics, {"metrics": given["metrics"]}, tmp_path)
    found = pd.read_csv(tmp_path / "response.csv").query("estimator == 'network'")
    bias = found.query("metric == 'bias'")
    assert len(bias) == 5 and np.allclose(bias.value, 12, atol=4) and (bias.low < bias.high).all()
    narrow = found.query("metric == 'resolution' and against == 'mass' and start == 350").value.item()
    assert narrow == pytest.approx(30 / 425, rel=0.12)
    for name, shift in (("trees_subjets", 3), ("trees_image", 5)):
        trees = pd.read_csv(tmp_path / "mean_errors.csv").query(f"estimator == '{name}' and metric == 'mae'")
        assert len(trees) == 5 and np.allclose(trees.value, shift, rtol=1e-3)


def test_errors_by_quarks_are_those_of_the_jets_that_hold_them(tmp_path):
    jets = made_up(800)
    jets.predicted = jets.mass + 10 * (4 - jets.quarks_in_window)
    run(draw_containment, {"metrics": predictions(tmp_path, jets)["metrics"]}, tmp_path)
    found = pd.read_csv(tmp_path / "containment.csv").query("estimator == 'network'").set_index("against")
    assert set(found.metric) == {"mae"}
    by_number = found.loc["quarks"].set_index("start").value
    assert by_number.to_dict() == pytest.approx({0: 40, 1: 30, 2: 20, 3: 10}, rel=1e-4)
    assert found.loc["contained and mass"].value.tolist() == pytest.approx([10, 10, 10], rel=1e-4)
    assert np.allclose(found.loc["not contained and mass"].value, 30, rtol=0.1)
    run(draw_metrics, {"metrics": tmp_path / "metrics.json"}, tmp_path)
    assert set(pd.read_csv(tmp_path / "mean_errors.csv").against) == {"mass", "pt"}


def test_containment_that_is_not_known_cannot_be_drawn(tmp_path):
    given = predictions(tmp_path, replace(made_up(), quarks_in_window=np.full(600, np.nan)))
    with pytest.raises(BadInput, match=r"metrics\.json: the number of quarks in the window is unknown for all jets"):
        run(draw_containment, {"metrics": given["metrics"]}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def points_by_eta(jets: Predictions) -> pd.DataFrame:
    """The median errors of the network in bins of |η|."""
    metrics = {"min_mass": 85, "bootstrap": {"resamples": 20, "level": 0.68, "seed": 1}}
    scores = score_frame(scores_by_eta(jets, {"network": jets.predicted}, metrics))
    return metric_points(scores, X_AXES).query("metric == 'median_error'")


def test_errors_that_grow_with_eta_are_seen_to():
    jets = made_up(2000)
    jets.predicted = jets.mass + 40 * np.abs(jets.ieta + 0.5) * PIXEL_ETA
    found = points_by_eta(jets)
    assert len(found) == 5 and np.allclose(found.value, 40 * (found.start + found.end) / 2, rtol=0.15)
    assert found.start.iloc[0] == 0 and np.allclose(found.end, np.linspace(0.4, 2, 5), atol=0.1)


def test_without_a_position_there_is_no_eta_and_a_line_says_so(tmp_path, caplog):
    caplog.set_level("INFO", "topmass")
    jets = made_up(200)
    jets.ieta = np.full(200, np.nan)
    run(draw_predictions, predictions(tmp_path, jets), tmp_path)
    assert set(pd.read_csv(tmp_path / "median_error.csv").against) == {"mass", "pt"}
    assert "no errors by |η|: the position in the detector is unknown" in caplog.text


def test_a_falling_spectrum_falls_as_it_is_told_to_and_true_predictions_have_a_ratio_of_one():
    mass = np.random.default_rng(2).uniform(85, 500, 50_000)
    numbers = pd.DataFrame(spectra(mass, {"network": mass}, 80).data)
    network, truth = (numbers.query("estimator == @name").reset_index() for name in ("network", "generated"))
    pd.testing.assert_series_equal(network.density, truth.density)
    areas = (truth.density * (truth.end - truth.start)).groupby(truth.weighting).sum()
    assert areas.tolist() == pytest.approx([1e3, 1e3])
    falling = truth.query("weighting == 'falling' and density > 0")
    slope = np.polyfit((falling.start + falling.end) / 2, np.log(falling.density), 1)[0]
    assert slope == pytest.approx(-1 / 80, rel=0.02)


def test_compression_is_seen_as_a_surplus_in_the_middle():
    mass = np.random.default_rng(3).uniform(85, 500, 20_000)
    numbers = pd.DataFrame(spectra(mass, {"network": 292.5 + (mass - 292.5) / 2}, 100).data)
    flat = numbers.query("weighting == 'alike' and start > 250 and end < 340")
    ratio = flat.query("estimator == 'network'").density.mean() / flat.query("estimator == 'generated'").density.mean()
    assert ratio == pytest.approx(2, rel=0.03)


def test_estimators_keep_their_order_and_their_colours_whichever_are_there():
    assert [name for name in TITLES if name in ESTIMATORS] == list(ESTIMATORS)
    colours = [look.color for look in ESTIMATORS.values()]
    assert [*dict.fromkeys(colours)] == [f"C{i}" for i in range(len(COLOURS))]
    assert len({(look.color, look.linestyle) for look in ESTIMATORS.values()}) == len(ESTIMATORS)
    number = {"value": 1.0, "low": 0.5, "high": 1.5}
    scores = {name: {"mae": number} for name in ("network", "jet_mass", "constant_mre")}
    region = {"by": "pt", "pt": [400, 500], "jets": 9, "scores": scores}
    drawn = dependence(metric_points(score_frame([region]), X_AXES), ["mae"], 0.68)
    (legend,) = drawn.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["network", "jet mass"]
    assert [line.get_color() for line in legend.get_lines()] == ["C0", "C3"]
    assert list(drawn.data["estimator"]) == ["network", "jet_mass"]


def test_a_cell_without_a_number_stays_empty_and_says_so():
    bins = product([(85, 200), (200, 500)], [(400, 600), (600, 1000)])
    regions = [
        {"by": "mass and pt", "mass": mass, "pt": pt, "jets": jets, "scores": {"network": {"resolution": number}}}
        for (mass, pt), jets, number in zip(
            bins,
            (9, 1, 7, 8),
            (value and {"value": value, "low": 0, "high": 1} for value in (0.1, None, 0.3, 0.2)),
            strict=True,
        )
    ]
    drawn = resolution_cells(score_frame(regions))
    axes = drawn.figure.axes[0]
    assert axes.collections[0].get_array().mask.ravel().tolist() == [False, False, True, False]
    assert [text.get_text() for text in axes.texts] == [
        "10 %\n9 jets", "no number\n1 jet", "30 %\n7 jets", "20 %\n8 jets",
    ]  # fmt: skip


def test_the_largest_errors_are_found_in_their_tables_and_in_their_order(tmp_path):
    jets, given = jets_in_tables(tmp_path)
    run(draw_largest_errors, given, tmp_path)
    found = pd.read_csv(tmp_path / "largest_errors.csv")
    order = np.arange(39, 31, -1)
    seen = found.drop_duplicates("jet")
    np.testing.assert_allclose(seen.mass, jets.mass[order], rtol=1e-5)
    np.testing.assert_allclose(seen.predicted - seen.mass, order, atol=0.01)
    for jet, at in enumerate(order, 1):
        here = jets.take(np.array([at]))
        ecal = here.value[here.layer == [layer.name for layer in LAYERS].index("ecal")]
        shown = found[(found.jet == jet) & (found.layer == "ecal")].GeV
        assert shown.sum() == pytest.approx(ecal.sum(), rel=1e-4)


def test_a_jet_that_is_in_no_table_is_named(tmp_path):
    _, given = jets_in_tables(tmp_path)
    given["tables"].pop()
    with pytest.raises(BadInput, match=r"predictions\.parquet: the jet of event 19 and pT .* is in none of the tables"):
        run(draw_largest_errors, given, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_values_of_a_layer_are_all_counted_before_and_after(tmp_path):
    given = layers(tmp_path)
    run(draw_layers, given, tmp_path)
    found = pd.read_csv(tmp_path / "layer_values.csv").groupby(["layer", "when"]).values_per_jet.sum()
    jets, shard = make_jets(60), np.load(given["shards"][1])
    for i, name in enumerate(("track_pt", "track_d0", "hcal")):
        layer = [each.name for each in LAYERS].index(name)
        assert found[name, "before"] == pytest.approx((jets.layer == layer).sum() / 60, rel=1e-3)
        assert found[name, "after"] == pytest.approx((shard["layer"] == i).sum() / len(shard["mass"]), rel=1e-3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not metrics"),
        ("[]", "not metrics"),
        ('{"version": 6, "regions": []}', "not metrics"),
        ('{"version": 1}', "metrics of version 1, this code reads 6"),
    ],
)
def test_metrics_that_cannot_be_drawn(content, message, tmp_path):
    given = predictions(tmp_path)
    given["metrics"].write_text(content)
    of_metrics = {"metrics": given["metrics"]}
    for stage, arguments in ((draw_predictions, given), (draw_metrics, of_metrics), (draw_containment, of_metrics)):
        with pytest.raises(BadInput, match=rf"metrics\.json: {message}"):
            run(stage, arguments, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_predictions_that_cannot_be_drawn(tmp_path):
    given = predictions(tmp_path)
    table = pq.read_table(given["predictions"])
    pq.write_table(table.drop_columns(["ieta"]), given["predictions"])
    with pytest.raises(BadInput, match=r"predictions\.parquet: no column 'ieta'"):
        run(draw_predictions, given, tmp_path)
    given["predictions"].write_text("text")
    with pytest.raises(BadInput, match=r"predictions\.parquet"):
        run(draw_predictions, given, tmp_path)


def test_predictions_of_other_jets_are_no_other_estimator(tmp_path):
    given = predictions(tmp_path)
    made_up(500).save(given["others"][1])
    with pytest.raises(BadInput, match=r"trees_image\.parquet: expected the same 600 jets, in the same order"):
        run(draw_predictions, given, tmp_path)
