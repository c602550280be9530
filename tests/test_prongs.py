"""The particles of a jet, and what learned prongs of them are."""

import fastjet
import pytest
import torch

from test_kinematics import EMPTY, made_up
from test_networks import batch_of
from test_subjets import MIDDLE, shard_of, thinned
from topmass.features.hits import decode_hits
from topmass.features.particles import CRYSTAL, HADRON, PARTICLE_COLUMNS, TRACK, leading_particles
from topmass.features.towers import build_towers
from topmass.layers import PIXEL_ETA, PIXEL_PHI
from topmass.models.prongs import form_prongs, particle_features, particle_p4
from topmass.preprocessing.shards import Shard

ALL = 2000
SOME = 12


def particles_of(shard: Shard, count: int = ALL) -> torch.Tensor:
    hits = decode_hits(batch_of(shard), shard.meta)
    return leading_particles(hits, build_towers(hits), count)


def rows(*hits: tuple[str, int, int, float]) -> list[list[float]]:
    """The particles of one jet of these hits, the hardest first."""
    return particles_of(shard_of([list(hits)], ieta=-0.5), len(hits))[0].T.tolist()


def test_particles_have_the_momentum_of_particle_flow():
    shard = thinned()
    towers = build_towers(decode_hits(batch_of(shard), shard.meta))
    found = particle_p4(particles_of(shard).double()).sum(1)
    # A crystal is where it is, and no longer where all of its tower are on average.
    assert torch.allclose(found, towers.momenta[0].sum(2), rtol=2e-3, atol=0.5)
    assert torch.allclose(found[:, 3], towers.momenta[0].sum(2)[:, 3], rtol=1e-4)


def test_the_hardest_particles_come_first_and_there_is_none_without_a_hit():
    shard = made_up()
    found, everything = particles_of(shard, SOME), particles_of(shard)
    assert found.shape == (len(shard), PARTICLE_COLUMNS, SOME) and (found[:, 0].diff(dim=1) < 1e-3).all()
    assert torch.equal(found, everything[:, :, :SOME])
    assert not found[EMPTY].any() and particle_features(found).isfinite().all()
    assert (everything[:, 0, -1] == 0).all() and not everything[:, :, -1].any()


def test_a_particle_is_where_its_hit_is():
    hits = [("track_pt", 64, 60, 30), ("track_d0", 64, 60, -0.1), ("track_dz", 64, 60, 0.5), ("ecal", 5, 100, 10)]
    track, photon, *others = rows(*hits)
    assert not any(map(any, others))
    assert track == pytest.approx([30, 2 * PIXEL_ETA, -2 * PIXEL_PHI, TRACK, -0.1, 0.5], rel=1e-3)
    angle = torch.tensor(-57 * PIXEL_ETA)
    assert photon == pytest.approx([10 / float(angle.cosh()), -57 * PIXEL_ETA, 38 * PIXEL_PHI, CRYSTAL, 0, 0], rel=1e-3)


@pytest.mark.parametrize(
    ("track", "ecal", "hcal", "kinds"),
    [
        (100, 0, 80, {TRACK: 100}),
        (100, 0, 95, {TRACK: 100, HADRON: 15}),
        (100, 50, 60, {TRACK: 100, CRYSTAL: 30}),
        (0, 30, 20, {CRYSTAL: 30, HADRON: 20}),
    ],
)
def test_a_neutral_particle_is_what_no_track_explains(track, ecal, hcal, kinds):
    energies = {"track_pt": track, "ecal": ecal, "hcal": hcal / 25}
    found = rows(*((name, *MIDDLE[name], value) for name, value in energies.items()))
    assert {int(row[3]): row[0] for row in found if row[0] > 0} == pytest.approx(kinds, rel=2e-3)


def test_tracks_of_other_vertices_are_removed_after_the_subtraction_of_their_energy():
    shard = made_up()
    hits = decode_hits(batch_of(shard), shard.meta)
    towers, subtracted = build_towers(hits), build_towers(hits, 0.02)
    every, kept = leading_particles(hits, towers, ALL), leading_particles(hits, subtracted, ALL)
    is_track = every[:, 3] == TRACK
    removed = is_track & (every[:, 0] > 0) & (every[:, 5].abs() > 0.02)
    assert 20 < removed.sum() < is_track.sum()
    assert torch.allclose(kept[:, 0].sum(1), every[:, 0].masked_fill(removed, 0).sum(1), rtol=1e-5)
    assert ((kept[:, 5].abs() <= 0.02) | (kept[:, 0] == 0)).all()
    # Neutral particles are the same, and both definitions of the flow agree with the particles.
    assert torch.equal(subtracted.flow.neutral_hadrons, towers.flow.neutral_hadrons)
    assert torch.equal(subtracted.flow.neutral_fraction, towers.flow.neutral_fraction)
    energy = particle_p4(kept.double()).sum(1)[:, 3]
    assert torch.allclose(energy, subtracted.momenta[0].sum(2)[:, 3], rtol=2e-3)


def test_without_a_limit_that_a_track_exceeds_nothing_is_removed():
    shard = made_up()
    hits = decode_hits(batch_of(shard), shard.meta)
    everything, same = build_towers(hits), build_towers(hits, 1e6)
    for expected, found in zip(everything.momenta, same.momenta, strict=True):
        assert torch.equal(expected, found)
    assert torch.equal(everything.contents, same.contents)


def test_prongs_are_the_jets_that_fastjet_adds_up():
    momenta = particle_p4(particles_of(made_up(), SOME))[:1]
    inside = torch.rand(1, SOME, 2, generator=torch.Generator().manual_seed(1)) < 0.5
    here = torch.ones(1, SOME, 1, dtype=torch.bool)
    of_prongs, of_particles = form_prongs(torch.where(inside, 50.0, -50.0), 2, momenta, here)
    pt, y, phi, mass = (part[0] for part in of_prongs.split([2, 2, 2, 3], dim=1))
    jets = [fastjet.PseudoJet(0, 0, 0, 0) for _ in range(2)]
    for number, momentum in enumerate(momenta[0].tolist()):
        for prong in range(2):
            if inside[0, number, prong]:
                jets[prong] += fastjet.PseudoJet(*momentum)
    for prong, jet in enumerate(jets):
        found = [((pt[prong] + 2) * 2).exp().item(), y[prong].item(), phi[prong].item()]
        assert found == pytest.approx([jet.pt(), jet.rap(), jet.phi_std()], rel=1e-3, abs=1e-3)
    squares = [jets[0].m2(), fastjet.dot_product(*jets), jets[1].m2()]
    assert ((mass + 2) * 4).exp().tolist() == pytest.approx(squares, rel=1e-2)
    first = fastjet.PseudoJet(*momenta[0, 0].tolist())
    r, together, share = of_particles[0, 0].split(2)
    assert (r - 1).exp().tolist() == pytest.approx([first.delta_R(jet) for jet in jets], rel=2e-2, abs=1e-2)
    expected = [fastjet.dot_product(first, jet) for jet in jets]
    assert ((together + 1.5) * 2).exp().tolist() == pytest.approx(expected, rel=1e-2)
    assert share.tolist() == pytest.approx([1.0 if each else -1.0 for each in inside[0, 0]], abs=1e-5)


def test_prongs_of_nothing_have_a_gradient():
    momenta = particle_p4(particles_of(made_up(), SOME))
    score = torch.full((len(momenta), SOME, 3), -1e3, requires_grad=True)
    sum(each.sum() for each in form_prongs(score, 3, momenta, momenta[..., 3:] > 0)).backward()
    assert score.grad.isfinite().all()
