"""The parton-level oracle: what the quarks in a window tell of the mass, from Pythia to the tables."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import oracle as study
from conftest import FLATTEN, REPOSITORY
from oracle import measure_oracle
from partons import Partons, Smearing, parton_features, partons_of_block
from simulate import produce
from simulation_settings import SETTINGS as SIMULATION
from topmass.files import BadInput
from topmass.simulation import block as production

AS_THEY_ARE, COARSE = Smearing(0, 0, 0, 0), Smearing(0.2, 0.02, 30, 0.3)
SETTINGS = {
    "datasets": {"flat": {"sample": "gun", "flatten": FLATTEN}, "theirs": {"sample": "files", "flatten": FLATTEN}},
    "samples": {
        "gun": {
            "jets_per_block": 800,
            "simulate": SIMULATION,
        },
        "files": {"files": []},
    },
    "evaluate": {"bootstrap": {"resamples": 100, "level": 0.68, "seed": 1}},
}
MASS, PT, NUMBER = -4, -3, -2
"""Places of the numbers of all quarks together."""


def partons(quarks: list, inside: list) -> Partons:
    """One jet with quarks of these (pT, Δη, Δφ, mass) around a window in the middle of the detector."""
    one = np.ones(1)
    return Partons(one.astype(int), 173 * one, 500 * one, 0 * one, np.array([quarks], float), np.array([inside]))


def see(jets: Partons, smearing: Smearing, seed: int = 1) -> np.ndarray:
    return parton_features(jets, smearing, np.random.default_rng(seed))


THREE = [(30, 0.0, 0.0, 0.3), (300, 0.1, 0.0, 4.8), (100, -0.5, 0.3, 0.3)]


@pytest.fixture(scope="module")
def simulated() -> Partons:
    return partons_of_block(0, 800, 1, SIMULATION)


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> tuple[pd.DataFrame, str, bytes]:
    folder = tmp_path_factory.mktemp("oracle")
    text = measure_oracle(SETTINGS, "flat", 1600, 1, [AS_THEY_ARE, COARSE], 1, folder)
    assert (folder / "oracle.md").read_text(encoding="utf-8") == text
    return pd.read_csv(folder / "oracle.csv"), text, (folder / "oracle.csv").read_bytes()


def test_the_jets_are_those_that_the_workflow_simulates(simulated):
    batch = next(produce(0, 1, SIMULATION)).take(np.arange(800))
    for name in ("event", "mass", "pt"):
        assert np.array_equal(getattr(simulated, name), getattr(batch, name)), name
    assert np.array_equal(simulated.inside.sum(axis=1), batch.quarks_in_window)


def test_the_first_jets_of_a_block_do_not_depend_on_how_many_are_asked(simulated, monkeypatch):
    monkeypatch.setattr(production, "EVENTS_PER_BATCH", 500)
    few = partons_of_block(0, 30, 1, SIMULATION)
    assert all(map(np.array_equal, few, simulated.take(np.arange(30))))


def test_three_quarks_in_the_window_have_the_mass_of_the_top_and_fewer_have_less(simulated):
    share = see(simulated, AS_THEY_ARE)[:, MASS] / simulated.mass
    contained = simulated.inside.all(axis=1)
    # But for what the W recoils when the b radiates.
    assert np.median(share[contained]) == pytest.approx(1, abs=0.01)
    assert (np.abs(share[contained] - 1) < 0.1).mean() > 0.9
    assert np.median(share[~contained]) < 0.8


def test_a_top_decays_to_one_b_quark_and_two_light_ones(simulated):
    mass = np.sort(simulated.quarks[..., 3], axis=1)
    assert (np.abs(mass[:, 2] - 4.8) < 0.1).mean() > 0.98 and (mass[:, :2] < 2).mean() > 0.98


def test_quarks_are_told_the_hardest_first_and_what_is_not_there_is_no_number():
    found = see(partons(THREE, [True, True, False]), AS_THEY_ARE)[0]
    assert found[[0, 4]] == pytest.approx([300, 30]) and found[NUMBER] == 2
    assert found[1:4] == pytest.approx([0.1, 0, 4.8]) and np.isnan(found[8:12]).all()
    assert np.isfinite(found[12]) and np.isnan(found[13:15]).all()
    nothing = see(partons(THREE, [False] * 3), AS_THEY_ARE)[0]
    assert nothing[NUMBER] == nothing[MASS] == nothing[PT] == 0 and np.isnan(nothing[:15]).all()


@pytest.mark.parametrize(("smallest", "number"), [(29, 3), (31, 2), (101, 1), (301, 0)])
def test_soft_quarks_are_lost(smallest, number):
    assert see(partons(THREE, [True] * 3), Smearing(0, 0, smallest, 0))[0, NUMBER] == number


@pytest.mark.parametrize(("distance", "number"), [(0.09, 3), (0.11, 2), (0.7, 1)])
def test_close_quarks_are_one_and_the_sum_of_all_stays(distance, number):
    jets = partons(THREE, [True] * 3)
    apart, together = see(jets, AS_THEY_ARE)[0], see(jets, Smearing(0, 0, 0, distance))[0]
    assert together[NUMBER] == number and together[[MASS, PT]] == pytest.approx(apart[[MASS, PT]])


def test_energies_are_smeared_by_what_is_asked_and_with_the_same_noise(simulated):
    contained = simulated.take(np.flatnonzero(simulated.inside.all(axis=1)))
    one_quark = contained._replace(inside=np.array([True, False, False]) & contained.inside)
    shares = [see(one_quark, Smearing(width, 0, 0, 0))[:, 0] / one_quark.quarks[:, 0, 0] - 1 for width in (0.1, 0.2)]
    assert shares[0].std() == pytest.approx(0.1, rel=0.15) and abs(shares[0].mean()) < 0.02
    assert shares[1] == pytest.approx(2 * shares[0])


def test_what_is_contained_is_known_far_better_and_smearing_makes_it_worse(measured):
    mae = measured[0].set_index(["energy", "region"])["mae"]
    assert mae[0.0, "contained"] < 0.5 * mae[0.0, "not contained"]
    assert mae[0.0, "all"] < mae[0.2, "all"] and 1.5 * mae[0.0, "contained"] < mae[0.2, "contained"]
    assert mae[0.2, "all"] < 90, "a constant is wrong by 104 GeV"


def test_the_tables_have_each_smearing_in_each_region_with_its_interval(measured):
    table, text, _ = measured
    assert table["region"].tolist() == 2 * ["all", "contained", "not contained"]
    jets = table["jets"].to_numpy().reshape(2, 3)
    assert (jets[:, 0] == jets[:, 1] + jets[:, 2]).all() and (jets > 10).all()
    for metric in ("mae", "mre"):
        assert ((table[f"{metric}_low"] < table[metric]) & (table[metric] < table[f"{metric}_high"])).all()
    first, *_, last = text.splitlines()
    assert first.startswith("1,600 jets simulated as for `flat`, seed 1: ") and f"{jets[0, 0]} tested" in first
    name, whole, *_ = last.strip("| ").split(" | ")
    assert name == "energies ± 20 %, directions ± 0.02, none up to 30 GeV, one within 0.3"
    assert float(whole.split()[0]) == pytest.approx(table["mae"][3], abs=0.051)


def test_the_numbers_do_not_depend_on_how_many_processes_there_are(measured, tmp_path):
    measure_oracle(SETTINGS, "flat", 1600, 1, [AS_THEY_ARE], 2, tmp_path)
    assert measured[2].startswith((tmp_path / "oracle.csv").read_bytes())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dataset": "flaat"}, "--dataset flaat: no such dataset; expected one of flat, theirs"),
        ({"dataset": "theirs"}, "--dataset theirs: sample 'files' is from files"),
        ({"jets": 0}, "--jets 0: must be at least 1"),
        ({"seed": -1}, "--seed -1: must be at least 0"),
        ({"workers": 0}, "--workers 0: must be at least 1"),
        ({"smearings": [Smearing(0.1, 0.0, -5, 0)]}, "--smearing 0.1 0 -5 0: must be four finite numbers"),
        ({"smearings": [Smearing(float("nan"), 0, 0, 0)]}, "--smearing nan 0 0 0: must be"),
        ({"jets": 3}, "cannot be flattened: no training jet has mass"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_a_line(change, message, tmp_path):
    asked = {"dataset": "flat", "jets": 100, "seed": 1, "smearings": [AS_THEY_ARE], "workers": 1} | change
    with pytest.raises(BadInput, match=message):
        measure_oracle(SETTINGS, out=tmp_path, **asked)
    assert not list(tmp_path.iterdir())


def end_here(*_) -> None:
    os._exit(9)


def test_a_process_that_is_killed_ends_the_study_with_a_line(monkeypatch, tmp_path):
    monkeypatch.setattr(study, "partons_of_block", end_here)
    with pytest.raises(BadInput, match=r"a simulating process was killed, .* fewer --workers"):
        measure_oracle(SETTINGS, "flat", 100, 1, [AS_THEY_ARE], 1, tmp_path)


def test_the_command_says_what_is_wrong_with_it_and_ends(tmp_path):
    command = [sys.executable, REPOSITORY / "studies/oracle.py", "--out", tmp_path]
    ended = subprocess.run([*command, "--smearing", "0.1", "0", "-1", "0"], capture_output=True, encoding="utf-8")
    assert ended.returncode == 1
    assert ended.stderr == "oracle: error: --smearing 0.1 0 -1 0: must be four finite numbers, none below 0\n"
