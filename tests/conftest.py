"""Made-up jets, and the repository, for all tests."""

import logging
import multiprocessing.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from xdist.scheduler import LoadScopeScheduling

from topmass.jets import GENERATED_COLUMNS, JetBatch, write_jets
from topmass.layers import LAYERS, SIDE

REPOSITORY = Path(__file__).parents[1]
SPLIT = {"train": 0.6, "validation": 0.2, "test": 0.2}
FLATTEN = {
    "variables": ["mass"],
    "method": "reject",
    "mass": {"range": [85, 500], "bins": 4},
    "pt": {"range": [400, 1000], "bins": 2},
}


def make_jets(jets: int, seed: int = 0, first_event: int = 0, values: int = 40) -> JetBatch:
    """Jets of two an event with random pixels in all layers, and more of them at small masses."""
    rng = np.random.default_rng(seed)
    pixels = []
    for _ in range(jets):
        for index, layer in enumerate(LAYERS):
            chosen = np.sort(rng.choice((SIDE // layer.cell) ** 2, values // len(LAYERS), replace=False))
            value = rng.exponential(2, len(chosen)) * (rng.choice([-1, 1], len(chosen)) if layer.signed else 1)
            pixels.append((chosen, np.full(len(chosen), index), value))
    pixel, layer, value = (np.concatenate(parts) for parts in zip(*pixels, strict=True))
    masses = 85 + 415 * rng.random(jets) ** 1.2
    unused = ("eta", "phi", "jet_mass", "softdrop_mass", "top_pt")
    known = {name: rng.uniform(0.1, 1, jets).astype("f4") for name in unused}
    known |= {name: np.full(jets, np.nan, "f4") for name in GENERATED_COLUMNS}
    return JetBatch(
        np.arange(jets + 1) * len(LAYERS) * (values // len(LAYERS)),
        pixel.astype("u2"),
        layer.astype("u1"),
        value.astype("f4"),
        mass=masses.astype("f4"),
        pt=rng.uniform(400, 1000, jets).astype("f4"),
        ieta=rng.integers(-20, 20, jets).astype("i2") * 5 + 2,
        iphi=rng.integers(0, 72, jets).astype("i2") * 5 + 2,
        event=first_event + np.arange(jets) // 2,
        quarks_in_window=rng.integers(0, 4, jets).astype("f4"),
        quarks_in_jet=np.where(rng.random(jets) < 0.5, rng.integers(0, 4, jets), np.nan).astype("f4"),
        **known,
    )


class ByFixture(LoadScopeScheduling):
    """Divides the tests among the processes of `make test` and `make test-lab`.

    A file whose tests share a fixture goes to one process, which makes the fixture once. Such files come first.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return file if 'scope="module"' in (REPOSITORY / file).read_text(encoding="utf-8") else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFixture:
    """Not `--dist loadgroup`: the marks that it takes have no effect with pytest 9.2 and pytest-xdist 3.8."""
    return ByFixture(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the slow tests first, so that no process waits for one at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(autouse=True, scope="session")
def temporary_folder(tmp_path_factory) -> Iterator[Path]:
    """A folder among pytest's own for what programs leave behind that are killed, or never clean up."""
    # Sockets are for the folder that is chosen now: a way to one has 108 characters at most, and pytest's are long.
    multiprocessing.util.get_temp_dir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("tmp")))
        patch.setattr(tempfile, "tempdir", None)
        yield Path(tempfile.gettempdir())


@pytest.fixture(scope="session")
def example_tables(tmp_path_factory) -> Path:
    """A folder with three jet tables of 200 made-up jets each."""
    folder = tmp_path_factory.mktemp("jets")
    for block in range(3):
        write_jets(folder / f"{block}.parquet", [make_jets(200, block, 1000 * block)], LAYERS, {"made up": True})
    return folder


@pytest.fixture(scope="session")
def example_dataset(example_tables, tmp_path_factory) -> Path:
    """A folder with statistics and shards of these tables, with all eight layers."""
    from compute_statistics import compute_statistics
    from make_shards import make_shards

    folder, tables = tmp_path_factory.mktemp("dataset"), sorted(example_tables.glob("*"))
    statistics, layers = folder / "statistics.json", [layer.name for layer in LAYERS]
    compute_statistics(tables, statistics, "made_up", SPLIT, layers, {}, 0.99, FLATTEN)
    for table in tables:
        shards = {split: folder / split / f"{table.stem}.npz" for split in SPLIT}
        make_shards(table, statistics, shards, 1e-5, "none")
    return folder


@pytest.fixture
def tables(example_tables, tmp_path) -> list[Path]:
    """Copies of the example tables, which a test may change."""
    return sorted(shutil.copytree(example_tables, tmp_path / "jets").glob("*"))


@pytest.fixture
def dataset(tables, example_dataset, tmp_path) -> tuple[Path, dict[str, list[Path]]]:
    """Copies of the statistics and shards, by split, which a test may change."""
    shutil.copytree(example_dataset, tmp_path, dirs_exist_ok=True)
    return tmp_path / "statistics.json", {split: sorted((tmp_path / split).glob("*")) for split in SPLIT}


@pytest.fixture
def small_disk(tmp_path):
    """A folder with room for 64 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("a small file system can be mounted by root only")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture
def said(caplog):
    """What was said so far, a line each."""
    caplog.set_level(logging.INFO, "topmass")
    return lambda: "\n".join(record.getMessage() for record in caplog.records)


@pytest.fixture
def bare(monkeypatch):
    """An environment that says nothing of proxies and certificates."""
    for name in [*os.environ]:
        if name.lower().endswith("_proxy") or "_CA_BUNDLE" in name or name.startswith("SSL_CERT_"):
            monkeypatch.delenv(name)


@pytest.fixture
def web(bare):
    """A web server that has a file to download."""
    from downloads import BODY
    from servers import web_server

    with web_server(BODY) as server:
        yield server


@pytest.fixture
def file(tmp_path, bare):
    """Where a download is to go."""
    return tmp_path / "download" / "jets.parquet"
