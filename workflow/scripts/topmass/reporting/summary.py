"""What was done, in a sentence."""

from collections.abc import Mapping, Sequence

from topmass.scoring.score import overall


def summary(runs: Sequence[Mapping], experiments: Mapping[str, Mapping]) -> str:
    """What was trained on what and judged on how many jets.

    `runs` are the contents of metrics.json; `experiments` have `network`, `sample`, `layers` and `epochs`.
    """
    seeds = len({run["seed"] for run in runs})
    jets = {overall(run)["jets"] for run in runs}
    judged = f"{min(jets):,}" if len(jets) == 1 else f"{min(jets):,} to {max(jets):,}"
    if len(experiments) == 1:
        (about,) = experiments.values()
        trained = f"the network {about['network']} was trained on the layers {', '.join(about['layers'])}"
        trained += f" of the sample {about['sample']} for {about['epochs']} epochs at most"
        trained += f", with {seeds} random seeds," if seeds > 1 else ""
    else:
        trained = f"{len(experiments)} experiments ({', '.join(experiments)}) were trained"
        trained += f" with {seeds} random seeds each" if seeds > 1 else ""
    asked = "To find the mass of boosted top quarks in images of their jets"
    return f"{asked}, {trained} and judged on {judged} jets that no training has seen."
