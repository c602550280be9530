"""A block of simulated jets depends on (settings, seed, block) alone, and holds what the settings ask for."""

import hashlib
import json
import os
import re
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import simulate as stage
from simulation_settings import DETECTOR, GENERATOR, SETTINGS
from topmass.evaluation.sample_jets import effective_number
from topmass.files import BadInput
from topmass.jets import EVENTS_PER_BLOCK, JetBatch, JetTable, concat_jets
from topmass.layers import LAYERS
from topmass.simulation import block as production
from topmass.simulation import pileup as pileup_module
from topmass.simulation.detector import DetectorSettings
from topmass.simulation.generator import Generator, GeneratorSettings
from topmass.simulation.pileup import PileupSettings

SCRIPTS = Path(stage.__file__).parent
IN_ANOTHER_PROCESS = """
import json, sys
from pathlib import Path
import simulate
from topmass.simulation import block
block.EVENTS_PER_BATCH = 20
simulate.simulate(Path(sys.argv[1]), *json.loads(sys.argv[2]))
"""


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """Batches of twenty events, about 35 jets: a test sees several of them, and joints inside a row group."""
    monkeypatch.setattr(production, "EVENTS_PER_BATCH", 20)


def make(path: Path, block: int = 0, jets: int = 100, seed: int = 1, **settings) -> JetBatch:
    """Simulate a block and read it back; keywords replace settings."""
    stage.simulate(path, block, jets, seed, change(SETTINGS, settings))
    return concat_jets(list(JetTable(path).batches()))


def change(settings: dict, changes: dict) -> dict:
    """Return settings of the simulation with other values of these keys."""
    known = {key: section for section, values in settings.items() for key in values}
    for key, value in changes.items():
        settings = settings | {known[key]: settings[known[key]] | {key: value}}
    return settings


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def generate(events: int = 60, **settings):
    """Particles and tops of some events."""
    return Generator(GeneratorSettings(**(GENERATOR | settings)), np.random.SeedSequence(1)).batch(events)


@pytest.fixture(scope="module")
def block(tmp_path_factory) -> tuple[Path, JetBatch]:
    """Block 3 of the sample with seed 1: its file and its 100 jets."""
    path = tmp_path_factory.mktemp("block") / "3.parquet"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(production, "EVENTS_PER_BATCH", 20)
        return path, make(path, block=3)


def test_another_process_writes_the_same_bytes(block, tmp_path):
    arguments = json.dumps([3, 100, 1, SETTINGS])
    environment = os.environ | {"PYTHONPATH": str(SCRIPTS)}
    other = tmp_path / "other.parquet"
    command = [sys.executable, "-c", IN_ANOTHER_PROCESS, str(other), arguments]
    subprocess.run(command, env=environment, check=True, timeout=120, capture_output=True)
    assert digest(other) == digest(block[0])


@pytest.mark.parametrize("change", [{"block": 4}, {"seed": 2}])
def test_another_block_or_seed_gives_other_jets(block, tmp_path, change):
    other = make(tmp_path / "other.parquet", **({"block": 3, "jets": 20} | change))
    assert not set(other.mass) & set(block[1].mass)
    assert not set(other.jet_mass) & set(block[1].jet_mass)


def test_the_first_jets_do_not_depend_on_how_many_are_asked(block, tmp_path, monkeypatch):
    """Not on the row groups either: 50 jets in groups of 20 are the beginning of 100 in one."""
    monkeypatch.setattr(stage, "ROW_GROUP", 20)
    half = make(tmp_path / "half.parquet", block=3, jets=50)
    assert len(half) == 50
    for name, value in vars(block[1].take(np.arange(50))).items():
        assert np.array_equal(getattr(half, name), value), name


def test_events_are_numbered_within_the_range_of_their_block_and_shared_by_at_most_two_jets(block):
    event = block[1].event
    assert (np.diff(event) >= 0).all()
    assert event.min() >= 3 * EVENTS_PER_BLOCK and event.max() < 4 * EVENTS_PER_BLOCK
    assert event.max() - event.min() >= 40, "the batches of a block go on counting"
    number = np.unique(event, return_counts=True)[1]
    assert number.max() == 2 and number.mean() > 1.2


def test_jets_satisfy_the_selection_and_tops_the_settings(block):
    jets = block[1]
    assert len(jets) == 100
    assert (jets.mass >= 85).all() and (jets.mass <= 500).all() and np.ptp(jets.mass) > 300
    assert (jets.pt > 400).all() and (np.abs(jets.eta) < 2).all()
    assert (jets.softdrop_mass <= jets.jet_mass * (1 + 1e-6)).all()
    assert (jets.ieta % 5 == 2).all() and (jets.iphi % 5 == 2).all()
    away = jets.iphi - np.degrees(jets.phi)
    assert (np.abs((away + 180) % 360 - 180) <= 22.5).all()


def test_every_layer_of_an_image_holds_something(block):
    assert (np.bincount(block[1].layer, minlength=len(LAYERS)) > 100).all()
    assert (np.diff(block[1].offset) > 100).all()


def test_the_table_says_where_its_jets_come_from(block):
    source = JetTable(block[0]).about["source"]
    assert (source["seed"], source["block"]) == (1, 3)
    assert source["simulation"] == json.loads(json.dumps(SETTINGS))
    assert set(source["versions"]) == {"pythia8mc", "fastjet"}


def test_an_impossible_selection_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(production, "MAX_EVENTS_WITHOUT_JET", 60)
    with pytest.raises(BadInput, match=r"block 0: none of 60 events has a jet that passes the selection .*5000"):
        make(tmp_path / "none.parquet", pt_min=5000.0)
    assert list(tmp_path.iterdir()) == []


def test_a_block_that_cannot_number_its_events_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(production, "EVENTS_PER_BLOCK", 40)
    with pytest.raises(BadInput, match="block 0: 40 events, all that a block can number"):
        make(tmp_path / "many.parquet")


def test_batches_of_a_block_are_all_different():
    first, second = islice(stage.produce(0, 1, SETTINGS), 2)
    assert not set(first.mass) & set(second.mass) and not set(first.event) & set(second.event)


def test_the_gun_shoots_pairs_of_tops_inside_the_configured_ranges():
    tops = generate(events=200).tops
    assert tops.event.tolist() == [event for event in range(200) for _ in range(2)]
    assert tops.mass.min() >= 85 and tops.mass.max() <= 500
    assert np.histogram(tops.mass, 4, (85, 500))[0] == pytest.approx(100, abs=5 * 9)
    assert np.abs(tops.eta).max() < 2.5 and np.quantile(tops.pt, 0.9) < 1000
    assert tops.pt.max() < 1010, "a top radiates, and so loses pT, but hardly ever gains any"


def test_energy_and_momentum_are_conserved_by_the_read_out():
    particles = generate(events=20).particles
    event = np.repeat(np.arange(20), np.diff(particles.offset))
    transverse = np.hypot(np.bincount(event, particles.px), np.bincount(event, particles.py))
    energy = np.bincount(event, particles.energy)
    assert (transverse < 1e-3 * energy).all()
    assert energy == pytest.approx(energy[0], rel=1e-4), "the two beams' energy"


def test_proton_collisions_give_jets_as_well(tmp_path):
    jets = make(tmp_path / "ttbar.parquet", jets=10, process="ttbar")
    assert len(jets) == 10 and (jets.mass >= 85).all() and (jets.mass <= 500).all()


def test_radiation_and_further_interactions_make_more_particles():
    off = len(generate().particles.pdg)
    radiating = len(generate(initial_state_radiation=True).particles.pdg)
    interacting = len(generate(multiparton_interactions=True).particles.pdg)
    assert radiating > 1.1 * off and interacting > 1.5 * off


def test_settings_that_pythia_cannot_start_with_are_refused(tmp_path):
    with pytest.raises(BadInput, match="Pythia does not start"):
        make(tmp_path / "slow.parquet", process="ttbar", collision_energy=5.0)


def test_a_single_mass_of_ttbar_has_the_natural_width():
    tops = generate(400, process="ttbar", mass=172.5).tops
    low, median, high = np.quantile(tops.mass, [0.25, 0.5, 0.75])
    assert median == pytest.approx(172.5, abs=0.3)
    # The quartiles of a Breit–Wigner are half its width away; Γ = 1.4 GeV (PDG 2024).
    assert (high - low) / 2 == pytest.approx(0.7, abs=0.2)


def test_qcd_has_no_top_quark_and_all_its_jets(tmp_path):
    stage.simulate(tmp_path / "qcd.parquet", 0, 40, 1, change(SETTINGS, {"process": "qcd", "mass": None}))
    jets = concat_jets([*JetTable(tmp_path / "qcd.parquet").batches()])
    for name in ("mass", "top_pt", "quarks_in_window", "quarks_in_jet"):
        assert np.isnan(getattr(jets, name)).all(), name
    assert np.isfinite(jets.gen_softdrop_mass).mean() > 0.9
    assert len(set(jets.weight)) > 10 and (jets.weight > 0).all()


def test_weights_undo_the_bias_of_the_pt_spectrum():
    means, effective = {}, {}
    for bias in (0, 1, 5):
        events = generate(300, process="qcd", mass=None, pt_bias=bias)
        pt = np.hypot(events.particles.px, events.particles.py)
        hardest = np.maximum.reduceat(pt, events.particles.offset[:-1])
        means[bias] = np.average(hardest, weights=events.weight), hardest.mean()
        effective[bias] = effective_number(events.weight)
    assert means[0][0] == means[0][1] and effective[0] == pytest.approx(300)
    assert means[5][1] > 1.1 * means[0][0] and abs(means[5][0] / means[0][0] - 1) < 0.06
    assert effective[5] < 0.7 * effective[1]
    assert (generate(20).weight == 1).all()


def test_generated_jets_are_near_the_jets(block):
    jets = block[1]
    assert np.isfinite(jets.gen_jet_pt).mean() > 0.95
    assert np.nanmedian(jets.pt / jets.gen_jet_pt) == pytest.approx(1, abs=0.05)
    assert (jets.gen_softdrop_mass <= jets.gen_jet_mass * (1 + 1e-6))[np.isfinite(jets.gen_jet_mass)].all()
    assert (jets.weight == 1).all() and (jets.pileup == 0).all()


def test_pileup_depends_on_settings_seed_and_block_alone(block, tmp_path, monkeypatch):
    monkeypatch.setattr(pileup_module, "POOL_EVENTS", 50)
    first, other = (make(tmp_path / f"{number}.parquet", block=number, jets=20, mean=10.0) for number in (3, 4))
    make(tmp_path / "again.parquet", block=3, jets=20, mean=10.0)
    assert digest(tmp_path / "3.parquet") == digest(tmp_path / "again.parquet")
    assert not np.array_equal(first.pileup, other.pileup) and first.pileup.mean() > 5
    # The generated events are the same with and without pile-up.
    assert set(first.mass) & set(block[1].mass)
    assert len(first.pixel) / len(first) > 1.1 * len(block[1].pixel) / len(block[1])


def test_randomized_settings_leave_the_generated_jets_and_do_not_depend_on_their_order(block, tmp_path):
    spreads = {"ecal_scale": 0.1, "track_scale": 0.1}
    tables = [tmp_path / name for name in ("first", "other", "none")]
    for table, randomized in zip(tables, (spreads, dict(reversed(spreads.items())), {}), strict=True):
        stage.simulate(table, 3, 100, 1, SETTINGS | {"randomize": randomized})
    first, other, none = (concat_jets(list(JetTable(table).batches())) for table in tables)
    assert first.pt.tobytes() == other.pt.tobytes() and none.pt.tobytes() == block[1].pt.tobytes()
    _, here, there = np.intersect1d(first.event, none.event, return_indices=True)
    same_top = first.top_pt[here] == none.top_pt[there]
    response = (first.pt[here] / none.pt[there])[same_top]
    batch = first.event[here][same_top] // production.EVENTS_PER_BATCH
    # All jets of a batch have the same scales.
    medians = np.array([np.median(response[batch == each]) for each in np.unique(batch)])
    within = np.median([np.std(response[batch == each]) for each in np.unique(batch)])
    assert len(medians) >= 3 and medians.std() > within


def test_randomized_settings_have_the_spread_of_the_configuration():
    pileup = PileupSettings(30.0, 4.0)
    detector = DetectorSettings(**DETECTOR)
    rng = np.random.default_rng(1)
    spreads = {"pileup_mean": 20, "track_scale": 0.01}
    drawn = [production.randomize(pileup, detector, spreads, rng) for _ in range(2000)]
    means, scales = np.array([(each.mean, other.track_scale) for each, other in drawn]).T
    assert means.min() == 0 and abs(np.median(means) - 30) < 2
    assert abs(scales.mean() - 1) < 0.001 and abs(scales.std() - 0.01) < 0.001
    assert {other._replace(track_scale=1.0) for _, other in drawn} == {detector}


@pytest.mark.parametrize(
    ("settings", "message"),
    {
        "a setting that Pythia does not know": ({"pythia": ["Top:colour = red"]}, "'Top:colour = red'"),
        "a value that is none": ({"pythia": ["TimeShower:renormMultFac = high"]}, "'TimeShower:renormMultFac = high'"),
        "a top without decay": ({"process": "ttbar", "mass": 60.0}, "completes none of 60 events"),
    }.values(),
)
def test_settings_that_pythia_refuses_are_named(settings, message, capfd):
    with pytest.raises(BadInput, match=re.escape(message)):
        generate(**settings)
    assert "PYTHIA" not in capfd.readouterr().out


def test_vincia_starts_without_its_banner(capfd):
    assert len(generate(2, process="ttbar", mass=172.5, pythia=["PartonShowers:model = 2"]).tops.mass) == 4
    assert "VINCIA" not in capfd.readouterr().out
