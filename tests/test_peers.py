"""Networks of other groups: what their outputs must not depend on, and one through the workflow with the example."""

import os
import shutil
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
import torch
import yaml

from conftest import REPOSITORY
from extra_packages import extra_packages
from own_network import write_example
from topmass.config.config_sources import read_file
from topmass.config.configuration import configure
from topmass.models.module import execute

FILE = REPOSITORY / "studies/peers/networks.py"
STUDY = configure([read_file(REPOSITORY / "studies/peers/peers.yaml")])
PEERS = {
    name: network
    for name in STUDY["run"]["experiments"]
    if (network := STUDY["experiments"][name]["network"])["name"] == "module"
}


@pytest.fixture(scope="module")
def packages():
    """The folder of the packages of other groups."""
    return extra_packages("peers", "-r", str(REPOSITORY / "envs/peers.txt"))


@pytest.fixture
def module(packages, monkeypatch):
    """The adapters, as a module."""
    monkeypatch.syspath_prepend(str(packages))
    return execute(FILE.read_bytes(), str(FILE), "0" * 64)


def build(module, network):
    """A network of the study with weights that are not zero, in the mode of predictions."""
    torch.manual_seed(1)
    shapes = {"shapes": {"jet_features": (5,)}} if network["class"] == "ParTWithJetFeatures" else {}
    built = getattr(module, network["class"])(n_outputs=3, **shapes, **network["settings"]).eval()
    torch.nn.init.normal_(built.head.weight)
    return built


def made_up_jets(n_particles):
    """Jets (4, n_particles, 8) with 20 particles each, the rest is padding; and jet features (4, 5)."""
    drawn = torch.Generator().manual_seed(2)
    pt = (1 + 50 * torch.rand(4, 20, generator=drawn)).sort(1, descending=True).values
    eta, phi = 0.3 * torch.randn(2, 4, 20, generator=drawn)
    kind = torch.randint(0, 3, (4, 20), generator=drawn).float()
    d0, dz = 0.01 * torch.randn(2, 4, 20, generator=drawn) * (kind == 0)
    particles = torch.stack([pt, eta, phi, pt * eta.cosh(), kind, d0, dz, torch.ones(4, 20)], dim=2)
    padded = torch.zeros(4, n_particles, 8)
    padded[:, :20] = particles
    return padded, torch.randn(4, 5, generator=drawn)


def outputs(network, particles, features):
    """Outputs (4, 3); only one of the networks has jet features as input."""
    return network(particles, features) if hasattr(network, "jet_embedding") else network(particles)


@pytest.mark.parametrize("name", PEERS)
def test_outputs_depend_neither_on_padding_nor_on_the_order_of_particles(name, module):
    network = build(module, PEERS[name]).requires_grad_(False)
    particles, features = made_up_jets(32)
    expected = outputs(network, particles, features)
    # Networks before training hardly distinguish jets.
    tolerance = expected.std(0).min().item() / 20
    assert expected.shape == (4, 3) and tolerance > 1e-6
    assert torch.allclose(outputs(network, *made_up_jets(48)), expected, rtol=0, atol=tolerance)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(3))
    particles[:, :20] = particles[:, order]
    assert torch.allclose(outputs(network, particles, features), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", PEERS)
def test_a_jet_without_particles_has_finite_outputs_and_gradients(name, module):
    network = build(module, PEERS[name]).train()
    particles, features = made_up_jets(32)
    particles[0] = 0
    found = outputs(network, particles, features)
    found.sum().backward()
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    assert found.isfinite().all() and all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.lab
def test_the_example_and_a_peer_go_through_the_workflow(packages, tmp_path):
    copy = tmp_path / "topmass"
    shutil.copytree(REPOSITORY, copy, ignore=shutil.ignore_patterns(".git", ".venv", ".cache", "results", ".snakemake"))
    write_example(copy)
    shutil.copy(FILE, copy / "peers.py")
    particles = {"particles": 16, "towers": 8}
    mine = {
        "run": {"experiments": ["mine", "part"]},
        "experiments": {
            "mine": {
                "extends": "tiny",
                "network": {"name": "module", "file": "my_net.py", "class": "DeepSets", **particles},
                "recipe": {"quantiles": [0.16, 0.5, 0.84]},
            },
            "part": {
                "extends": "mine",
                "network": PEERS["part"] | particles | {"file": "peers.py"},
            },
        },
        "predict": {"model": "part/1", "jets": "gun"},
    }
    (copy / "mine.yaml").write_text(yaml.safe_dump(mine), encoding="utf-8")
    variables = os.environ | {"PYTHONPATH": str(packages)}
    snakemake = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", "tests/tiny.yaml", "mine.yaml"]
    for target in ([], ["predict"]):
        ended = subprocess.run([*snakemake, "--", *target], cwd=copy, env=variables, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    comparison = next(copy.glob("results/**/comparison.txt")).read_text(encoding="utf-8")
    assert "mine" in comparison and "part" in comparison
    masses = pq.read_table(next(copy.glob("results/predicted/**/*.parquet")))
    assert len(masses) == 300
