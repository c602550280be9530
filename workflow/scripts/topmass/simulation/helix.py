"""Compiled propagation of particles in a solenoid field along z; metres, GeV, tesla, radians."""

import math

from numba import njit

CURVATURE = 0.299792458
"""The radius of the path in metres is pT in GeV / (CURVATURE × field in tesla × charge)."""
LONGEST_PATH = 50.0
"""Maximum transverse path in metres; particles that curl for longer are lost in the tracker."""


@njit(cache=True)
def wrap(angle):
    """Return the angle in −π..π."""
    return (angle + math.pi) % (2 * math.pi) - math.pi


@njit(cache=True)
def circle(x, y, px, py, charge, field):
    """Return centre x and y, radius and rotation sense (+1 anticlockwise) of the transverse path."""
    pt = math.hypot(px, py)
    radius = pt / (CURVATURE * field)
    sense = -1.0 if charge > 0 else 1.0
    return x - sense * radius * py / pt, y + sense * radius * px / pt, radius, sense


@njit(cache=True)
def to_cylinder(x, y, z, px, py, pz, charge, field, cylinder_radius, half_length):
    """Return (reached, η, φ) where a particle hits a closed cylinder; reached is 0 (none), 1 (barrel) or 2 (endcap)."""
    pt = math.hypot(px, py)
    r = math.hypot(x, y)
    if r >= cylinder_radius or abs(z) >= half_length or pt < 1e-6:
        return 0, 0.0, 0.0
    to_end = (math.copysign(half_length, pz) - z) * pt / pz if pz != 0 else math.inf
    to_barrel = math.inf
    if charge == 0:
        along = (x * px + y * py) / pt
        to_barrel = -along + math.sqrt(max(0.0, along**2 + cylinder_radius**2 - r**2))
        path = min(to_barrel, to_end)
        x_end, y_end = x + path * px / pt, y + path * py / pt
    else:
        cx, cy, radius, sense = circle(x, y, px, py, charge, field)
        distance = math.hypot(cx, cy)
        start = math.atan2(y - cy, x - cx)
        if distance > 0:
            cosine = (cylinder_radius**2 - distance**2 - radius**2) / (2 * radius * distance)
            if -1 < cosine < 1:
                to_centre, opening = math.atan2(cy, cx), math.acos(cosine)
                turn = min(
                    ((to_centre + opening - start) * sense) % (2 * math.pi),
                    ((to_centre - opening - start) * sense) % (2 * math.pi),
                )
                to_barrel = radius * turn
        path = min(to_barrel, to_end)
        if path > LONGEST_PATH:
            return 0, 0.0, 0.0
        angle = start + sense * path / radius
        x_end, y_end = cx + radius * math.cos(angle), cy + radius * math.sin(angle)
    r_end = math.hypot(x_end, y_end)
    if r_end < 1e-3:
        return 0, 0.0, 0.0
    return (1 if to_barrel <= to_end else 2), math.asinh((z + path * pz / pt) / r_end), math.atan2(y_end, x_end)


@njit(cache=True)
def impact_parameters(x, y, z, px, py, pz, charge, field):
    """Return d0 and dz of a charged particle at its closest approach to the beam line."""
    cx, cy, radius, sense = circle(x, y, px, py, charge, field)
    d0 = -sense * (math.hypot(cx, cy) - radius)
    back = wrap(math.atan2(-cy, -cx) - math.atan2(y - cy, x - cx)) * sense * radius
    return d0, z + back * pz / math.hypot(px, py)
