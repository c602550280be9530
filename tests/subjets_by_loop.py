"""The numbers of subjets by a plain loop and FastJet's momenta, to compare with."""

import math
from itertools import combinations

import fastjet

from test_kinematics import hits_of
from topmass.layers import PIXEL_ETA, PIXEL_PHI
from topmass.preprocessing.shards import Shard

TOWER = 5 * PIXEL_ETA


def vector(pt: float, eta: float, phi: float) -> fastjet.PseudoJet:
    return fastjet.PseudoJet(pt * math.cos(phi), pt * math.sin(phi), pt * math.sinh(eta), pt * math.cosh(eta))


def towers_of(shard: Shard, jet: int) -> list[dict]:
    """The towers of a jet, added up with FastJet one hit after the other, in the frame of the detector."""
    axis, grid = (float(shard.arrays["ieta"][jet]) + 0.5) * PIXEL_ETA, {}
    hits = list(hits_of(shard, jet))
    pt_of = {(eta, phi): value for name, value, eta, phi in hits if name == "track_pt"}
    for name, value, eta, phi in hits:
        place = (math.floor(eta / TOWER + 0.5), math.floor(phi / (5 * PIXEL_PHI) + 0.5))
        tower = grid.setdefault(place, {"tracks": fastjet.PseudoJet(0, 0, 0, 0), "n": 0, "pixels": 0.0, "d0": 0.0})
        if name == "track_pt":
            tower["tracks"] += vector(value, axis + eta, phi)
            tower["n"] += 1
        elif name == "track_d0":
            tower["d0"] += pt_of[eta, phi] * min(abs(value) / 0.05, 3) * (abs(value) > 0.02)
        elif name in ("ecal", "hcal"):
            tower.setdefault(name, []).append((value, eta, phi))
        elif name != "track_dz":
            tower["pixels"] += value
    towers = []
    for (row, column), tower in sorted(grid.items()):
        crystals, tracks = tower.get("ecal", []), tower["tracks"]
        ecal, hcal = (sum(value for value, *_ in tower.get(name, [])) for name in ("ecal", "hcal"))
        at = (row * TOWER, column * 5 * PIXEL_PHI)
        if ecal:
            at = tuple(sum(hit[0] * hit[k] for hit in crystals) / ecal for k in (1, 2))
        at_hcal = (tracks.rap() - axis, tracks.phi_std()) if tower["n"] else at
        seen = 0.8 * tracks.E()
        neutral, beyond = max(ecal - max(seen - hcal, 0), 0), max(hcal - seen, 0)
        beyond = beyond if beyond >= math.sqrt(tracks.E()) else 0

        def sum_of(e: float, h: float, at=at, at_hcal=at_hcal) -> fastjet.PseudoJet:
            parts = ((e, *at), (h, *at_hcal))
            first, second = (vector(energy / math.cosh(axis + eta), axis + eta, phi) for energy, eta, phi in parts)
            return first + second

        momenta = {"flow": sum_of(neutral, beyond) + tracks, "cells": sum_of(ecal, hcal), "tracks": tracks}
        if ecal + hcal + tower["n"] > 0:
            contents = {"pixel_hits": tower["pixels"], "track_number": tower["n"], "tower_number": 1}
            contents |= {"ecal_energy": ecal, "displaced_pt": tower["d0"]}
            towers.append({"momenta": momenta, "contents": contents, "axis": axis})
    return towers


def place_of(momentum: fastjet.PseudoJet, axis: float) -> tuple[float, float]:
    return (momentum.rap() - axis, momentum.phi_std()) if momentum.pt() else (0.0, 0.0)


def total(towers: list[dict], flavour: str) -> fastjet.PseudoJet:
    return sum((tower["momenta"][flavour] for tower in towers), fastjet.PseudoJet(0, 0, 0, 0))


def cones(towers: list[dict], radius: float, count: int) -> tuple[list[list[dict]], list[dict]]:
    """Subjets and what is left over, one cone after the other."""
    found, left = [], list(towers)
    for _ in range(count):
        seed = max(left, key=lambda tower: tower["momenta"]["flow"].pt(), default=None)
        if seed is None or seed["momenta"]["flow"].pt() < 0.5:
            found.append([])
            continue
        axis, inside = place_of(seed["momenta"]["flow"], seed["axis"]), left
        for step in range(3):
            inside = [
                each for each in left if math.dist(place_of(each["momenta"]["flow"], each["axis"]), axis) < radius
            ]
            if step < 2:
                axis = place_of(total(inside, "flow"), seed["axis"])
        found.append([each for each in left if each is seed or any(each is other for other in inside)])
        left = [each for each in left if not any(each is other for other in found[-1])]
    return found, left


def slowly(shard: Shard, jet: int) -> dict[str, float]:
    """The numbers of one jet, one tower after the other."""
    towers, found = towers_of(shard, jet), {}
    for flavour in ("flow", "cells", "tracks"):
        for radius in (0.4, 0.8, 1.3):
            near = [each for each in towers if math.hypot(*place_of(each["momenta"]["flow"], each["axis"])) < radius]
            found[f"towers_{flavour}_mass_{radius}"] = max(total(near, flavour).m(), 0)
            found[f"towers_{flavour}_pt_{radius}"] = total(near, flavour).pt()
    for radius, count in ((0.3, 5), (0.15, 6)):
        cut, left = cones(towers, radius, count)
        name = f"subjets_{radius}"
        sets = [set_of for size in (1, 2) for set_of in combinations(range(count), size)]
        sets += [*combinations(range(4), 3), *(tuple(range(k)) for k in range(4, count + 1))]
        for flavour in ("flow", "cells", "tracks"):
            found[f"{name}_{flavour}_pt_left"] = total(left, flavour).pt()
            for members in sets:
                together = total([tower for k in members for tower in cut[k]], flavour)
                found[f"{name}_{flavour}_mass_{'_'.join(str(k + 1) for k in members)}"] = max(together.m(), 0)
            for k in range(count):
                found[f"{name}_{flavour}_pt_{k + 1}"] = total(cut[k], flavour).pt()
        for k, inside in enumerate(cut, start=1):
            place = place_of(total(inside, "flow"), towers[0]["axis"]) if inside else (0, 0)
            found[f"{name}_flow_rapidity_{k}"], found[f"{name}_flow_phi_{k}"] = place
            for content in ("pixel_hits", "track_number", "tower_number", "ecal_energy", "displaced_pt"):
                found[f"{name}_{content}_{k}"] = sum(tower["contents"][content] for tower in inside)
    return found
