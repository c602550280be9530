"""The stage `calibrate`, and the calibrated masses of `predict_jets`."""

import json
from pathlib import Path

import correctionlib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot

from calibrate import calibrate
from conftest import make_jets
from root_files import write_nanoaod
from test_predict_jets import save_model
from topmass.commands.predict_jets import predict_jets
from topmass.config.config_sources import ConfigSource
from topmass.config.configuration import configure
from topmass.evaluation.response_correction import ETA_BINS, bin_index, median_response
from topmass.files import BadInput, file_digest
from topmass.jets import write_jets
from topmass.layers import LAYERS, PIXEL_ETA

PT_BINS = [400, 600, 800, 1000]


def true_response(pt: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """A response that is the same within a bin."""
    return 1.2 - 0.1 * bin_index(pt, PT_BINS) - 0.05 * bin_index(np.abs(eta), ETA_BINS)


def made_up(jets: int = 20_000, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    pt, eta, mass = rng.uniform(400, 1000, jets), rng.uniform(-2, 2, jets), rng.uniform(85, 500, jets)
    predicted = mass * true_response(pt, eta) * rng.normal(1, 0.1, jets)
    columns = {"event": np.arange(jets), "pt": pt, "eta": eta, "mass": mass, "predicted": predicted}
    return columns | {"weight": np.full(jets, np.nan)}


def write(path: Path, jets: dict[str, np.ndarray], model: str = "abc") -> Path:
    columns = {name: pa.array(values, pa.float32(), from_pandas=True) for name, values in jets.items()}
    pq.write_table(pa.table(columns).replace_schema_metadata({"model": model}), path)
    return path


def run(folder: Path, jets: dict[str, np.ndarray], target: str = "mass", model: str = "abc") -> Path:
    predictions = write(folder / "ttbar.parquet", jets, model)
    calibrate(predictions, folder / "1.json", "ttbar", target, PT_BINS, 85)
    return folder / "1.json"


def factors(path: Path) -> list[float]:
    (correction,) = json.loads(path.read_text())["corrections"]
    return correction["data"]["content"][0]["value"]["content"]


def test_calibrated_masses_close_on_other_jets(tmp_path):
    path = run(tmp_path, made_up())
    # The two lines of docs/use-a-model.md.
    response = correctionlib.CorrectionSet.from_file(str(path))["topmass_response"]
    jets = made_up(seed=1)
    calibrated = jets["predicted"] * response.evaluate(jets["pt"], np.abs(jets["eta"]), "nominal")
    for jets_of_bin in range(9):
        chosen = bin_index(jets["pt"], PT_BINS) * 3 + bin_index(np.abs(jets["eta"]), ETA_BINS) == jets_of_bin
        assert np.median(calibrated[chosen] / jets["mass"][chosen]) == pytest.approx(1, abs=0.02)
    assert "model abc on 20,000 jets of the sample ttbar" in response.description


def test_the_variations_are_one_statistical_error_apart(tmp_path):
    pulls = []
    for seed in range(30):
        response = correctionlib.CorrectionSet.from_file(str(run(tmp_path, made_up(2000, seed))))["topmass_response"]
        nominal, up, down = (response.evaluate(500.0, 0.5, name) for name in ("nominal", "up", "down"))
        assert up - nominal == pytest.approx(nominal - down) and up > nominal
        pulls.append((nominal - 1 / 1.2) / (up - nominal))
    assert np.std(pulls) == pytest.approx(1, abs=0.4)


def test_jets_outside_the_bins_have_the_factors_of_the_nearest_bin(tmp_path):
    response = correctionlib.CorrectionSet.from_file(str(run(tmp_path, made_up())))["topmass_response"]
    assert response.evaluate(3000.0, 5.0, "nominal") == response.evaluate(999.0, 1.9, "nominal")
    assert response.evaluate(100.0, 0.0, "nominal") == response.evaluate(401.0, 0.1, "nominal")


def test_a_bin_with_few_jets_has_the_factor_of_all_jets(tmp_path, said):
    jets = made_up(4000)
    few = (jets["pt"] > 800) & (np.abs(jets["eta"]) > 1.4)
    kept = ~few | (np.cumsum(few) <= 99)
    jets = {name: values[kept] for name, values in jets.items()}
    response = correctionlib.CorrectionSet.from_file(str(run(tmp_path, jets)))["topmass_response"]
    expected = 1 / np.median(jets["predicted"].astype("f4") / jets["mass"].astype("f4"))
    assert response.evaluate(900.0, 1.9, "nominal") == pytest.approx(expected, rel=1e-4)
    assert "1 of 9 bins have fewer than 100 jets, and the factor of all jets" in said()


def test_weights_count(tmp_path):
    jets = made_up()
    jets["weight"] = np.where(jets["predicted"] > jets["mass"] * true_response(jets["pt"], jets["eta"]), 3.0, 1.0)
    plain, weighted = made_up(), jets
    assert np.less(factors(run(tmp_path, weighted)), factors(run(tmp_path, plain))).all()
    ratio = np.random.default_rng(1).normal(1, 0.1, 1001)
    assert median_response(ratio, np.ones(1001)).median == pytest.approx(np.median(ratio))
    assert median_response(ratio, np.full(1001, 7.0)) == pytest.approx(median_response(ratio, np.ones(1001)))
    doubled = median_response(np.concatenate([ratio, ratio]), np.ones(2002))
    assert median_response(ratio, np.full(1001, 2.0)).median == pytest.approx(doubled.median, abs=1e-3)


def test_a_null_weight_is_one(tmp_path):
    jets = made_up()
    some = np.arange(len(jets["pt"])) % 2 == 0
    jets["weight"] = np.where(some, np.nan, 3.0)
    null = run(tmp_path, jets).read_text()
    jets["weight"] = np.where(some, 1.0, 3.0)
    assert run(tmp_path, jets).read_text() == null


def test_eta_of_jets_without_it_is_that_of_the_window(tmp_path):
    jets = made_up()
    with_eta = factors(run(tmp_path, jets))
    jets["ieta"] = jets.pop("eta") / PIXEL_ETA
    assert np.allclose(factors(run(tmp_path, jets)), with_eta, rtol=1e-3)


WRONG = {
    "no masses": (lambda jets: jets["mass"].fill(np.nan), "no jet with a 'mass' above 85 GeV; to fix"),
    "no column": (lambda jets: jets.pop("mass"), "no column 'mass'"),
    "few jets": (lambda jets: jets["mass"][99:].fill(np.nan), r"99 \(effective\) jets with a generated mass"),
    "negative weights": (lambda jets: jets["weight"].fill(-1), "row 0: weight is -1; expected zero or more"),
    "negative masses": (lambda jets: jets["predicted"].fill(-1), "expected positive predicted masses"),
    "a prediction that is not finite": (
        lambda jets: jets["predicted"].__setitem__(7, np.nan),
        r"row 7: the predicted mass is not finite \(1 jets\)",
    ),
    "not finite": (lambda jets: jets["pt"].fill(np.inf), "row 0: pt or eta is not finite"),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_predictions_without_a_response_are_refused_in_one_line(change, message, tmp_path):
    jets = made_up()
    change(jets)
    with pytest.raises(BadInput, match=message):
        run(tmp_path, jets)
    assert not (tmp_path / "1.json").exists()


@pytest.fixture
def model(tmp_path) -> Path:
    return save_model(tmp_path / "model.safetensors")


@pytest.fixture
def table(tmp_path) -> Path:
    write_jets(tmp_path / "jets.parquet", [make_jets(50)], LAYERS, {})
    return tmp_path / "jets.parquet"


def test_predictions_have_the_calibrated_mass_next_to_the_raw_one(model, table, tmp_path):
    path = run(tmp_path, made_up(), model=file_digest(model))
    predict_jets(model, [str(table)], tmp_path / "raw.parquet", device="cpu")
    predict_jets(model, [str(table)], tmp_path / "out.parquet", device="cpu", calibration=path)
    raw, out = pq.read_table(tmp_path / "raw.parquet"), pq.read_table(tmp_path / "out.parquet")
    assert out.drop_columns("calibrated").equals(raw)
    response = correctionlib.CorrectionSet.from_file(str(path))["topmass_response"]
    factor = response.evaluate(raw["pt"].to_numpy(), np.abs(raw["eta"].to_numpy()), "nominal")
    assert np.allclose(out["calibrated"], raw["predicted"].to_numpy() * factor, rtol=1e-5)


def test_a_calibration_from_predictions_of_an_unknown_model_is_used_for_any(model, table, tmp_path):
    path = run(tmp_path, made_up(), model="")
    assert "of the model unknown on" in path.read_text()
    predict_jets(model, [str(table)], tmp_path / "out.parquet", device="cpu", calibration=path)
    assert "calibrated" in pq.read_table(tmp_path / "out.parquet").column_names


def test_a_tree_of_masses_has_them_too(model, tmp_path):
    path = run(tmp_path, made_up(), model=file_digest(model))
    source = str(write_nanoaod(tmp_path / "events.root"))
    predict_jets(model, [source], tmp_path / "o.root", device="cpu", file_format="nanoaod", calibration=path)
    assert "topmass_calibrated" in uproot.open(tmp_path / "o.root")["topmass"]


def test_another_models_or_no_calibration_is_refused_in_one_line(model, table, tmp_path):
    for content, message in (
        (run(tmp_path, made_up(), model="0" * 16).read_text(), "expected one of the model"),
        ("{", "no correction 'topmass_response'"),
        ("{}", "no correction 'topmass_response'"),
        ('{"schema_version": 2, "corrections": []}', "no correction 'topmass_response'"),
    ):
        (tmp_path / "wrong.json").write_text(content)
        with pytest.raises(BadInput, match=message) as error:
            predict_jets(model, [str(table)], tmp_path / "o.parquet", calibration=tmp_path / "wrong.json")
        assert "\n" not in str(error.value)
    with pytest.raises(FileNotFoundError):
        predict_jets(model, [str(table)], tmp_path / "o.parquet", calibration=tmp_path / "missing.json")
    path = run(tmp_path, made_up(), model=file_digest(model))
    pq.write_table(pq.read_table(table).drop_columns("pt").replace_schema_metadata(None), table)
    layers = [layer.name for layer in LAYERS]
    with pytest.raises(BadInput, match=r"no column 'pt', and the calibration .* requires it"):
        predict_jets(model, [str(table)], tmp_path / "o.parquet", layers, calibration=path)


@pytest.mark.parametrize(
    ("name", "message"),
    [("nowhere", "there is no 'nowhere'"), ("gun", "'gun' has the events"), ("copy", "'copy' has the events")],
)
def test_a_calibration_sample_must_be_independent(name, message):
    content = {"samples": {"copy": {"extends": "gun"}}, "evaluate": {"calibration_sample": name}}
    with pytest.raises(BadInput, match=f"evaluate.calibration_sample: {message}"):
        configure([ConfigSource("mine.yaml", content)])


def test_a_calibration_of_predictions_must_exist():
    predict = {"model": "fast/1", "jets": "gun", "calibration": "missing.json"}
    with pytest.raises(BadInput, match=r"predict.calibration: missing.json .*no such file"):
        configure([ConfigSource("mine.yaml", {"predict": predict})])
    assert configure([ConfigSource("mine.yaml", {"predict": predict | {"calibration": "null"}})])["predict"]
