"""A block of simulated jets depends on (settings, seed, block) alone, and holds what the settings ask for."""

import hashlib
import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import simulate as stage
from simulation_settings import DETECTOR, GENERATOR, SELECTION
from topmass.files import BadInput
from topmass.jets import EVENTS_PER_BLOCK, JetBatch, JetTable, concat_jets
from topmass.layers import LAYERS
from topmass.simulation import block as production
from topmass.simulation.generator import Generator, GeneratorSettings

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
    """Simulate a block and read it back; keywords replace settings of the generator or the selection."""
    generator = GENERATOR | {name: value for name, value in settings.items() if name in GENERATOR}
    selection = SELECTION | {name: value for name, value in settings.items() if name not in GENERATOR}
    stage.simulate(path, block, jets, seed, generator, DETECTOR, selection)
    return concat_jets(list(JetTable(path).batches()))


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
    arguments = json.dumps([3, 100, 1, GENERATOR, DETECTOR, SELECTION])
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
    assert source["simulation"]["detector"] == DETECTOR and source["simulation"]["generator"]["mass"] == [85, 500]
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
    first, second = islice(stage.produce(0, 1, GENERATOR, DETECTOR, SELECTION), 2)
    assert not set(first.mass) & set(second.mass) and not set(first.event) & set(second.event)


def test_the_gun_shoots_pairs_of_tops_inside_the_configured_ranges():
    _, tops = generate(events=200)
    assert tops.event.tolist() == [event for event in range(200) for _ in range(2)]
    assert tops.mass.min() >= 85 and tops.mass.max() <= 500
    assert np.histogram(tops.mass, 4, (85, 500))[0] == pytest.approx(100, abs=5 * 9)
    assert np.abs(tops.eta).max() < 2.5 and np.quantile(tops.pt, 0.9) < 1000
    assert tops.pt.max() < 1010, "a top radiates, and so loses pT, but hardly ever gains any"


def test_energy_and_momentum_are_conserved_by_the_read_out():
    particles, _ = generate(events=20)
    event = np.repeat(np.arange(20), np.diff(particles.offset))
    transverse = np.hypot(np.bincount(event, particles.px), np.bincount(event, particles.py))
    energy = np.bincount(event, particles.energy)
    assert (transverse < 1e-3 * energy).all()
    assert energy == pytest.approx(energy[0], rel=1e-4), "the two beams' energy"


def test_proton_collisions_give_jets_as_well(tmp_path):
    jets = make(tmp_path / "ttbar.parquet", jets=10, process="ttbar")
    assert len(jets) == 10 and (jets.mass >= 85).all() and (jets.mass <= 500).all()


def test_radiation_and_further_interactions_make_more_particles():
    off = len(generate()[0].pdg)
    radiating = len(generate(initial_state_radiation=True)[0].pdg)
    interacting = len(generate(multiparton_interactions=True)[0].pdg)
    assert radiating > 1.1 * off and interacting > 1.5 * off


def test_settings_that_pythia_cannot_start_with_are_refused(tmp_path):
    with pytest.raises(BadInput, match="Pythia cannot start"):
        make(tmp_path / "slow.parquet", process="ttbar", collision_energy=5.0)
