"""One-sentence summary of a run."""

from collections.abc import Mapping, Sequence

from topmass.evaluation.score import inclusive


def run_title(runs: Sequence[Mapping], experiments: Mapping[str, Mapping]) -> str:
    """Return a sentence on the trained networks, their data and the number of test jets.

    Args:
        runs: Contents of the runs' metrics.json.
        experiments: `network`, `sample`, `layers` and `epochs` of each experiment.
    """
    seeds = len({run["seed"] for run in runs})
    jets = {inclusive(run)["jets"] for run in runs}
    test_jets = f"{min(jets):,}" if len(jets) == 1 else f"{min(jets):,} to {max(jets):,}"
    if len(experiments) == 1:
        (about,) = experiments.values()
        trained = f"the network {about['network']} was trained on the layers {', '.join(about['layers'])}"
        trained += f" of the sample {about['sample']} for {about['epochs']} epochs at most"
        trained += f", with {seeds} random seeds," if seeds > 1 else ""
    else:
        trained = f"{len(experiments)} experiments ({', '.join(experiments)}) were trained"
        trained += f" with {seeds} random seeds each" if seeds > 1 else ""
    purpose = "To regress the mass of boosted top quarks from images of their jets"
    return f"{purpose}, {trained} and evaluated on {test_jets} test jets."
