"""The comparison of the detector with CMS measures what it says, and its table says which rows pass."""

import numpy as np
import pytest
import yaml

from simulation_settings import SETTINGS
from validate_detector import QUANTITIES, REFERENCE, Detector, draw, half_width, markdown, validate

REFERENCE_VALUES = yaml.safe_load(REFERENCE.read_text(encoding="utf-8"))


def test_every_row_has_a_source_and_a_quantity_that_is_measured():
    for row in REFERENCE_VALUES["rows"]:
        assert row["quantity"] in QUANTITIES and row["source"] in REFERENCE_VALUES["sources"], row
        assert row["error"] > 0
    assert {row["quantity"] for row in REFERENCE_VALUES["rows"]} == QUANTITIES.keys()


def test_half_width_of_a_normal_distribution_is_its_standard_deviation():
    widths = [half_width(np.random.default_rng(seed).normal(3, 2, 500)) for seed in range(200)]
    values, errors = np.array(widths).T
    assert values.mean() == pytest.approx(2, rel=0.02) and values.std() == pytest.approx(errors.mean(), rel=0.15)


def test_single_particles_are_in_their_bin_and_measure_the_resolution_that_is_set():
    settings = SETTINGS | {"detector": SETTINGS["detector"] | {"track_pt_constant": 0.03, "track_pt_slope": 0.0}}
    detector = Detector(settings, 4000, seed=1)
    row = {"quantity": "track_pt_resolution", "eta": [0, 0.5], "pt": [5, 10]}
    particles, _ = detector.shoot(row)
    pt = np.hypot(particles.px, particles.py)
    assert (pt >= 5).all() and (pt <= 10).all() and np.abs(np.arcsinh(particles.pz / pt)).max() <= 0.5
    value, error = QUANTITIES["track_pt_resolution"](detector, row)
    assert value == pytest.approx(0.03, abs=4 * error)


def test_a_row_passes_within_its_tolerance_only(monkeypatch):
    monkeypatch.setitem(QUANTITIES, "track_efficiency", lambda detector, row: (0.80, 0.01))
    row = {"quantity": "track_efficiency", "eta": [0, 1], "pt": [1, 2], "error": 0.03, "source": "CMS"}
    tolerance = {"relative": 0.05, "errors": 2}
    reference = {
        "tolerance": tolerance,
        "sources": {"CMS": "a paper"},
        "rows": [row | {"value": 0.85}, row | {"value": 0.9}],
    }
    table = validate(SETTINGS, reference, 10, seed=1)
    assert table["passed"].tolist() == [True, False]
    assert table["tolerance"][0] == pytest.approx(2 * np.hypot(0.03, 0.01))
    text = markdown(table, reference)
    assert "1 of 2 rows are within their tolerance" in text and text.count("**fail**") == 1 and "a paper" in text
    assert len(draw(table).axes) == 3


def test_jets_of_qcd_are_compared_with_generated_jets(monkeypatch):
    monkeypatch.setattr("topmass.simulation.pileup.POOL_EVENTS", 50)
    detector = Detector(SETTINGS, 40, seed=1)
    jets = detector.jet_sample((500, 700))
    assert len(jets) > 20 and jets["pt"].min() < 400
    ratio = (jets["pt"] / jets["gen_pt"])[jets["gen_pt"] > 400]
    assert ratio.median() == pytest.approx(1, abs=0.05)
    assert jets["charged_fraction"].between(0, 1).all() and (jets["constituents"] > 3).all()
