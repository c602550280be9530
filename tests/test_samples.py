"""Evaluation on samples that no network was trained on: predictions, scores, figures, and what is refused."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from conftest import REPOSITORY, make_jets
from evaluate_sample import evaluate_sample
from figure_runs import COLOURS
from predict_sample import predict_sample
from topmass.commands.predict_jets import predict_jets
from topmass.config.config_sources import ConfigSource
from topmass.config.configuration import configure
from topmass.evaluation.bootstrap import Bootstrap, Resamples
from topmass.evaluation.metrics import METRICS
from topmass.evaluation.sample_score import clip_edges, read_sample_scores
from topmass.figures.figure_sample import draw_sample
from topmass.files import BadInput
from topmass.jets import write_jets
from topmass.layers import LAYERS
from topmass.models.trained_model import TrainedModel
from topmass.plotting.style import draw_and_save
from topmass.preprocessing.shards import Shard
from topmass.report.sample_tables import sample_sections
from train_gbdt import train_gbdt

SCHEMA = yaml.safe_load((REPOSITORY / "workflow/schemas/sample.schema.yaml").read_text(encoding="utf-8"))
BINS = {"mass": [85, 150, 200, 300, 500], "pt": [400, 600, 1000]}
BOOTSTRAP = {"resamples": 60, "level": 0.68, "seed": 1}
JETS = 4000


def table(jets: int = JETS, truth: bool = True, weighted: bool = False, seed: int = 1, **columns) -> pa.Table:
    """A file of `predict_sample`: predictions are normal around the mass, with 68 % intervals of the right width."""
    rng = np.random.default_rng(seed)
    mass = columns.pop("mass", rng.uniform(140, 210, jets))
    predicted = columns.pop("predicted", mass + rng.normal(0, 10, jets))
    values = {
        "event": np.arange(jets) // 2, "pt": rng.uniform(400, 1300, jets), "jet_mass": mass + 20,
        "softdrop_mass": 0.9 * mass, "predicted": predicted, "low": predicted - 9.95, "high": predicted + 9.95,
        "gbdt": predicted + 1,
    }  # fmt: skip
    values |= {"mass": mass} if truth else {}
    values |= {"weight": rng.exponential(1, jets)} if weighted else {}
    made = {name: pa.array(each if name == "event" else np.asarray(each, "f4")) for name, each in values.items()}
    made |= {name: pa.array(each) for name, each in columns.items()}
    return pa.table(made).replace_schema_metadata({"quantiles": "[0.16, 0.84]", "model": "0123456789abcdef"})


def evaluated(folder: Path, content: pa.Table, process: str | None = "ttbar", mass: float | None = None) -> dict:
    """The scores of a file."""
    pq.write_table(content, folder / "mine.parquet")
    files = [folder / f"mine.{suffix}" for suffix in ("parquet", "json", "csv")]
    run = {"experiment": "tiny", "seed": 1, "sample": "mine"}
    evaluate_sample(*files, run, process, mass, "mass", BINS, 85, BOOTSTRAP)
    scores = json.loads(files[1].read_text(encoding="utf-8"))
    jsonschema.validate(scores, SCHEMA)
    return scores


def everything(scores: dict, estimator: str = "network") -> dict[str, float]:
    return {name: score["value"] for name, score in scores["regions"][0]["scores"][estimator].items() if score}


def test_jets_of_many_masses_have_response_and_resolution_in_bins_that_end_with_the_jets(tmp_path):
    scores = evaluated(tmp_path, table())
    found = everything(scores)
    assert scores["kind"] == "masses" and scores["model"] == "0123456789abcdef" and scores["level"] == 0.68
    assert found["response"] == pytest.approx(1, abs=0.005) and found["mae"] == pytest.approx(7.98, rel=0.05)
    assert found["coverage"] == pytest.approx(0.68, abs=0.03)
    assert everything(scores, "softdrop_mass")["response"] == pytest.approx(0.9, abs=1e-6)
    assert {"network", "trees_image", "softdrop_mass", "jet_mass"} == set(scores["regions"][0]["scores"])
    spans = {by: [each[by] for each in scores["regions"] if each["by"] == by] for by in ("mass", "pt")}
    assert spans == {"mass": [[140, 150], [150, 200], [200, 210]], "pt": [[400, 600], [600, 1000]]}
    for by in ("mass", "pt", "mass and pt"):
        assert sum(each["jets"] for each in scores["regions"] if each["by"] == by) == JETS
    assert "\nmass,140,150,,," in (tmp_path / "mine.csv").read_text(encoding="utf-8")


def test_a_single_mass_has_the_distribution_of_each_estimate(tmp_path):
    rng = np.random.default_rng(2)
    # The mode of this distribution is not its median.
    predicted = np.where(rng.random(JETS) < 0.7, rng.normal(175, 5, JETS), rng.uniform(60, 150, JETS))
    scores = evaluated(tmp_path, table(mass=np.full(JETS, 172.5), predicted=predicted), mass=172.5)
    found = everything(scores)
    assert scores["kind"] == "single mass" and {each["by"] for each in scores["regions"]} == {"all", "pt"}
    assert found["mode"] == pytest.approx(175, abs=2) and found["median"] < 174
    quantiles = np.quantile(predicted, (0.16, 0.5, 0.84))
    assert [found[name] for name in ("q16", "median", "q84")] == pytest.approx(quantiles, abs=1e-3)
    assert found["half_width"] == pytest.approx((quantiles[2] - quantiles[0]) / 2, abs=1e-3)
    assert found["in_window"] == pytest.approx(np.mean(np.abs(predicted - 172.5) < 20), abs=1e-3)
    assert "sculpting" not in found and {"mae", "coverage"} <= set(found)
    for name, score in scores["regions"][0]["scores"]["network"].items():
        assert score["low"] <= score["value"] <= score["high"], name


def test_a_spectrum_without_a_peak_is_not_sculpted_and_one_with_a_peak_is(tmp_path, said):
    rng = np.random.default_rng(3)
    flat = evaluated(tmp_path, table(truth=False, predicted=rng.uniform(50, 300, JETS)), "qcd")
    found = flat["regions"][0]["scores"]["network"]["sculpting"]
    assert found["value"] == pytest.approx(1, abs=0.1) and found["low"] < found["value"] < found["high"]
    peaked = evaluated(tmp_path, table(truth=False, predicted=rng.normal(172.5, 30, JETS)), "qcd")
    # Normal distribution: 49.5 % within 20 GeV, 22.9 % in each adjacent window.
    assert everything(peaked)["sculpting"] == pytest.approx(0.495 / 0.230, rel=0.08)
    assert flat["kind"] == "no top" and "no MAE, response and coverage" in said()
    assert not {"mae", "response", "coverage"} & set(everything(flat))


def test_jets_without_truth_are_no_signal(tmp_path):
    assert evaluated(tmp_path, table(truth=False), None)["kind"] == "no truth"


def test_jets_without_truth_among_others_are_left_out(tmp_path, said):
    mass = np.where(np.arange(JETS) % 4, 172.5, np.nan)
    scores = evaluated(tmp_path, table(mass=mass, predicted=np.full(JETS, 180.0)))
    assert scores["regions"][0]["jets"] == 3 * JETS / 4 and everything(scores)["mae"] == pytest.approx(7.5)
    assert "1,000 of 4,000 jets without mass are left out" in said()


def test_weights_undo_a_biased_spectrum_and_leave_fewer_effective_jets(tmp_path):
    """Jets that are drawn twice as often above 175 GeV, with half the weight, score like the others."""
    rng = np.random.default_rng(4)
    mass = rng.uniform(140, 210, 4 * JETS)
    often = mass[(mass > 175) | (rng.random(4 * JETS) < 0.5)]
    rows, noise = len(often), rng.normal(0, 10, len(often))
    weight = np.where(often > 175, 1, 2).astype("f4")
    # An estimate that is wrong in one half of the masses only.
    estimates = {"mass": often, "predicted": often + noise + np.where(often > 175, 20, 0), "weight": weight}
    scores = evaluated(tmp_path, table(rows, **estimates))
    plain = evaluated(tmp_path, table(rows, **{name: estimates[name] for name in ("mass", "predicted")}))
    errors = [np.abs(estimates["predicted"] - often)[chosen].mean() for chosen in (often > 175, often <= 175)]
    assert everything(scores)["mae"] == pytest.approx(np.mean(errors), rel=0.03)
    assert everything(plain)["mae"] > 1.1 * everything(scores)["mae"]
    assert scores["regions"][0]["effective_jets"] == pytest.approx(weight.sum() ** 2 / (weight**2).sum(), rel=1e-6)
    assert plain["regions"][0]["effective_jets"] == rows


def test_weights_of_one_and_none_score_the_same(tmp_path):
    plain = evaluated(tmp_path, table(weighted=False))
    null = evaluated(tmp_path, table(weight=np.full(JETS, 3, "f4")))
    assert plain == null


def test_a_region_whose_weights_are_all_zero_has_no_scores():
    rng = np.random.default_rng(6)
    mass, event = rng.uniform(100, 200, 100), np.arange(100)
    weight, regions = np.repeat([0.0, 1.0], 50), [np.arange(50), np.arange(50, 100)]
    columns = {"network": (mass, mass + rng.normal(0, 5, 100))}
    empty, full = Bootstrap(**BOOTSTRAP).score(METRICS, columns, regions, event, weight)
    assert not any(empty["network"].values()) and all(full["network"].values())


def test_the_figure_has_the_jets_that_are_scored(tmp_path):
    """Jets without the target of the training are left out of both, whatever their `mass` is."""
    target = np.where(np.arange(JETS) % 4, 172.5, np.nan)
    content = table(mass=np.full(JETS, 172.5), gen_jet_mass=target)
    scores = evaluated(tmp_path, content, mass=172.5)
    content = content.set_column(
        content.column_names.index("predicted"), "predicted", pa.array(np.where(np.isnan(target), 20.0, 172.0))
    )
    pq.write_table(content, tmp_path / "mine.parquet")
    drawn = draw_sample(tmp_path / "mine.parquet", tmp_path / "mine.json", "gen_jet_mass")["estimates"].data
    network = drawn[drawn["estimator"] == "network"].set_index("start")["density"]
    assert network[20] == 0 and network[170] > 0 and scores["kind"] == "single mass"


@pytest.mark.parametrize("jets", [2, 3, 50, 121])
def test_whole_weights_are_copies_of_jets(jets):
    rng = np.random.default_rng(jets)
    values, weight = rng.normal(0, 1, jets), rng.integers(1, 4, jets)
    counts, levels = rng.poisson(1, (jets, 40)).astype(np.uint8), (0.16, 0.5, 0.84)
    draws = Resamples(counts, weight.astype(float))
    found, means = draws.quantiles(values, np.argsort(values), levels), draws.means(values[None])
    for drawn, mean, each in zip(found.T, means[0], counts.T, strict=True):
        copies = np.repeat(values, each * weight)
        if len(copies):
            np.testing.assert_array_equal(drawn, np.quantile(copies, levels, method="inverted_cdf"))
            assert mean == pytest.approx(copies.mean())


def test_equal_weights_change_no_interval_of_a_mean_and_no_median_by_more_than_a_jet():
    rng = np.random.default_rng(5)
    mass, event = rng.uniform(100, 200, 500), np.arange(500)
    columns, regions = {"network": (mass, mass + rng.normal(0, 5, 500))}, [np.arange(500)]
    ones, bootstrap = np.full(500, 2.0), Bootstrap(**BOOTSTRAP)
    plain, weighted = (
        bootstrap.score(METRICS, columns, regions, event, weight)[0]["network"] for weight in (None, ones)
    )
    for name in ("mae", "mre", "far_off"):
        assert plain[name] == pytest.approx(weighted[name]), name
    assert plain["bias"]["value"] == pytest.approx(weighted["bias"]["value"], abs=0.05)


@pytest.mark.parametrize(
    ("name", "values", "edges"),
    [
        ("mass", [140.2, 209.7], [140, 150, 200, 210]),
        ("mass", [510, 600], [510, 600]),
        ("mass", [172.5, 172.5], [172, 173]),
        ("pt", [410, 1900], [400, 600, 1000]),
        ("pt", [610, 700], [600, 1000]),
        ("pt", [300, 500], [300, 400, 600]),
        ("pt", [1100, 1200], [600, 1000]),
    ],
)
def test_bins_are_those_that_have_jets(name, values, edges):
    assert clip_edges(name, np.array(values), BINS[name]) == edges


WRONG = {
    "no predictions": (lambda content: content.drop_columns("predicted"), "no column 'predicted'"),
    "no jet": (lambda content: content.slice(0, 0), "no jet"),
    "a weight below zero": (
        lambda content: content.append_column("weight", pa.array(np.full(JETS, -1.0))),
        "row 0: weight is -1; expected zero or more",
    ),
    "one event": (lambda content: content.slice(0, 2), "fewer than two events"),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_files_that_cannot_be_evaluated_are_refused(change, message, tmp_path):
    with pytest.raises(BadInput, match=message):
        evaluated(tmp_path, change(table()))
    assert not (tmp_path / "mine.json").exists()


def test_scores_of_another_version_are_refused(tmp_path):
    evaluated(tmp_path, table(200))
    path = tmp_path / "mine.json"
    for text in (path.read_text().replace('"version": 1', '"version": 0'), "{}", "not JSON"):
        path.write_text(text)
        with pytest.raises(BadInput, match=r"mine\.json: "):
            read_sample_scores(path)


KINDS = {
    "masses": ({"weighted": True}, "ttbar", None),
    "single mass": ({"mass": np.full(JETS, 172.5)}, "ttbar", 172.5),
    "no top": ({"truth": False, "weighted": True}, "qcd", None),
}


@pytest.mark.parametrize(("content", "process", "mass"), KINDS.values(), ids=KINDS)
def test_each_kind_has_its_figure_and_its_section_of_the_report(content, process, mass, tmp_path, request):
    scores = evaluated(tmp_path, table(**content), process, mass)
    inputs = {"predictions": tmp_path / "mine.parquet", "scores": tmp_path / "mine.json"}
    inputs["target"] = "mass"
    draw_and_save(draw_sample, inputs, {"estimates": tmp_path / "estimates.png"}, COLOURS)
    assert (tmp_path / "estimates.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "estimates.csv").read_text().count("\n") > 5
    other = scores | {"experiment": "other"}
    (section,) = sample_sections([scores, other], [])
    assert section["name"] == "mine" and section["kind"] in request.node.callspec.id
    first, *more = section["tables"]
    assert [row[0] for row in first.rows][:2] == ["network tiny, seed 1", "network other, seed 1"]
    assert ("effective number" in first.caption) == content.get("weighted", False)
    assert ("nominal coverage 68%" in first.caption) == (process != "qcd")
    assert [each.caption for each in more] == (["Sculpting by jet pT"] if process == "qcd" else [])


@pytest.fixture
def model(dataset, tmp_path) -> Path:
    """A network with initial weights for the layers of the shards."""
    meta = Shard.load(dataset[1]["train"][0]).meta
    path = tmp_path / "model.safetensors"
    TrainedModel.new({"name": "resnet15", "downsample": 8}, meta, [0.16, 0.5, 0.84]).save(path)
    return path


def predicted(model: Path, gbdts: dict[str, Path], tables: list[Path]) -> pa.Table:
    out = model.with_name("mine.parquet")
    predict_sample(model, gbdts, tables, out, "cpu", "float32", 1)
    return pq.read_table(out)


def test_predictions_are_those_of_predict_with_those_of_the_trees(model, dataset, tables, tmp_path):
    statistics, shards = dataset
    kinds = ("trees_image", "trees_subjets")
    predictions, models = ({kind: tmp_path / f"{kind}.{end}" for kind in kinds} for end in ("parquet", "txt"))
    train_gbdt(shards, statistics, predictions, models, 1)
    found = predicted(model, {"gbdt": models["trees_image"], "gbdt_subjets": models["trees_subjets"]}, tables)
    assert {"event", "pt", "eta", "mass", "jet_mass", "softdrop_mass", "weight", "pileup"} < set(found.column_names)
    assert found.column_names[-5:] == ["predicted", "low", "high", "gbdt", "gbdt_subjets"]
    predict_jets(model, [str(path) for path in tables], tmp_path / "plain.parquet", device="cpu", precision="float32")
    plain = pq.read_table(tmp_path / "plain.parquet")
    assert found.select(plain.column_names).equals(plain.replace_schema_metadata(found.schema.metadata))
    assert set(found.schema.metadata) == {b"quantiles", b"model"}
    # The test jets are among these jets.
    for kind, column in zip(kinds, ("gbdt", "gbdt_subjets"), strict=True):
        of_test = pq.read_table(predictions[kind])
        known = dict(zip(found["pt"].to_pylist(), found[column].to_pylist(), strict=True))
        again = [known[pt] for pt in of_test["pt"].to_pylist()]
        np.testing.assert_array_equal(np.float32(again), of_test["predicted"].to_numpy())


def test_jets_that_lack_what_the_trees_need_have_the_network_alone(model, dataset, tmp_path, said):
    statistics, shards = dataset
    train_gbdt(shards, statistics, {"trees_image": tmp_path / "t.parquet"}, {"trees_image": tmp_path / "t.txt"}, 1)
    jets = make_jets(20, 7)
    jets.jet_mass[:] = np.nan
    write_jets(tmp_path / "other.parquet", [jets], LAYERS, {})
    write_jets(tmp_path / "empty.parquet", [], LAYERS, {})
    found = predicted(model, {"gbdt": tmp_path / "t.txt"}, [tmp_path / "empty.parquet", tmp_path / "other.parquet"])
    assert len(found) == 20 and "gbdt" not in found.column_names
    assert "no column 'gbdt', because jet_mass is unknown" in said()


def test_a_sample_without_a_layer_or_without_a_jet_is_refused(model, tmp_path):
    jets = make_jets(10)
    jets.layer[:] = 0
    write_jets(tmp_path / "other.parquet", [jets], LAYERS[:1], {})
    with pytest.raises(BadInput, match=r"other\.parquet: no layer '"):
        predicted(model, {}, [tmp_path / "other.parquet"])
    write_jets(tmp_path / "empty.parquet", [], LAYERS, {})
    with pytest.raises(BadInput, match="no jet in any jet table"):
        predicted(model, {}, [tmp_path / "empty.parquet"])


def refused(**sections) -> str:
    with pytest.raises(BadInput) as error:
        configure([ConfigSource("mine.yaml", sections)], look=False)
    return str(error.value)


FILES = {"files": [{"path": "jets.parquet"}]}
REFUSED = {
    "an unknown sample": ({}, "gnu", "there is no 'gnu'; known are gun"),
    "the sample of the training": ({}, "gun", "'gun' has the events that the experiment 'fast' is trained on"),
    "the same jets by another name": (
        {"copy": {"extends": "gun", "jets": 10}},
        "copy",
        "'copy' has the events that the experiment 'fast' is trained on; to fix: choose a sample with another seed",
    ),
    "a layer that it lacks": (
        {"mine": FILES | {"layers": ["ecal", "hcal"]}},
        "mine",
        "'mine' has ecal, hcal only; the experiment 'fast' requires track_pt",
    ),
    "a position that it lacks": (
        {"mine": FILES | {"position": "none"}},
        "mine",
        "'mine' has position none; the experiment 'fast' requires the position of the jets",
    ),
}


@pytest.mark.parametrize(("samples", "name", "message"), REFUSED.values(), ids=REFUSED)
def test_samples_that_cannot_be_evaluated_are_refused_before_anything_runs(samples, name, message):
    said = refused(samples=samples, evaluate={"samples": ["ttbar_172", name]})
    assert said.startswith(f"mine.yaml: evaluate.samples.1: {message}")


def test_samples_with_other_jets_are_accepted():
    assert configure([ConfigSource("mine.yaml", {"evaluate": {"samples": ["ttbar_172", "qcd"]}})])
