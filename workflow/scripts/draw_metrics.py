"""Draw how well masses are estimated, in bins of mass, of pT and of both."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from topmass.console import stage
from topmass.drawing.dependence import dependence, points_of
from topmass.drawing.maps import resolution_map
from topmass.drawing.style import save, styled
from topmass.scoring.score import read_metrics


def draw_metrics(metrics: Path, response: Path, mean_errors: Path, map_of: Path, colours: Sequence[str]) -> None:
    """Draw response, resolution and bias; MAE and MRE; and the map of the network's resolution."""
    scores = read_metrics(metrics)
    points, level = points_of(scores["regions"]), scores["bootstrap"]["level"]
    cells = [region for region in scores["regions"] if region["by"] == "mass and pt"]
    found = [cell["scores"]["network"]["resolution"] for cell in cells]
    resolution = np.array([np.nan if number is None else number["value"] for number in found])
    spans = ([cell[name] for cell in cells] for name in ("mass", "pt"))
    with styled(colours):
        save(dependence(points, ["response", "resolution", "bias"], level), response)
        save(dependence(points, ["mae", "mre"], level), mean_errors)
        save(resolution_map(*spans, resolution, np.array([cell["jets"] for cell in cells])), map_of)


if __name__ == "__main__":
    with stage("draw_metrics", snakemake.log[0]):
        draw_metrics(
            Path(snakemake.input.metrics),
            Path(snakemake.output.response[0]),
            Path(snakemake.output.mean_errors[0]),
            Path(snakemake.output.resolution_map[0]),
            snakemake.params.colours,
        )
