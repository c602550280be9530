"""Figures: what they show, that they are made, made again byte for byte, and refuse what cannot be drawn."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import SPLIT
from figure_runs import run, run_twice
from topmass.figures.figure_history import draw_history, draw_losses
from topmass.figures.figure_images import draw_images, first_jets, spread_in_mass
from topmass.figures.figure_masses import draw_masses, mass_distribution
from topmass.files import BadInput, file_digest
from topmass.jets import JET_COLUMNS, JetBatch, write_jets
from topmass.layers import LAYERS, SIDE, TOWER, find_layer
from topmass.plotting.event_displays import energies, event_displays
from topmass.plotting.mean_images import colour_scale, image_panels, mean_images
from topmass.plotting.predicted_vs_true import predicted_against_true
from topmass.preprocessing import shards as shard_files
from topmass.preprocessing.flattening import Flattening
from topmass.preprocessing.shards import Shard, ShardMeta
from topmass.preprocessing.statistics import Statistics

SCRIPTS = Path(__file__).parents[1] / "workflow" / "scripts"
KEPT = {"jets": 90, "share": 0.5, "chi2": 3.2, "degrees_of_freedom": 4}
SPLITS = ("train", "validation", "test")
FIGURES_OF_SAMPLES = ("mine/single_jets.png", "gun/single_jets.png")
HISTORY = "epoch,loss,validation_loss,mae,mre,learning_rate\n"


def jets_of(values: list[list[tuple[int, int, float]]]) -> JetBatch:
    """Jets with these (layer, pixel, value), masses from 100 GeV upwards."""
    flat = np.array([value for jet in values for value in jet], float).reshape(-1, 3)
    offset = np.cumsum([0] + [len(jet) for jet in values])
    per_jet = {name: np.zeros(len(values), dtype) for name, dtype in JET_COLUMNS.items()}
    per_jet["mass"] = np.float32(100 + np.arange(len(values)))
    return JetBatch(offset, flat[:, 1].astype("u2"), flat[:, 0].astype("u1"), flat[:, 2].astype("f4"), **per_jet)


def jet_table(folder: Path) -> dict:
    """Arguments for `draw_images`: a table of three jets with a few values in each of some layers."""
    rng = np.random.default_rng(1)
    layers = [find_layer(name) for name in ("track_pt", "track_d0", "hcal")]
    values = [(i, rng.integers(625), rng.normal() if layers[i].signed else rng.exponential()) for i in [0, 1, 2] * 9]
    write_jets(folder / "jets.parquet", [jets_of([values, values[:9], []])], layers, {})
    return {"tables": [folder / "jets.parquet"]}


def masses(folder: Path, mass_bins: int = 5) -> dict:
    """Arguments for `draw_masses`: one shard a split."""
    edges = np.linspace(85, 500, mass_bins + 1)
    flattening = Flattening(edges, np.array([400.0, 600, 1000]), np.linspace(0.5, 1, 2 * mass_bins).reshape(-1, 2))
    statistics = folder / "statistics.json"
    kept = dict.fromkeys(SPLITS, KEPT)
    Statistics("gun", SPLIT, ["ecal"], [1], [1.0], flattening, "reject", {}, 0, kept).save(statistics)
    meta = ShardMeta(("ecal",), (1,), (1.0,), 0.0, "none", file_digest(statistics))
    found = {}
    for split in SPLITS:
        arrays = {name: np.zeros(0, dtype) for name, dtype in shard_files.SHARD_HIT_ARRAYS.items()}
        arrays |= {name: np.zeros(90, dtype) for name, dtype in shard_files.SHARD_JET_ARRAYS.items()}
        arrays |= {"mass": np.linspace(90, 490, 90, dtype="f4"), "weight": np.ones(90, "f4")}
        found[split] = [folder / f"{split}.npz"]
        Shard(np.zeros(91, np.int64), arrays, meta).save(found[split][0])
    return {**found, "statistics": statistics}


def history(folder: Path, epochs: int = 5) -> dict:
    """Arguments for `draw_history`."""
    rows = [f"{i},{0.2 / i},{0.21 / i},{105 / i},{0.4 / i},0.001\n" for i in range(1, epochs + 1)]
    (folder / "history.csv").write_text(HISTORY + "".join(rows))
    return {"history": folder / "history.csv"}


STAGES = [(draw_images, jet_table), (draw_masses, masses), (draw_history, history)]


@pytest.mark.parametrize(("stage", "make"), STAGES, ids=lambda value: value.__name__)
def test_figures_are_made_and_made_again_byte_for_byte(stage, make, tmp_path):
    run_twice(stage, make(tmp_path), tmp_path)


def test_the_numbers_behind_a_figure_are_those_that_it_shows(tmp_path):
    run(draw_history, history(tmp_path), tmp_path)
    shown = (tmp_path / "errors.csv").read_text().splitlines()
    assert shown[:3] == ["epoch,validation_mae,validation_mre", "1,105,0.4", "2,52.5,0.2"]
    run(draw_masses, masses(tmp_path), tmp_path)
    rows = [line.split(",") for line in (tmp_path / "masses.csv").read_text().splitlines()]
    assert [row[0] for row in rows[1::5]] == ["training", "validation", "test", "before flattening"]
    assert sum(float(row[3]) for row in rows[1:6]) * 83 == pytest.approx(1e3, rel=1e-5) and rows[-1][4] == ""


A_USERS = "savefig.bbox: tight\nfigure.dpi: 50\ntext.usetex: True\nbackend: TkAgg\nno.such.key: 1\n# für mich\n"
DRAW = f"import sys; sys.path += {sys.path!r}; from test_figures_of_jets import *\n"
DRAW += "run(draw_history, history(Path()), Path('figures'))"


@pytest.mark.parametrize("place", ["folder", "home"])
def test_figures_are_the_same_whatever_a_users_files_and_variables_say(place, tmp_path):
    run(draw_history, history(tmp_path), tmp_path / "plain")
    file = {"folder": "matplotlibrc", "home": ".config/matplotlib/matplotlibrc"}[place]
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(A_USERS, encoding="latin-1")
    variables = {"HOME": str(tmp_path), "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    ended = subprocess.run([sys.executable, "-c", DRAW], cwd=tmp_path, env=variables, text=True, capture_output=True)
    assert ended.returncode == 0 and "matplotlibrc" not in ended.stderr, ended.stderr
    for file in (tmp_path / "plain").iterdir():
        assert (tmp_path / "figures" / file.name).read_bytes() == file.read_bytes()


def test_mean_image_has_the_mean_at_its_pixel_and_fills_the_pixels_of_a_tower():
    ecal, hcal = find_layer("ecal"), find_layer("hcal")
    towers = SIDE // TOWER
    jets = jets_of([[(0, 3 * SIDE + 7, 2.0), (1, 2 * towers + 4, 1.0)], [(0, 3 * SIDE + 7, 4.0)], []])
    images = mean_images(jets, [ecal, hcal])
    assert images.shape == (2, SIDE, SIDE)
    assert images[0, 3, 7] == 2.0 and np.count_nonzero(images[0]) == 1
    filled = images[1, 2 * TOWER : 3 * TOWER, 4 * TOWER : 5 * TOWER]
    np.testing.assert_allclose(filled, 1 / 3)
    assert np.count_nonzero(images[1]) == TOWER**2


def test_the_energy_of_a_tower_is_that_of_all_its_pixels():
    jets = jets_of([[(0, 3 * SIDE + 7, 2.0), (1, 2 * SIDE // TOWER + 4, 1.0)]])
    image = energies(jets, [find_layer("ecal"), find_layer("hcal")])
    assert image["ecal"][3, 7] == 2.0 and image["hcal"][2, 4] == TOWER**2
    assert image["ecal"].sum() == 2.0 and image["hcal"].sum() == TOWER**2


def test_colours_of_a_signed_layer_are_symmetric_and_empty_layers_can_be_drawn():
    image = np.zeros((SIDE, SIDE))
    for signed in (True, False):
        assert colour_scale(image, signed).vmax == 1
    image[0, :3] = -3.0, 1.0, 0.5
    scale = colour_scale(image, signed=True)
    assert scale.vmin == -scale.vmax < 0


def test_single_jets_are_spread_over_the_mass():
    mass = np.random.default_rng(2).permutation(np.linspace(85, 500, 600))
    chosen = mass[spread_in_mass(mass)]
    assert len(chosen) == 6 and (np.diff(chosen) > 60).all()
    np.testing.assert_array_equal(spread_in_mass(np.array([300.0, 100.0])), [1, 0])


def test_density_of_the_mass_integrates_to_one():
    edges = np.array([100.0, 200.0, 400.0])
    axes = mass_distribution(
        {"some": (np.array([150.0, 160.0, 300.0, 310.0]), np.ones(4), "")}, edges, np.array([3.0, 1.0])
    ).figure.axes[0]
    points, before = axes.containers[0][0].get_ydata(), axes.lines[-1].get_ydata()
    np.testing.assert_allclose(points, [5, 2.5])
    np.testing.assert_allclose(before[:2], [7.5, 1.25])


def test_masses_that_are_not_flattened_are_drawn_in_bins_too(tmp_path):
    assert run(draw_masses, masses(tmp_path, mass_bins=1), tmp_path)


def test_columns_of_predicted_masses_add_up_to_all_jets_of_the_column():
    rng = np.random.default_rng(3)
    drawn = predicted_against_true(mass := rng.uniform(85, 500, 900), mass + rng.uniform(-20, 20, 900), [])
    axes = drawn.figure.axes[0]
    mesh = axes.collections[0]
    heights = np.diff(mesh.get_coordinates()[:, 0, 1])
    columns = (mesh.get_array().filled(0) * heights[:, None]).sum(axis=0)
    np.testing.assert_allclose(columns, 100, atol=3)


def test_a_single_prediction_can_be_drawn():
    predicted_against_true(np.array([100.0]), np.array([100.0]), [])


@pytest.mark.parametrize("epochs", [1, 5, 25])
def test_epochs_are_ticked_at_whole_numbers(epochs):
    epoch = np.arange(1.0, epochs + 1)
    rows = pd.DataFrame({"epoch": epoch, "loss": 1 / epoch, "validation_loss": 1.1 / epoch})
    axes = draw_losses(rows, epochs).figure.axes[0]
    ticks = [tick for tick in axes.get_xticks() if 0.5 <= tick <= epochs + 0.5]
    assert ticks and all(tick == int(tick) for tick in ticks)


def test_drawing_does_without_torch():
    stages = ", ".join(f"topmass.figures.{path.stem}" for path in SCRIPTS.glob("topmass/figures/figure_*.py"))
    script = f"import sys, {stages}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=SCRIPTS, check=False).returncode == 0


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("", "no epoch"),
        (HISTORY, "no epoch"),
        ("epoch,loss\n1,0.2\n", "no column 'validation_loss'"),
        (HISTORY + "1,nan,0.2,100,0.4,0.001\n", "row 1: loss is not a finite number"),
        (HISTORY + "1,0.2\n", "row 1: validation_loss is not a finite number"),
        (HISTORY + "1,0.2,0.2,many,0.4,0.001\n", "row 1: mae is not a finite number"),
    ],
)
def test_history_that_cannot_be_drawn(text, trouble, tmp_path):
    given = history(tmp_path)
    given["history"].write_text(text)
    with pytest.raises(BadInput, match=rf"history\.csv: {trouble}"):
        run(draw_history, given, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_jets_that_cannot_be_drawn(tmp_path):
    empty = tmp_path / "empty.parquet"
    write_jets(empty, [], LAYERS, {})
    with pytest.raises(BadInput, match=r"empty\.parquet: no jet"):
        run(draw_images, {"tables": [empty, empty]}, tmp_path)
    foreign = tmp_path / "foreign.parquet"
    pq.write_table(pa.table({"mass": [1.0]}), foreign)
    with pytest.raises(BadInput, match=r"foreign\.parquet"):
        run(draw_images, {"tables": [foreign]}, tmp_path)


def test_images_are_drawn_of_the_jets_there_are_whichever_tables_have_them(tmp_path):
    layers = tuple(find_layer(name) for name in ("ecal", "hcal"))
    pixel_by_pixel = tuple(layer._replace(cell=1) for layer in layers)
    tables = [tmp_path / f"{block}.parquet" for block in range(5)]
    jet, other = jets_of([[(0, 7, 2.0)]]), jets_of([[(1, 8, 3.0)], []])
    for path, batches, kind in zip(
        tables, ([], [jet], [other], [other], []), (layers, layers, pixel_by_pixel, layers, layers), strict=True
    ):
        write_jets(path, batches, kind, {})
    found, known = first_jets(tables)
    # Cells of another size are not mixed with these.
    assert (len(found), known) == (3, layers) and found.value.tolist() == [2.0, 3.0]


@pytest.mark.slow
def test_the_images_of_a_sample_of_files_are_of_all_its_blocks(tmp_path):
    (tmp_path / "mine.parquet").touch()
    sample = {"files": [{"path": "mine.parquet"}], "blocks_per_file": 3, "layers": []}
    (tmp_path / "mine.yaml").write_text(json.dumps({"samples": {"mine": sample}}), encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--configfile", "mine.yaml", "--snakefile"]
    command += [str(SCRIPTS.parents[1] / "Snakefile"), *(f"results/figures/{name}" for name in FIGURES_OF_SAMPLES)]
    ended = subprocess.run(command, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert ended.returncode == 0, ended.stdout
    # Of a simulated one, the first block has jets.
    assert re.search(r"^convert +3$", ended.stdout, re.M) and re.search(r"^simulate +1$", ended.stdout, re.M)


def test_jets_without_energies_and_empty_layers_can_be_drawn():
    layers = [find_layer("bpix1"), find_layer("track_d0")]
    images = mean_images(jets_of([[(0, 5, 1.0)], []]), layers)
    image_panels(images, layers, 2)
    event_displays([{}, {}], ["100 GeV", "101 GeV"], {"mass": np.array([100.0, 101.0])}, 3)


def test_shards_of_other_statistics_are_refused(tmp_path):
    given = masses(tmp_path)
    given["statistics"].write_text(given["statistics"].read_text() + "\n")
    with pytest.raises(BadInput, match=r"train\.npz: a shard made with other statistics"):
        run(draw_masses, given, tmp_path)


def test_what_is_no_colour_is_named(tmp_path):
    with pytest.raises(BadInput, match="'bluu' is not a colour"):
        run(draw_history, history(tmp_path), tmp_path, ["bluu"])
