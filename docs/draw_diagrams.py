"""Draw the diagrams of the documentation as SVG.

    python docs/draw_diagrams.py

writes the workflow and one diagram per network to docs/figures/. Nothing but Python is needed.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

FIGURES = Path(__file__).resolve().parent / "figures"
CHARACTER, LINE, PADDING = 7.3, 17, 12
"""Pixels: width of a character, height of a line, space around the text of a box."""
FILL = {"data": "#f2f2f2", "fixed": "#fde8c8", "learned": "#cfe4f5", "output": "#cdebdd"}
"""Colour of a box by its kind."""
MEANING = {"data": "input", "fixed": "computed, nothing learned", "learned": "learned", "output": "output"}


class Box(NamedTuple):
    """A box with its centre in pixels; the first line of its text is bold."""

    x: float
    y: float
    kind: str
    text: Sequence[str]

    @property
    def width(self) -> float:
        """Return the width that the longest line needs."""
        return max(len(self.text[0]) * 1.1, *(len(line) for line in self.text)) * CHARACTER + 2 * PADDING

    @property
    def height(self) -> float:
        """Return the height that the lines need."""
        return LINE * len(self.text) + 2 * PADDING


def svg(title: str, boxes: dict[str, Box], arrows: Sequence[tuple[str, str]], notes: Sequence[tuple] = ()) -> str:
    """Return a diagram as SVG.

    Args:
        title: Text for screen readers.
        boxes: Boxes by name.
        arrows: Pairs of names, from and to.
        notes: Texts without a box, as (x, y, text).
    """
    width = max(box.x + box.width / 2 for box in boxes.values()) + 16
    height = max(box.y + box.height / 2 for box in boxes.values()) + 44
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" font-family="Helvetica, Arial, sans-serif" font-size="13" role="img">',
        f"<title>{escape(title)}</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
        'orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#444"/></marker></defs>',
        f'<rect width="{width:g}" height="{height:g}" fill="white"/>',
    ]
    parts += [arrow(boxes[start], boxes[end]) for start, end in arrows]
    parts += [rectangle(box) for box in boxes.values()]
    parts += [f'<text x="{x:g}" y="{y:g}" font-style="italic">{escape(text)}</text>' for x, y, text in notes]
    parts += legend(sorted({box.kind for box in boxes.values()}, key=[*FILL].index), height)
    return "\n".join([*parts, "</svg>", ""])


def rectangle(box: Box) -> str:
    """Return a box with its text."""
    left, top = box.x - box.width / 2, box.y - box.height / 2
    lines = [
        f'<text x="{box.x:g}" y="{top + PADDING + LINE * (i + 0.78):.1f}" text-anchor="middle" '
        f'font-weight="{"normal" if i else "bold"}">{escape(line)}</text>'
        for i, line in enumerate(box.text)
    ]
    shape = (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{box.width:.1f}" height="{box.height:g}" rx="6" '
        f'fill="{FILL[box.kind]}" stroke="#444"/>'
    )
    return "\n".join([shape, *lines])


def arrow(start: Box, end: Box) -> str:
    """Return an arrow between two boxes: vertical where one lies below the other, else from side to side."""
    left = max(box.x - box.width / 2 for box in (start, end))
    right = min(box.x + box.width / 2 for box in (start, end))
    if right - left > CHARACTER:
        down = 1 if end.y > start.y else -1
        x = (left + right) / 2
        points = x, start.y + down * start.height / 2, x, end.y - down * end.height / 2
    else:
        side = 1 if end.x > start.x else -1
        points = start.x + side * start.width / 2, start.y, end.x - side * end.width / 2, end.y
    x1, y1, x2, y2 = (f"{value:.1f}" for value in points)
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="#444" marker-end="url(#tip)"/>'


def legend(kinds: Sequence[str], height: float) -> list[str]:
    """Return the legend of the colours at the lower edge."""
    parts, x = [], 16.0
    for kind in kinds:
        parts.append(
            f'<rect x="{x:g}" y="{height - 26:g}" width="14" height="14" rx="3" fill="{FILL[kind]}" stroke="#444"/>'
            f'<text x="{x + 20:g}" y="{height - 14:g}" font-size="12">{MEANING[kind]}</text>'
        )
        x += 44 + len(MEANING[kind]) * 6.5
    return parts


def row(y: float, left: float, gap: float, boxes: dict[str, tuple[str, Sequence[str]]]) -> dict[str, Box]:
    """Return boxes in a row from left to right, with a gap in pixels between them."""
    placed = {}
    for name, (kind, text) in boxes.items():
        width = Box(0, 0, kind, text).width
        placed[name] = Box(left + width / 2, y, kind, text)
        left += width + gap
    return placed


def workflow() -> str:
    """Return the diagram of the workflow."""
    top = row(50, 16, 22, {"simulate": ("fixed", ["simulate"]), "jets": ("data", ["jet tables", "parquet"]),
        "statistics": ("fixed", ["statistics", "scales"]), "shards": ("fixed", ["shards", ".npz"]),
        "train": ("learned", ["train"]), "predict": ("learned", ["predict_test"]),
        "evaluate": ("output", ["evaluate", "metrics"]), "report": ("output", ["report", "HTML"])})  # fmt: skip
    boxes = dict(top)
    boxes["download"] = Box(top["simulate"].x + 12, 140, "fixed", ["download"])
    boxes["convert"] = Box(top["jets"].x, 140, "fixed", ["convert"])
    boxes["train_gbdt"] = Box(top["train"].x + 20, 140, "learned", ["train_gbdt", "boosted trees"])
    boxes["export"] = Box(top["evaluate"].x, 140, "output", ["export", "ONNX"])
    boxes["compare"] = Box(top["report"].x, 140, "output", ["compare", "runs"])
    arrows = [*pairwise(top), ("download", "convert"), ("convert", "jets"), ("train_gbdt", "evaluate")]
    arrows += [("shards", "train_gbdt"), ("evaluate", "export"), ("evaluate", "compare")]
    return svg("Stages of the workflow", boxes, arrows)


def resnet15() -> str:
    """Return the diagram of the network of the reference."""
    boxes = row(60, 16, 26, {
        "image": ("data", ["image", "layers × 125 × 125"]),
        "stem": ("learned", ["convolution", "7 × 7, padding 1", "16 channels, ReLU"]),
        "pool": ("fixed", ["max pool", "2 × 2: 121 → 60"]),
        "a": ("learned", ["3 residual blocks", "16 channels", "60 × 60"]),
        "b": ("learned", ["4 residual blocks", "32 channels", "first: stride 2, 30 × 30"]),
    })  # fmt: skip
    boxes["position"] = Box(boxes["stem"].x, 170, "data", ["position", "iphi / 360, ieta / 170"])
    boxes["max"] = Box(boxes["b"].x, 170, "fixed", ["global max pool", "32 values"])
    boxes["linear"] = Box(boxes["a"].x - 60, 170, "learned", ["linear", "34 → 1"])
    boxes["mass"] = Box(boxes["linear"].x, 255, "output", ["mass / 500 GeV"])
    arrows = pairwise(["image", "stem", "pool", "a", "b", "max", "linear", "mass"])
    return svg("Network resnet15", boxes, [*arrows, ("position", "linear")])


def kinematics() -> str:
    """Return the diagram of the network on jet features."""
    boxes = {
        "hits": Box(80, 110, "data", ["hits", "8 layers"]),
        "towers": Box(250, 60, "fixed", ["towers", "particle flow", "four-momenta"]),
        "sums": Box(450, 160, "fixed", ["up to 39 sums over the image", "masses, pT in cones; moments"]),
        "subjets": Box(450, 60, "fixed", ["281 subjet features", "pT and masses of subjets"]),
        "norm": Box(685, 110, "fixed", ["log, standardise", "clip at ± 5 σ"]),
        "mlp": Box(835, 110, "learned", ["MLP", "4 × 192", "GELU"]),
        "out": Box(975, 110, "output", ["3 quantiles", "of the mass"]),
    }
    arrows = [("hits", "towers"), ("hits", "sums"), ("towers", "subjets"), ("subjets", "norm"), ("sums", "norm")]
    return svg("Network kinematics", boxes, [*arrows, ("norm", "mlp"), ("mlp", "out")])


def prongs() -> str:
    """Return the diagram of the network with learned prongs."""
    boxes = {
        "jet": Box(120, 50, "fixed", ["jet features", "as in kinematics"]),
        "mlp": Box(400, 50, "learned", ["MLP", "jet embedding, 192"]),
        "jetup": Box(790, 50, "learned", ["update jet embedding", "particle means, prongs"]),
        "out": Box(1020, 50, "output", ["head", "3 quantiles of the mass"]),
        "particles": Box(120, 180, "fixed", ["64 leading particles", "particle flow", "13 features each"]),
        "embed": Box(310, 180, "learned", ["linear", "embedding, 48"]),
        "update": Box(500, 180, "learned", ["update particles", "jet embedding,", "edge features"]),
        "assign": Box(685, 180, "learned", ["soft assignment", "particle → 8 prongs", "sigmoid"]),
        "momenta": Box(880, 180, "fixed", ["prong four-momenta", "pT, Δy, Δφ, mass", "masses of pairs"]),
        "edges": Box(690, 300, "fixed", ["edge features, for the next layer", "ΔR, m², weight of particle and prong"]),
    }
    arrows = [("jet", "mlp"), ("mlp", "jetup"), ("jetup", "out"), ("mlp", "update"), ("momenta", "jetup")]
    arrows += [*pairwise(["particles", "embed", "update", "assign", "momenta", "edges", "update"]), ("assign", "jetup")]
    return svg("Network prongs", boxes, arrows, [(110, 300, "three assignment layers, each with its own weights")])


def transformer() -> str:
    """Return the diagram of the attention network."""
    boxes = {
        "jet": Box(130, 50, "fixed", ["jet features", "as in kinematics"]),
        "towers": Box(130, 150, "fixed", ["40 leading towers", "particle flow"]),
        "pairs": Box(130, 250, "fixed", ["pairs of towers", "ΔR, kT, z, m²"]),
        "mlp": Box(330, 50, "learned", ["MLP, 192"]),
        "embed": Box(330, 150, "learned", ["linear", "4 heads × 12"]),
        "bias": Box(330, 250, "learned", ["MLP: bias", "per head and pair"]),
        "attention": Box(540, 150, "learned", ["2 attention blocks", "softmax(q·k + bias) v"]),
        "pool": Box(760, 150, "learned", ["pooling", "weighted means, maximum,", "8 learned four-momenta"]),
        "joined": Box(760, 50, "learned", ["MLP", "jet and pooled features"]),
        "out": Box(960, 50, "output", ["3 quantiles", "of the mass"]),
    }
    arrows = [("jet", "mlp"), ("towers", "embed"), ("pairs", "bias"), ("embed", "attention"), ("bias", "attention")]
    arrows += [("mlp", "joined"), ("attention", "pool"), ("pool", "joined"), ("joined", "out")]
    return svg("Network transformer", boxes, arrows)


def main() -> None:
    """Write all diagrams."""
    FIGURES.mkdir(exist_ok=True)
    for draw in (workflow, resnet15, kinematics, prongs, transformer):
        (FIGURES / f"{draw.__name__}.svg").write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
