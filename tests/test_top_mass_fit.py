"""Templates and fits of the top mass: laws that they must obey, the stage's files, and what it refuses."""

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
from scipy.stats import norm

from conftest import REPOSITORY
from top_mass_fit import top_mass_fit
from topmass.config.config_sources import ConfigSource
from topmass.config.configuration import configure
from topmass.evaluation.fit_results import FIT_TITLES, read_fit
from topmass.evaluation.fit_samples import Binning, EventDraws, FitSample
from topmass.evaluation.mass_templates import DEGREE, MassGrid, Templates, reweighted, top_width
from topmass.evaluation.top_mass_fit import FitSettings, PseudoData, fit_top_mass, quadratic_sum, top_pt_weight
from topmass.figures.figure_top_mass_fit import draw_top_mass_fit
from topmass.files import BadInput
from topmass.plotting.style import draw_and_save
from topmass.report.fit_tables import fit_markdown, fit_tables

SCHEMA = yaml.safe_load((REPOSITORY / "workflow/schemas/top_mass_fit.schema.yaml").read_text(encoding="utf-8"))
MASS, SLOPE, WIDTH = 172.5, 0.8, 10
"""The made-up network predicts 172.5 + 0.8 × (mass − 172.5), with a resolution of 10 GeV."""
GRID = MassGrid(150, 195)
EDGES = np.array([-np.inf, *np.arange(140, 206, 5), np.inf])
SETTINGS = FitSettings(MASS, (150, 195), (100, 250), 5, 10_000, 0.2, 10, 1)
WIDE = 45
"""GeV; the forced width of the made-up sample of the templates."""
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"]


def masses(rng: np.random.Generator, jets: int, width: float | None) -> np.ndarray:
    """Masses of top quarks at 172.5 GeV, with their natural width or another one."""
    centres = GRID.centres
    density = centres**3 / ((centres**2 - MASS**2) ** 2 + (centres**2 * width / MASS) ** 2) if width else None
    density = GRID.breit_wigner(MASS) if density is None else density / density.sum()
    return rng.choice(centres, jets, p=density) + rng.uniform(-0.125, 0.125, jets)


def sample(name: str, jets: int, seed: int, width: float | None = None, scale: float = 1) -> FitSample:
    """Two jets an event; with the same seed the same events, whose estimates are multiplied by a scale."""
    rng = np.random.default_rng(seed)
    mass = masses(rng, jets, width)
    noise = rng.normal(size=(2, jets))
    values = {"network": scale * (MASS + SLOPE * (mass - MASS) + WIDTH * noise[0])}
    values["softdrop_mass"] = scale * (mass - 5 + 18 * noise[1])
    weight, top_pt = rng.exponential(1, jets), 400 + rng.exponential(150, jets)
    return FitSample(name, np.arange(jets) // 2, weight, mass, top_pt, values, rng.uniform(16, 24, jets))


def background(jets: int = 20_000) -> FitSample:
    rng = np.random.default_rng(7)
    values = dict.fromkeys(("network", "softdrop_mass"), 60 + rng.exponential(70, jets))
    nothing = np.full(jets, np.nan)
    return FitSample("qcd", np.arange(jets), np.ones(jets), nothing, nothing, values, rng.uniform(16, 24, jets))


def response(mass: np.ndarray) -> np.ndarray:
    """The probability (J, B) of each bin at each mass."""
    return np.diff(norm.cdf((EDGES - (MASS + SLOPE * (mass - MASS))[:, None]) / WIDTH), axis=1)


def exact_counts() -> np.ndarray:
    """What infinitely many jets with a wide distribution have."""
    return np.linspace(0.5, 1.5, GRID.number)[:, None] * response(GRID.centres)


@pytest.fixture(scope="module")
def results() -> dict:
    """Fits of all estimators to made-up samples, one of which has a scale of 1.01 and one is independent."""
    variations = [sample("scale", 60_000, 2, scale=1.01), sample("independent", 60_000, 3)]
    wide, nominal = sample("wide", 80_000, 1, WIDE), sample("nominal", 60_000, 2)
    return fit_top_mass(wide, nominal, background(), variations, SETTINGS)


def fit_of(results: dict, estimator: str, with_background: bool = False) -> dict:
    return next(fit for fit in results["fits"] if (fit["estimator"], fit["background"]) == (estimator, with_background))


def test_the_natural_width_is_that_of_the_particle_data_group_and_of_pythia():
    """PDG: 1.35 GeV at 173.3 GeV; Pythia 8.317: 1.343 GeV at 172.5 GeV."""
    assert top_width(173.3) == pytest.approx(1.35, abs=0.02)
    assert top_width(172.5) == pytest.approx(1.343, abs=0.005)


@pytest.mark.parametrize("mass", [165, 172.5, 181])
def test_a_breit_wigner_curve_is_normalised_and_half_as_high_half_a_width_away(mass):
    curve = GRID.breit_wigner(mass)
    assert curve.sum() == pytest.approx(1)
    assert GRID.centres[np.argmax(curve)] == pytest.approx(mass, abs=0.25)
    heights = np.interp([mass - top_width(mass) / 2, mass, mass + top_width(mass) / 2], GRID.centres, curve)
    assert heights[[0, 2]] / heights[1] == pytest.approx([0.5, 0.5], abs=0.06)


def test_masses_at_the_ends_of_the_range_have_a_bin_and_others_none():
    assert GRID.index(np.array([149.99, 150, 194.99, 195, np.nan])).tolist() == [-1, 0, GRID.number - 1, -1, -1]


@pytest.mark.parametrize("mass", [166, 169.5, 172.5, 175.5, 180])
def test_with_infinitely_many_jets_the_template_is_the_exact_spectrum(mass):
    exact = GRID.breit_wigner(mass) @ response(GRID.centres)
    assert Templates(GRID, exact_counts()).at(mass) == pytest.approx(exact, abs=2e-4)
    assert reweighted(GRID, exact_counts(), mass) == pytest.approx(exact, abs=1e-12)


def test_a_template_is_positive_and_normalised_at_each_mass_even_with_few_jets():
    rng = np.random.default_rng(1)
    counts = rng.poisson(400 * exact_counts() / exact_counts().sum()).astype(float)
    templates = Templates(GRID, counts[:, counts.sum(axis=0) > 0])
    for mass in range(155, 191, 5):
        assert templates.at(mass).sum() == pytest.approx(1) and (templates.at(mass) > 0).all()


def test_the_template_at_a_mass_is_the_directly_simulated_spectrum_within_its_error():
    """Pull of each bin, with the errors of both from independent repetitions."""
    templates, direct, weighted = [], [], []
    for seed in range(20):
        wide, nominal = sample("wide", 20_000, seed, WIDE), sample("nominal", 20_000, 100 + seed)
        counts = [np.digitize(each.values["network"], EDGES[1:-1]) for each in (wide, nominal)]
        cells = GRID.index(wide.mass) * 15 + counts[0]
        filled = np.bincount(cells, wide.weight, GRID.number * 15).reshape(-1, 15)
        templates.append(Templates(GRID, filled).at(MASS))
        weighted.append(reweighted(GRID, filled, MASS))
        spectrum = np.bincount(counts[1], nominal.weight, 15)
        direct.append(spectrum / spectrum.sum())
    difference = np.mean(templates, axis=0) - np.mean(direct, axis=0)
    error = np.sqrt((np.var(templates, axis=0, ddof=1) + np.var(direct, axis=0, ddof=1)) / 20)
    assert np.abs(difference / error).max() < 4
    # The polynomials use all jets: their error is smaller than that of the few jets near the mass.
    assert np.std(templates, axis=0).sum() < 0.8 * np.std(weighted, axis=0).sum()


@pytest.mark.parametrize("distance", [-3, 0, 3])
def test_exact_pseudo_data_at_a_mass_are_fitted_at_this_mass(distance):
    templates = Templates(GRID, exact_counts())
    exact = GRID.breit_wigner(MASS + distance) @ response(GRID.centres)
    assert PseudoData(SETTINGS, None).fit(templates, exact)[0] == pytest.approx(MASS + distance, abs=0.02)


def test_the_closure_of_independent_halves_is_compatible_with_zero(results):
    for fit in results["fits"]:
        assert [entry["true"] for entry in fit["closure"]] == [169.5, 171, 172.5, 174, 175.5]
        for entry in (*fit["closure"], fit["nominal"]):
            assert abs(entry["value"]) < 4 * entry["error"] and 0.02 < entry["error"] < 1


def test_a_scale_shifts_the_fit_by_what_the_response_demands(results):
    """1 % of the predicted mass, divided by the slope of the response."""
    for with_background in (False, True):
        shift = fit_of(results, "network", with_background)["shifts"]["scale"]
        assert shift["value"] == pytest.approx(0.01 * MASS / SLOPE, abs=4 * shift["error"])
        assert shift["error"] < 0.08


def test_the_shift_of_the_same_events_has_a_smaller_error_than_that_of_independent_ones(results):
    shifts = fit_of(results, "network")["shifts"]
    assert shifts["scale"]["error"] < 0.6 * shifts["independent"]["error"]
    assert abs(shifts["independent"]["value"]) < 4 * shifts["independent"]["error"]
    common = {entry["name"]: entry["common"] for entry in results["samples"]}
    assert common == {"wide": 0, "nominal": 1, "qcd": 0, "scale": 1, "independent": 0}


def test_the_error_of_a_paired_shift_is_the_spread_over_independent_repetitions():
    templates, shifts = Templates(GRID, exact_counts()), []
    for seed in range(30):
        both = []
        for scale in (1, 1.01):
            jets = sample("repeated", 4_000, 50 + seed, scale=scale)
            content = np.bincount(np.digitize(jets.values["network"], EDGES[1:-1]), jets.weight, len(EDGES) - 1)
            both.append(PseudoData(SETTINGS, None).fit(templates, content / content.sum())[0])
        shifts.append(both[1] - both[0])
    nominal, varied = sample("nominal", 4_000, 50), sample("scale", 4_000, 50, scale=1.01)
    few = replace(SETTINGS, resamples=30)
    found = fit_top_mass(sample("wide", 20_000, 1, WIDE), nominal, None, [varied], few)
    assert 0.5 < np.std(shifts, ddof=1) / fit_of(found, "network")["shifts"]["scale"]["error"] < 1.8


def test_the_statistical_error_falls_with_the_root_of_the_number_of_jets():
    templates = Templates(GRID, exact_counts())
    errors = [PseudoData(replace(SETTINGS, jets=jets), None).error(templates) for jets in (1_000, 4_000, 16_000)]
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.02)
    assert errors[1] / errors[2] == pytest.approx(2, rel=0.02)


def test_the_statistical_error_is_that_of_the_exact_information_whatever_the_number_of_template_jets(results):
    """The noise of templates from few jets would make the error too small."""
    slopes = GRID.breit_wigner(MASS + 0.1) - GRID.breit_wigner(MASS - 0.1)
    content, slope = GRID.breit_wigner(MASS) @ response(GRID.centres), slopes @ response(GRID.centres) / 0.2
    exact = (SETTINGS.jets * (slope**2 / content).sum()) ** -0.5
    few = fit_top_mass(sample("wide", 8_000, 5, WIDE), sample("nominal", 5_000, 6), None, [], SETTINGS)
    for found in (results, few):
        sigma = fit_of(found, "network")["sigma"]
        assert sigma["value"] == pytest.approx(exact, abs=4 * sigma["error"] + 0.02 * exact)
    assert sigma["error"] > 2 * fit_of(results, "network")["sigma"]["error"]


def test_a_free_background_costs_precision_and_the_categories_of_meaningless_widths_gain_none(results):
    sigma = {with_background: fit_of(results, "softdrop_mass", with_background)["sigma"] for with_background in (0, 1)}
    assert sigma[True]["value"] > sigma[False]["value"]
    plain, by_width = (fit_of(results, name)["sigma"] for name in ("network", "network_by_width"))
    assert by_width["value"] == pytest.approx(plain["value"], rel=0.03)


def test_categories_by_width_gain_where_the_width_says_how_good_a_jet_is():
    def with_widths(name, jets, seed, width=None):
        known = sample(name, jets, seed, width)
        good = np.random.default_rng(seed).random(jets) < 1 / 3
        network = known.values["network"] + np.where(good, 0, np.random.default_rng(seed + 1).normal(0, 30, jets))
        return replace(known, values={"network": network}, width=np.where(good, 10, 40) + 0.01 * known.width)

    found = fit_top_mass(with_widths("wide", 60_000, 1, WIDE), with_widths("nominal", 9_000, 20), None, [], SETTINGS)
    assert fit_of(found, "network_by_width")["sigma"]["value"] < 0.95 * fit_of(found, "network")["sigma"]["value"]


def test_the_same_seed_gives_the_same_table_and_another_seed_other_errors():
    samples = (sample("wide", 8_000, 1, WIDE), sample("nominal", 4_000, 2), None, [])
    first, again, other = (fit_top_mass(*samples, replace(SETTINGS, seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert fit_of(first, "network")["nominal"]["value"] == fit_of(other, "network")["nominal"]["value"]
    assert fit_of(first, "network")["nominal"]["error"] != fit_of(other, "network")["nominal"]["error"]


def test_a_shift_outside_the_templates_has_no_value_and_neither_has_the_sum(results):
    samples = (sample("wide", 8_000, 1, WIDE), sample("nominal", 4_000, 2), None, [sample("far", 4_000, 2, scale=1.3)])
    found = {"experiment": "fast", "seed": 1} | fit_top_mass(*samples, SETTINGS)
    fit = fit_of(found, "network")
    assert fit["shifts"]["far"] is None and fit["quadratic_sum"] is None
    assert fit["shifts"]["top_pt_reweighted"] is not None
    assert "| outside |" in fit_markdown(found)
    Draft202012Validator(SCHEMA).validate(found)


def test_of_a_pair_up_and_down_the_larger_shift_counts():
    assert quadratic_sum(np.array([3, -1, 4.0]), ["a_up", "a_down", "b"]) == pytest.approx(5)
    assert np.isnan(quadratic_sum(np.array([3, np.nan]), ["a", "b_up"]))


def test_the_weights_of_the_top_pt_are_those_that_were_published():
    assert top_pt_weight(np.array([123.0, 400])) == pytest.approx([1, np.exp(0.0615 - 0.2)])


def test_all_jets_of_an_event_have_one_weight_in_all_samples():
    first, second = sample("first", 1000, 1), sample("second", 600, 2)
    factors = EventDraws([first, second], 3).draw()
    assert (factors["first"][::2] == factors["first"][1::2]).all()
    assert (factors["first"][:600] == factors["second"]).all() and factors["first"].std() == pytest.approx(1, abs=0.15)


def test_bins_with_few_jets_are_merged_and_every_jet_has_a_bin():
    wide = sample("wide", 3_000, 1, WIDE)
    for estimator in ("network", "network_by_width"):
        bins = Binning(estimator, wide, MASS, (100, 250), 5)
        near = np.abs(wide.mass - MASS) < 10
        counts = np.bincount(bins.index(wide)[near], wide.weight[near], bins.number)
        squares = np.bincount(bins.index(wide)[near], wide.weight[near] ** 2, bins.number)
        assert (counts**2 / squares >= 20).all() and bins.number < 3 * 32
    assert (
        len(Binning("network", wide, MASS, (100, 250), 5).edges) + 1
        == Binning("network", wide, MASS, (100, 250), 5).number
    )


def save(jets: FitSample, folder: Path, **changed: np.ndarray) -> Path:
    """The table that the predictions for a sample are."""
    half = jets.width / 2
    columns = {"event": jets.event, "mass": jets.mass, "weight": jets.weight, "top_pt": jets.top_pt}
    columns |= {"predicted": jets.values["network"], "softdrop_mass": jets.values["softdrop_mass"]}
    columns |= {"jet_mass": columns["softdrop_mass"] + 3, "pt": columns["top_pt"]}
    columns |= {"gen_softdrop_mass": np.where(jets.event % 50, columns["softdrop_mass"], np.nan)}
    columns |= {"low": columns["predicted"] - half, "high": columns["predicted"] + half} | changed
    arrays = {
        name: pa.array(values) if name == "event" else pa.array(values.astype("f4"), from_pandas=True)
        for name, values in columns.items()
        if values is not None
    }
    path = folder / f"{jets.name}.parquet"
    pq.write_table(pa.table(arrays).replace_schema_metadata({"quantiles": "[0.16, 0.84]"}), path)
    return path


def run(folder: Path, wide: Path, nominal: Path, background: Path | None = None, variations: tuple = ()) -> dict:
    """The stage's JSON."""
    settings = {"top_mass": MASS, "mass_range": [150, 195], "span": [100, 250], "bin_width": 5, "jets": 10_000}
    settings |= {"background_fraction": 0.2, "resamples": 10, "seed": 1}
    files = [folder / f"1.{kind}" for kind in ("json", "csv", "md")]
    top_mass_fit(wide, nominal, background, variations, *files, "fast", 1, settings)
    return read_fit(files[0])


def test_the_stage_writes_all_numbers_in_three_forms_and_they_can_be_drawn(tmp_path):
    wide, nominal = sample("wide", 8_000, 1, WIDE), sample("nominal", 4_000, 2)
    varied = save(sample("scale_up", 4_000, 2, scale=1.01), tmp_path)
    gbdt = {"gbdt": wide.values["network"] + 1}
    files = (save(wide, tmp_path, **gbdt), save(nominal, tmp_path), save(background(), tmp_path))
    content = run(tmp_path, *files, [varied])
    Draft202012Validator(SCHEMA).validate(content)
    # Not every sample has a GBDT.
    estimators = ["network", "network_by_width", "softdrop_mass", "jet_mass", "gen_softdrop_mass"]
    assert [fit["estimator"] for fit in content["fits"]] == 2 * estimators
    table = pd.read_csv(tmp_path / "1.csv", comment="#")
    one = table[(table["ESTIMATOR"] == FIT_TITLES["network"]) & (table["BACKGROUND"] == "none")].set_index("QUANTITY")
    assert one["VALUE [GEV]"]["statistical error"] == pytest.approx(content["fits"][0]["sigma"]["value"], abs=1e-4)
    assert (table["simulation +"] == -table["simulation -"]).all()
    markdown = (tmp_path / "1.md").read_text(encoding="utf-8")
    assert markdown.count("| shift by scale_up |") == 2 and "free background, 20% of" in markdown
    assert [len(each.rows) for each in fit_tables(content)] == [10, 10, 4]
    figures = {name: tmp_path / f"{name}.png" for name in ("top_mass_templates", "top_mass_shifts")}
    draw_and_save(draw_top_mass_fit, {"fits": tmp_path / "1.json"}, figures, COLOURS)
    shifts = pd.read_csv(tmp_path / "top_mass_shifts.csv")
    assert len(shifts) == 5 * 10 and shifts["value"].notna().all()
    templates = pd.read_csv(tmp_path / "top_mass_templates.csv")
    sums = templates.groupby("estimator")[["template_172.5", "nominal", "information"]].sum()
    assert sums.to_numpy() == pytest.approx(1)


def test_an_estimator_that_a_sample_lacks_is_left_out_and_named(tmp_path, said):
    wide, nominal = save(sample("wide", 8_000, 1, WIDE), tmp_path), save(sample("nominal", 4_000, 2), tmp_path)
    lacking = save(background(), tmp_path, gen_softdrop_mass=None)
    estimators = {fit["estimator"] for fit in run(tmp_path, wide, nominal, lacking)["fits"]}
    assert "gen_softdrop_mass" not in estimators and "softdrop_mass" in estimators
    assert "without soft-drop mass of generated jets, which a sample lacks" in said()


def test_a_null_weight_is_one_and_a_network_without_intervals_has_no_categories(tmp_path):
    nothing = {"low": None, "high": None, "weight": np.full(4_000, np.nan)}
    path = save(sample("nominal", 4_000, 2), tmp_path, **nothing)
    loaded = FitSample.load(path)
    assert (loaded.weight == 1).all() and loaded.estimators == [
        "network",
        "softdrop_mass",
        "jet_mass",
        "gen_softdrop_mass",
    ]


def test_unusable_samples_are_refused_in_one_line(tmp_path):
    wide, nominal = sample("wide", 4_000, 1, WIDE), sample("nominal", 4_000, 2)
    good, center = save(wide, tmp_path), save(nominal, tmp_path)
    for spoilt, message in (
        ({"mass": np.full(4_000, np.nan)}, "4,000 of 4,000 jets have no generated mass; expected top quarks only"),
        ({"mass": np.full(4_000, 300.0)}, "no generated mass from 150 to 195 GeV"),
        ({"predicted": None}, "no column 'predicted'"),
        ({"predicted": np.full(4_000, np.nan)}, r"row 0: the predicted mass is not finite \(4,000 jets\)"),
        ({"weight": np.full(4_000, -1.0)}, "row 0: weight is -1; expected zero or more"),
        ({"predicted": np.full(4_000, 170.0)}, "all bins but one are empty"),
    ):
        with pytest.raises(BadInput, match=message) as raised:
            run(tmp_path, save(replace(wide, name="spoilt"), tmp_path, **spoilt), center)
        assert "\n" not in str(raised.value)
    # A nominal sample far from the templates has no minimum of the likelihood within their range.
    with pytest.raises(BadInput, match="has no minimum from 155 to 190 GeV; to fix"):
        run(tmp_path, good, save(sample("far", 4_000, 2, scale=1.3), tmp_path))
    with pytest.raises(BadInput, match="no jet"):
        run(tmp_path, good, save(sample("none", 0, 2), tmp_path))
    content = bytearray(good.read_bytes())
    content[500:1500] = bytes(1000)
    (tmp_path / "damaged.parquet").write_bytes(content)
    with pytest.raises(BadInput, match=r"damaged\.parquet: damaged") as raised:
        run(tmp_path, tmp_path / "damaged.parquet", center)
    assert "\n" not in str(raised.value)


def test_jets_of_a_background_are_complete_even_if_some_have_a_mass(tmp_path):
    jets = sample("mixed", 100, 1)
    loaded = FitSample.load(save(jets, tmp_path, mass=np.where(np.arange(100) < 40, jets.mass, np.nan)))
    assert loaded.jets == 100 and np.isfinite(loaded.mass).sum() == 40


@pytest.mark.parametrize("with_background", [False, True])
def test_a_fit_that_does_not_converge_has_neither_mass_nor_error(with_background):
    templates = Templates(GRID, exact_counts())
    data = PseudoData(SETTINGS, np.full(len(EDGES) - 1, 1 / (len(EDGES) - 1)) if with_background else None)
    undefined = np.full(len(EDGES) - 1, np.nan)
    assert np.isnan(data.fit(templates, undefined)[0])
    templates.probability[:] = np.nan
    assert np.isnan(data.error(templates))


def test_a_file_of_another_form_is_refused(tmp_path):
    path = tmp_path / "1.json"
    for content, message in (
        ("{}", "not top-mass fits"),
        ('{"version": 99}', "of version 99"),
        ("nothing", "not top-mass fits"),
    ):
        path.write_text(content)
        with pytest.raises(BadInput, match=message):
            read_fit(path)


SAMPLES = {
    "wide": {"extends": "ttbar", "simulate": {"generator": {"mass": [150, 195]}}},
    "one": {"extends": "ttbar", "simulate": {"generator": {"mass": 172.5}}},
    "varied": {"extends": "one", "simulate": {"pileup": {"mean": 60}}},
    "heavy": {"extends": "one", "simulate": {"generator": {"mass": 174.5}}},
    "dijet": {"extends": "ttbar", "simulate": {"generator": {"process": "qcd", "mass": None}}},
}
GOOD = {"templates": "wide", "nominal": "one", "variations": ["varied"], "background": "dijet"}


def configured(**changed) -> dict:
    return configure([ConfigSource("mine.yaml", {"samples": SAMPLES, "top_mass_fit": GOOD | changed})])["top_mass_fit"]


def test_jets_of_the_training_are_refused_before_anything_runs():
    trained = {"datasets": {"all_layers": {"sample": "dijet", "target": "gen_softdrop_mass"}}}
    with pytest.raises(BadInput, match=r"background: 'dijet' has the events that the experiment 'fast' is trained on"):
        configure([ConfigSource("mine.yaml", {"samples": SAMPLES, "top_mass_fit": GOOD} | trained)])


def test_a_configured_fit_has_the_defaults():
    defaults = {"range": [100, 250], "bin_width": 5, "jets": 10_000, "background_fraction": 0.2, "resamples": 50}
    assert configured() == GOOD | defaults


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"variations": ["missing"]}, "variations.0: there is no 'missing'; known are"),
        ({"templates": "missing"}, "templates: there is no 'missing'"),
        ({"background": "missing"}, "background: there is no 'missing'"),
        ({"templates": "dijet"}, "'dijet' is not simulated with process ttbar"),
        ({"templates": "gun"}, "'gun' is not simulated with process ttbar"),
        ({"templates": "top_gun"}, "'top_gun' is not simulated with process ttbar"),
        ({"templates": "heavy"}, "'heavy' has one mass, 174.5; expected a range"),
        ({"nominal": "wide", "templates": "ttbar"}, "'wide' has a range of masses; expected one"),
        ({"variations": ["heavy"]}, "'heavy' does not have the nominal mass, 172.5"),
        ({"variations": ["one"]}, "'one' is used twice"),
        ({"range": [250, 100]}, "250 comes before 100"),
        ({"bin_width": 7}, "7 GeV makes 21.4286 bins of the range"),
        ({"jets": 0}, "jets"),
        ({"bins": 5}, "bins"),
    ],
)
def test_a_fit_that_cannot_work_is_refused_before_anything_runs(changed, message):
    with pytest.raises(BadInput) as raised:
        configured(**changed)
    assert message in str(raised.value) and "\n" not in str(raised.value)


def test_a_nominal_mass_near_the_end_of_the_templates_is_refused_before_anything_runs():
    samples = SAMPLES | {"wide": {"extends": "ttbar", "simulate": {"generator": {"mass": [165, 195]}}}}
    with pytest.raises(BadInput, match="165 to 195 GeV, do not extend 10 GeV to both sides of the nominal mass"):
        configure([ConfigSource("mine.yaml", {"samples": samples, "top_mass_fit": GOOD})])


def test_the_degree_of_the_templates_is_enough_for_a_good_resolution():
    """The bias that the module states, at a resolution of 8 GeV."""
    edges = np.array([-np.inf, *np.arange(150, 196, 5), np.inf])
    exact = np.diff(norm.cdf((edges - GRID.centres[:, None]) / 8), axis=1)
    templates = Templates(GRID, exact)
    for distance in (-3, 0, 3):
        pseudo_data = GRID.breit_wigner(MASS + distance) @ exact
        assert PseudoData(SETTINGS, None).fit(templates, pseudo_data)[0] - MASS - distance == pytest.approx(0, abs=0.02)
    assert DEGREE == 4


def test_results_can_be_written_as_json(results):
    content = {"experiment": "fast", "seed": 1} | results
    Draft202012Validator(SCHEMA).validate(json.loads(json.dumps(content)))
