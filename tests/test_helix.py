"""Paths in the field agree with a plain integration of the equation of motion, and with what geometry says."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from topmass.simulation.helix import impact_parameters, to_cylinder

FIELD = 3.8
RADIUS, HALF_LENGTH = 1.29, 3.17
BARREL, END = 1, 2


@dataclass(frozen=True)
class Start:
    """Where particles are born and how they fly, one row a particle; metres and GeV."""

    position: np.ndarray
    momentum: np.ndarray
    charge: np.ndarray

    def __iter__(self) -> Iterator[tuple]:
        """The arguments of the compiled functions, particle by particle."""
        for position, momentum, charge in zip(self.position, self.momentum, self.charge, strict=True):
            yield *map(float, position), *map(float, momentum), int(charge)


def random_start(particles: int, displaced: float, pt: tuple[float, float], eta: tuple[float, float]) -> Start:
    """Charged particles of either sign, log-uniform in pT, born up to `displaced` metres from the origin."""
    rng = np.random.default_rng(5)
    pt = np.exp(rng.uniform(*np.log(pt), particles))
    phi = rng.uniform(-math.pi, math.pi, particles)
    pz = pt * np.sinh(rng.uniform(*eta, particles) * rng.choice([-1, 1], particles))
    position = displaced * rng.uniform(-1, 1, (particles, 3)) / math.sqrt(3)
    return Start(position, np.column_stack([pt * np.cos(phi), pt * np.sin(phi), pz]), np.resize([1, -1], particles))


def integrate(start: Start, step: float, length: float) -> np.ndarray:
    """Positions (steps, particles, 3) each `step` metres of path: Runge–Kutta on du/ds = q u × B · 0.3 / p."""
    size = np.linalg.norm(start.momentum, axis=1, keepdims=True)
    strength = 0.299792458 * FIELD * start.charge[:, None] / size
    position, direction = start.position, start.momentum / size

    def bend(u: np.ndarray) -> np.ndarray:
        return strength * np.column_stack([u[:, 1], -u[:, 0], np.zeros(len(u))])

    path = [position]
    for _ in range(round(length / abs(step))):
        first = bend(direction)
        second = bend(direction + step / 2 * first)
        third = bend(direction + step / 2 * second)
        fourth = bend(direction + step * third)
        position = position + step * direction + step**2 / 6 * (first + second + third)
        direction = direction + step / 6 * (first + 2 * second + 2 * third + fourth)
        path.append(position)
    return np.array(path)


def test_a_neutral_particle_from_the_origin_keeps_its_direction():
    reached, eta, phi = to_cylinder(0.0, 0.0, 0.0, 3.0, -4.0, 5 * math.sinh(0.7), 0, FIELD, RADIUS, HALF_LENGTH)
    assert reached == BARREL
    assert (eta, phi) == pytest.approx((0.7, math.atan2(-4, 3)))


def test_a_displaced_neutral_particle_meets_the_cylinder_on_its_straight_line():
    start = random_start(200, displaced=1.0, pt=(0.5, 100), eta=(0, 2.5))
    for x, y, z, px, py, pz, _ in start:
        reached, eta, phi = to_cylinder(x, y, z, px, py, pz, 0, FIELD, RADIUS, HALF_LENGTH)
        r = RADIUS if reached == BARREL else HALF_LENGTH / abs(math.sinh(eta))
        end = np.array([r * math.cos(phi), r * math.sin(phi), r * math.sinh(eta)])
        flown = end - (x, y, z)
        assert np.cross(flown, (px, py, pz)) == pytest.approx(0, abs=1e-9 * math.hypot(px, py, pz))
        assert flown @ (px, py, pz) > 0
        assert r <= RADIUS * (1 + 1e-12) and abs(end[2]) <= HALF_LENGTH * (1 + 1e-12)


@pytest.mark.parametrize("charge", [1, -1])
@pytest.mark.parametrize("pt", [0.8, 2.0, 30.0])
def test_a_prompt_charged_particle_turns_by_the_arc_of_its_curvature(charge, pt):
    rho = pt / (0.299792458 * FIELD)
    half_arc = math.asin(RADIUS / (2 * rho))
    reached, eta, phi = to_cylinder(0.0, 0.0, 0.0, pt, 0.0, 0.5 * pt, charge, FIELD, RADIUS, HALF_LENGTH)
    assert reached == BARREL
    assert phi == pytest.approx(-charge * half_arc)
    assert RADIUS * math.sinh(eta) == pytest.approx(0.5 * 2 * half_arc * rho)


def test_charged_particles_go_where_step_by_step_integration_takes_them():
    start = random_start(60, displaced=0.5, pt=(0.25, 30), eta=(0.35, 2.5))
    path = integrate(start, step=2e-3, length=13)
    inside = (np.hypot(path[..., 0], path[..., 1]) < RADIUS) & (np.abs(path[..., 2]) < HALF_LENGTH)
    step_out = np.argmin(inside, axis=0)
    assert (step_out > 0).all()
    sides = set()
    for i, particle in enumerate(start):
        reached, eta, phi = to_cylinder(*particle, FIELD, RADIUS, HALF_LENGTH)
        r = RADIUS if reached == BARREL else HALF_LENGTH / abs(math.sinh(eta))
        end = np.array([r * math.cos(phi), r * math.sin(phi), r * math.sinh(eta)])
        before, after = path[step_out[i] - 1, i], path[step_out[i], i]
        along = (end - before) @ (after - before) / 2e-3**2
        assert -1e-3 < along < 1 + 1e-3
        assert end == pytest.approx(before + along * (after - before), abs=1e-5)
        sides.add(reached)
    assert sides == {BARREL, END}


def test_a_very_stiff_track_goes_as_straight_as_a_neutral_particle():
    for x, y, z, px, py, pz, charge in random_start(50, displaced=0.3, pt=(1e4, 3e4), eta=(0, 2.5)):
        curved = to_cylinder(x, y, z, px, py, pz, charge, FIELD, RADIUS, HALF_LENGTH)
        assert curved == pytest.approx(to_cylinder(x, y, z, px, py, pz, 0, FIELD, RADIUS, HALF_LENGTH), abs=2e-4)


def test_charge_conjugation_mirrors_phi():
    for x, y, z, px, py, pz, charge in random_start(50, displaced=0.3, pt=(0.4, 20), eta=(0.2, 2.5)):
        reached, eta, phi = to_cylinder(x, y, z, px, py, pz, charge, FIELD, RADIUS, HALF_LENGTH)
        mirrored = to_cylinder(x, -y, z, px, -py, pz, -charge, FIELD, RADIUS, HALF_LENGTH)
        assert mirrored == pytest.approx((reached, eta, -phi), abs=1e-9)


@pytest.mark.parametrize(
    ("position", "pt"), [((1.3, 0.0, 0.0), 5.0), ((0.0, 0.0, 3.2), 5.0), ((0.0, 0.0, 0.0), 0.3), ((0.0, 0.0, 0.0), 0.0)]
)
def test_a_particle_born_outside_or_curling_for_ever_reaches_nothing(position, pt):
    assert to_cylinder(*position, pt, 0.0, 0.0, 1, FIELD, RADIUS, HALF_LENGTH)[0] == 0


def test_impact_parameters_of_a_prompt_track_are_zero():
    for *_, px, py, pz, charge in random_start(50, displaced=0.0, pt=(0.4, 500), eta=(0, 2.5)):
        assert impact_parameters(0.0, 0.0, 0.0, px, py, pz, charge, FIELD) == pytest.approx((0, 0), abs=1e-9)


def test_impact_parameters_of_a_displaced_track_are_those_of_its_closest_approach():
    start = random_start(60, displaced=0.05, pt=(0.5, 50), eta=(0, 1))
    back, on = (integrate(start, step, length=0.2) for step in (-1e-4, 1e-4))
    path = np.concatenate([back[:0:-1], on])
    squared = path[..., 0] ** 2 + path[..., 1] ** 2
    nearest = np.argmin(squared, axis=0)
    for i, (x, y, z, px, py, pz, charge) in enumerate(start):
        d0, dz = impact_parameters(x, y, z, px, py, pz, charge, FIELD)
        assert 0 < nearest[i] < len(path) - 1
        assert abs(d0) == pytest.approx(math.sqrt(squared[nearest[i], i]), abs=1e-6)
        assert dz == pytest.approx(path[nearest[i], i, 2], abs=1.5e-4)


def test_d0_of_a_stiff_track_has_the_sign_of_its_angular_momentum_for_either_charge():
    for x, y, z, px, py, pz, _ in random_start(20, displaced=0.01, pt=(1e3, 1e4), eta=(0, 1)):
        for charge in (1, -1):
            d0, _ = impact_parameters(x, y, z, px, py, pz, charge, FIELD)
            assert d0 == pytest.approx((x * py - y * px) / math.hypot(px, py), abs=1e-6)
