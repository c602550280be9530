"""Experiments side by side, and the stage `compare`."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from compare import compare
from evaluate import evaluate
from topmass.evaluation.comparison import read_comparison
from topmass.evaluation.predictions import Predictions
from topmass.figures.figure_comparison import draw_comparison, responses_side_by_side
from topmass.figures.figure_learning_curve import draw_learning_curve, learning_curves
from topmass.files import BadInput
from topmass.plotting.style import draw_and_save
from topmass.report.score_tables import comparison_tables

BOOTSTRAP = {"resamples": 300, "level": 0.68, "seed": 1}
TRAINING = {"network": "resnet15", "layers": ["ecal", "hcal"], "parameters": 7, "jets": 900, "epochs": 2}
COLOURS = ["#0072B2", "#D55E00", "#009E73"]


def jets(number: int, first_event: int = 0) -> Predictions:
    """Jets that depend on their event alone."""
    event = first_event + np.arange(number)
    mass, pt = 100 + event * 37.7 % 400, 400 + event * 91.3 % 600
    known = dict.fromkeys(("mass", "predicted", "ieta", "jet_mass", "softdrop_mass", "quarks_in_jet"), mass)
    return Predictions(event=event, pt=pt, quarks_in_window=event % 4, **known)


BINS = {"mass": (85, 500), "pt": (400, 1000)}


def run(folder: Path, name: str, seed: int, known: Predictions, error: np.ndarray, bins: dict = BINS) -> list[Path]:
    """What one run leaves: metrics, training and predictions of these jets with these errors (N,) GeV."""
    here = folder / name / str(seed)
    here.mkdir(parents=True, exist_ok=True)
    known.predicted = known.mass + error
    known.save(here / "p.parquet")
    evaluate(here / "p.parquet", {}, here / "m.json", here / "m.csv", here / "s.txt", name, seed, bins, 85, BOOTSTRAP)
    spent = {"seconds": 10.0 + seed, "jets_per_second": 180.0}
    (here / "t.json").write_text(json.dumps(TRAINING | spent))
    return [here / "m.json", here / "t.json", here / "p.parquet"]


def put_side_by_side(folder: Path, runs: list[list[Path]], names: list[str], seeds: list[int]) -> dict:
    """The stage's JSON, after a look at the files beside it."""
    written = [folder / f"comparison.{kind}" for kind in ("json", "csv", "txt")]
    compare(names, seeds, *zip(*runs, strict=True), *written)
    found = read_comparison(written[0])
    with written[1].open() as file:
        rows = list(csv.DictReader(file))
    assert [row["experiment"] for row in rows] == names == [row["experiment"] for row in found["rows"]]
    assert float(rows[0]["mae"]) == found["rows"][0]["scores"]["mae"]["mean"]
    assert all(name in written[2].read_text() for name in names)
    return found


def test_means_and_deviations_are_those_over_seeds(tmp_path):
    known = jets(200)
    runs = [run(tmp_path, "only", seed, known, np.full(200, 10.0 * seed)) for seed in (1, 2, 3)]
    (row,) = put_side_by_side(tmp_path, runs, ["only"], [1, 2, 3])["rows"]
    mae = row["scores"]["mae"]
    assert mae["values"] == pytest.approx([10, 20, 30]) and mae["mean"] == pytest.approx(20)
    assert mae["deviation"] == pytest.approx(10) and row["training"]["seconds"]["mean"] == 12
    assert row["difference"] is None and row["test_jets"] == 200


def test_the_response_by_mass_is_that_of_the_jets_in_each_bin(tmp_path):
    """Light jets too heavy by a tenth, heavy ones too light by a fifth; and the other seed right."""
    known = jets(400)
    wrong = np.where(known.mass < 300, 0.1, -0.2) * known.mass
    bins = {"mass": (85, 300, 500), "pt": (400, 1000)}
    runs = [run(tmp_path, "only", seed, known, error, bins) for seed, error in ((1, wrong), (2, 0 * wrong))]
    found = put_side_by_side(tmp_path, runs, ["only"], [1, 2])
    light, heavy = found["rows"][0]["by_mass"]
    assert light["mass"] == [85, 300] and light["response"]["values"] == pytest.approx([1.1, 1], rel=1e-5)
    assert heavy["mass"] == [300, 500] and heavy["response"]["values"] == pytest.approx([0.8, 1], rel=1e-5)
    table = next(each for each in comparison_tables(found) if "predicted / generated" in each.caption)
    assert [cell.value for cell in table.rows[0][1:]] == ["5.00", "−10.00"]
    numbers = responses_side_by_side(found["rows"]).data
    assert numbers["response"].tolist() == pytest.approx([1.05, 0.9], rel=1e-5)


def test_a_paired_difference_is_known_better_than_either_error(tmp_path):
    """Two networks that make the same errors but for one GeV."""
    rng, known = np.random.default_rng(1), jets(2000)
    error = np.abs(rng.normal(60, 30, 2000))
    runs = [run(tmp_path, "a", 1, known, error), run(tmp_path, "b", 1, known, error + 1)]
    row = put_side_by_side(tmp_path, runs, ["a", "b"], [1])["rows"][1]
    found = row["difference"]["mae"]
    assert found["value"] == pytest.approx(1, abs=0.05) and found["high"] - found["low"] < 0.1
    assert row["shared_jets"] == 2000


def test_seeds_that_scatter_make_the_interval_wide(tmp_path):
    known = jets(2000)
    runs = [run(tmp_path, "a", seed, known, np.full(2000, 20.0)) for seed in (1, 2, 3)]
    runs += [run(tmp_path, "b", seed, known, np.full(2000, 20.0 + 9 * (seed - 2))) for seed in (1, 2, 3)]
    found = put_side_by_side(tmp_path, runs, ["a", "b"], [1, 2, 3])["rows"][1]["difference"]["mae"]
    assert found["value"] == pytest.approx(0, abs=1e-3)
    # The mean of three draws out of −9, 0 and 9 has a standard deviation of 4.2.
    assert (found["high"] - found["low"]) / 2 == pytest.approx(4.2, rel=0.5)


def test_experiments_are_compared_on_the_jets_that_they_share(tmp_path):
    runs = [
        run(tmp_path, "a", 1, jets(100), np.full(100, 5.0)),
        run(tmp_path, "b", 1, jets(100, 60), np.full(100, 8.0)),
    ]
    row = put_side_by_side(tmp_path, runs, ["a", "b"], [1])["rows"][1]
    assert row["shared_jets"] == 40 and row["difference"]["mae"]["value"] == pytest.approx(3, abs=1e-4)


def test_events_of_one_number_that_are_of_other_jets_are_not_shared(tmp_path):
    other = jets(100)
    other.mass = other.mass + 1
    runs = [run(tmp_path, "a", 1, jets(100), np.full(100, 5.0)), run(tmp_path, "b", 1, other, np.full(100, 5.0))]
    row = put_side_by_side(tmp_path, runs, ["a", "b"], [1])["rows"][1]
    assert row["difference"] is row["shared_jets"] is None and row["scores"]["mae"]["mean"] > 0


def test_seeds_with_other_jets_are_refused(tmp_path):
    runs = [run(tmp_path, "a", 1, jets(100), np.zeros(100)), run(tmp_path, "a", 2, jets(90), np.zeros(90))]
    with pytest.raises(BadInput, match=r"2/p\.parquet: predictions of other jets than those in .*1/p\.parquet"):
        put_side_by_side(tmp_path, runs, ["a"], [1, 2])


@pytest.mark.parametrize(
    ("which", "text", "message"),
    [
        (0, '{"version": 1}', r"m\.json: metrics of version 1, this code reads 6"),
        (0, "[]", r"m\.json: not metrics"),
        (1, "{}", r"t\.json: not about a training"),
    ],
)
def test_what_is_no_run_is_refused(which, text, message, tmp_path):
    files = run(tmp_path, "a", 1, jets(50), np.zeros(50))
    files[which].write_text(text)
    with pytest.raises(BadInput, match=message):
        put_side_by_side(tmp_path, [files], ["a"], [1])


def test_the_figure_is_drawn_the_same_twice(tmp_path):
    known = jets(300)
    runs = [
        run(tmp_path, name, seed, known, np.full(300, 10.0 * seed + k))
        for k, name in enumerate("ab")
        for seed in (1, 2)
    ]
    put_side_by_side(tmp_path, runs, ["a", "b"], [1, 2])
    kinds = ("png", "pdf", "csv")
    figures = [[tmp_path / f"{turn}{of}.{kind}" for of in ("", "_responses") for kind in kinds] for turn in range(2)]
    for png, *_ in figures:
        files = {"comparison": png, "responses": png.with_stem(f"{png.stem}_responses")}
        draw_and_save(draw_comparison, {"scores": tmp_path / "comparison.json"}, files, COLOURS)
    for first, second in zip(*figures, strict=True):
        assert first.read_bytes() == second.read_bytes()
    assert figures[0][2].read_text().splitlines()[1].startswith("a,mae,15,7.07107,,,")
    assert pd.read_csv(figures[0][5])["mass_high"].tolist() == [500, 500]


def test_a_learning_curve_has_a_point_for_each_network_and_number_of_jets(tmp_path):
    known, runs = jets(200), []
    for name, number, error in (("few", 1000, 30.0), ("many", 8000, 20.0)):
        for seed in (1, 2):
            files = run(tmp_path, name, seed, known, np.full(200, error + seed))
            about = json.loads(files[1].read_text())
            files[1].write_text(json.dumps(about | {"jets": number}))
            runs.append(files)
    put_side_by_side(tmp_path, runs, ["few", "many"], [1, 2])
    inputs = {"comparison": tmp_path / "comparison.json", "oracle_mae": None}
    draw_and_save(draw_learning_curve, inputs, {"learning_curve": tmp_path / "curve.png"}, COLOURS)
    rows = pd.read_csv(tmp_path / "curve.csv")
    of_mae = rows[rows["metric"] == "mae"]
    assert of_mae[["jets", "value"]].to_numpy() == pytest.approx(np.array([[1000, 31.5], [8000, 21.5]]))
    assert of_mae["deviation"].tolist() == pytest.approx(2 * [np.std([1, 2], ddof=1)], rel=1e-5)
    assert (tmp_path / "curve.png").stat().st_size > 10_000 and (tmp_path / "curve.pdf").exists()


def curve_rows() -> list[dict]:
    """Rows of a comparison of two numbers of jets, as far as learning curves take them."""
    rows = []
    for jets_seen, mae, of_trees in ((1000, 60, 50), (4000, 48, 47)):
        number = {"mean": mae, "deviation": None, "values": [mae]}
        training = {"network": "kinematics", "jets": {"mean": jets_seen}}
        scores = {"mae": number, "mre": number}
        rows.append({"training": training, "scores": scores, "trees": {"mae": of_trees, "mre": of_trees}})
    return rows


@pytest.mark.parametrize("oracle_mae", [None, 31.0])
def test_the_oracle_is_a_line_in_the_panel_of_the_mae_where_it_is_known(oracle_mae):
    figure, numbers = learning_curves(curve_rows(), oracle_mae)
    dotted = [[line for line in axes.get_lines() if line.get_linestyle() == ":"] for axes in figure.axes]
    labels = {text.get_text() for axes in figure.axes for text in axes.get_legend().get_texts()}
    if oracle_mae is None:
        assert dotted == [[], []] and "oracle: quarks in the window" not in {*labels, *numbers["curve"]}
    else:
        assert [list(line.get_ydata()) for line in dotted[0]] == [[31, 31]] and not dotted[1]
        assert "oracle: quarks in the window" in labels and numbers["curve"].iloc[-1] == "oracle: quarks in the window"
        assert numbers["value"].iloc[-1] == 31 and np.isnan(numbers["jets"].iloc[-1])


def test_trees_have_their_curve_beside_the_networks():
    few, many = curve_rows()
    many["trees_subjets"] = {"mae": 45, "mre": 45}
    numbers = learning_curves([few, many], None).data
    found = dict(
        zip(zip(numbers["curve"], numbers["metric"], numbers["jets"], strict=True), numbers["value"], strict=True)
    )
    assert found["kinematics", "mae", 4000] == 48 and found["GBDT, image moments", "mae", 1000] == 50
    assert [key for key in found if key[0] == "GBDT, subjet features"] == [
        ("GBDT, subjet features", metric, 4000) for metric in ("mae", "mre")
    ]
    assert found["GBDT, subjet features", "mae", 4000] == 45


def test_numbers_of_jets_stand_below_the_curves_in_thousands():
    few, many = curve_rows()
    many["training"]["jets"] = {"mean": 1_723_362}
    axes = learning_curves([few, many], None).figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "1,720"]
