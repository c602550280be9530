"""Draw the event displays of the documentation.

    python docs/draw_event_displays.py

simulates the first jets of the sample `gun` with the settings of config.yaml, chooses one or more by mass and number of
contained quarks, and writes PNG files to docs/figures/. The same settings give the same pictures.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import MultipleLocator

sys.path.append(str(Path(__file__).resolve().parents[1] / "workflow/scripts"))
from simulate import to_batch
from topmass.jets import JetBatch
from topmass.layers import LAYERS, SIDE
from topmass.plotting.event_displays import TRACK_EXAMPLES, draw_jet, energies, track_marker
from topmass.plotting.mean_images import HALF_ETA, HALF_PHI, centres
from topmass.plotting.style import LABEL, style_context
from topmass.simulation.block import generate_block
from topmass.simulation.clustering import delta_phi
from topmass.simulation.containment import delta_to_image_centre, image_centre, in_window

REPOSITORY = Path(__file__).resolve().parents[1]
FIGURES = REPOSITORY / "docs/figures"
BATCHES = 3
"""Batches of events among which jets are chosen."""
PT = 550
"""GeV; jets near this pT are preferred."""
FIGURE_JETS = {"event_display": [(172.5, 3)], "containment": [(110, 3), (250, 3), (430, 2)]}
"""Jets of each figure: mass of the top quark in GeV, and number of its quarks inside the window."""


class Event(NamedTuple):
    """One jet, with its axis (2,) and its three quarks (3, 2) in Δη, Δφ from the centre of its window."""

    jet: JetBatch
    axis: np.ndarray
    quarks: np.ndarray
    quark_pt: np.ndarray


def simulate(batches: int) -> list[Event]:
    """Return the first jets of the sample `gun` with their quarks."""
    sample = yaml.safe_load((REPOSITORY / "config.yaml").read_text(encoding="utf-8"))["samples"]["gun"]
    settings = sample["simulate"]
    source = generate_block(0, sample["seed"], settings)
    events = []
    for _ in range(batches):
        jets, images = next(source)
        rows = to_batch(jets, images, settings["selection"]["jet_radius"])
        quarks = np.stack(delta_to_image_centre(jets, images), axis=-1)
        eta, phi = image_centre(images)
        axes = np.stack([jets.eta - eta, delta_phi(jets.phi, phi)], axis=-1)
        events += [
            Event(rows.take(np.array([i])), axes[i], quarks[i], jets.quark_pt[i]) for i in range(len(jets.event))
        ]
    return events


def choose(events: Sequence[Event], mass: float, contained: int) -> Event:
    """Return the event nearest to a mass (and, less strictly, to PT) with this number of quarks inside the window.

    A jet with three quarks contains all of them, and its soft-drop mass is near the mass of the top quark.
    """

    def distance(event: Event) -> float:
        return abs(event.jet.mass[0] - mass) / 5 + abs(event.jet.pt[0] - PT) / 100

    def is_typical(jet: JetBatch) -> bool:
        return contained < 3 or (jet.quarks_in_jet[0] == 3 and abs(jet.softdrop_mass[0] / jet.mass[0] - 1) < 0.2)

    inside = [event for event in events if in_window(*event.quarks.T).sum() == contained]
    return min((event for event in inside if is_typical(event.jet)), key=distance)


def draw(events: Sequence[Event], path: Path) -> None:
    """Draw one panel per event and write the figure as PNG."""
    figure = Figure(figsize=(7.4 * len(events) + 1.6, 8.3), layout="compressed")
    panels = figure.subplots(1, len(events), squeeze=False, sharey=True)[0]
    for axes, event in zip(panels, events, strict=True):
        pictures = draw_jet(axes, energies(event.jet, LAYERS))
        draw_pixel_hits(axes, event.jet)
        draw_truth(axes, event)
        inside = in_window(*event.quarks.T).sum()
        axes.set_title(
            f"$m_t$ = {event.jet.mass[0]:.0f} GeV, $p_T$ = {event.jet.pt[0]:.0f} GeV, {inside} of 3 quarks inside\n"
            f"jet mass {event.jet.jet_mass[0]:.0f} GeV, soft drop {event.jet.softdrop_mass[0]:.0f} GeV",
            fontsize="small",
        )
    for name, picture in pictures.items():
        figure.colorbar(picture, ax=panels, label=name, extend="both", aspect=40, pad=0.02)
    for axes in panels:
        axes.minorticks_off()
        axes.xaxis.set_major_locator(MultipleLocator(0.5))
        axes.yaxis.set_major_locator(MultipleLocator(0.5))
        axes.set_xlabel(r"$\Delta\phi$ from the centre of the window (rad)", fontsize="medium", loc="center")
    panels[0].set_ylabel(r"$\Delta\eta$ from the centre of the window", fontsize="medium", loc="center")
    for pt in TRACK_EXAMPLES:
        panels[0].scatter([], [], **track_marker(pt), label=f"track, {pt} GeV")
    figure.suptitle(LABEL, x=0.01, horizontalalignment="left")
    handles, labels = panels[-1].get_legend_handles_labels()
    tracks = panels[0].get_legend_handles_labels()
    legend = dict(zip([*labels, *tracks[1]], [*handles, *tracks[0]], strict=True))
    figure.legend(legend.values(), legend.keys(), loc="outside lower center", ncols=3 if len(events) == 1 else 6)
    figure.savefig(path, dpi=95 if len(events) == 1 else 70, metadata={"Software": None})


def draw_pixel_hits(axes: Axes, jet: JetBatch) -> None:
    """Draw the pixels of the three pixel-barrel layers that have a hit."""
    names = np.array([layer.name.startswith("bpix") for layer in LAYERS])
    row, column = np.divmod(jet.pixel[names[jet.layer]], SIDE)
    eta, phi = centres(row, column, SIDE)
    axes.scatter(phi, eta, s=9, color="C2", marker="s", linewidths=0, label="pixel hit")


def draw_truth(axes: Axes, event: Event) -> None:
    """Draw the jet cone and the quarks, with arrows at the edge for those outside the window."""
    axes.add_patch(Circle(event.axis[::-1], 0.8, fill=False, color="0.3", linestyle="--", label="jet cone, R = 0.8"))
    for number, (eta, phi) in enumerate(event.quarks):
        label = "quark of the top" if number == 0 else None
        if in_window(np.array(eta), np.array(phi)):
            axes.scatter(phi, eta, s=220, marker="*", color="C4", edgecolors="black", label=label, zorder=5)
            continue
        scale = max(abs(eta) / HALF_ETA, abs(phi) / HALF_PHI)
        end = np.array([phi, eta]) / scale * 0.98
        axes.annotate(
            "quark outside", end, end * 0.72, ha="center", va="center", fontsize="small",
            arrowprops={"color": "C4", "width": 3},
        )  # fmt: skip


def main() -> None:
    """Draw all figures of `FIGURE_JETS`."""
    events = simulate(BATCHES)
    FIGURES.mkdir(exist_ok=True)
    with style_context(["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"]):
        for name, jets in FIGURE_JETS.items():
            draw([choose(events, mass, contained) for mass, contained in jets], FIGURES / f"{name}.png")


if __name__ == "__main__":
    main()
