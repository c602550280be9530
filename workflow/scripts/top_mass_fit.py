"""Template fit of the top mass with the estimates of one network, and with its baselines."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from topmass.console import log_info, stage
from topmass.evaluation.fit_results import FIT_TITLES, fit_csv
from topmass.evaluation.fit_samples import FitSample
from topmass.evaluation.top_mass_fit import FitSettings, fit_top_mass
from topmass.files import write_atomically
from topmass.report.fit_tables import fit_markdown


def top_mass_fit(
    templates: Path,
    nominal: Path,
    background: Path | None,
    variations: Sequence[Path],
    fits: Path,
    spreadsheet: Path,
    summary: Path,
    experiment: str,
    seed: int,
    settings: Mapping,
) -> None:
    """Write statistical errors, closure tests and systematic shifts of all estimators as JSON, CSV and Markdown.

    Args:
        templates: Predictions for top quarks with a wide range of masses.
        nominal: Predictions for top quarks at one mass.
        background: Predictions for the background; None for fits without background only.
        variations: Predictions for each variation of the nominal sample.
        fits: JSON file to write.
        spreadsheet: CSV file to write.
        summary: Markdown file to write.
        experiment: Name of the experiment.
        seed: Seed of the training.
        settings: Settings of `FitSettings`.

    Raises:
        BadInput: A sample lacks columns, generated masses or jets, or the nominal fit is outside of the templates.
    """
    content = {"experiment": experiment, "seed": seed} | fit_top_mass(
        FitSample.load(templates),
        FitSample.load(nominal),
        FitSample.load(background) if background else None,
        [FitSample.load(path) for path in variations],
        FitSettings(**settings),
    )
    write_atomically(fits, json.dumps(content, indent=2) + "\n")
    write_atomically(spreadsheet, fit_csv(content))
    write_atomically(summary, fit_markdown(content))
    for fit in content["fits"]:
        if not fit["background"]:
            sigma = f"{fit['sigma']['value']:.3f} ± {fit['sigma']['error']:.3f} GeV"
            log_info(f"{FIT_TITLES[fit['estimator']]}: statistical error {sigma} for {content['jets']:,} jets")


if __name__ == "__main__":
    with stage("top_mass_fit", snakemake.log[0]):
        paths = [Path(path) for path in snakemake.input.samples]
        with_background = snakemake.params.background
        top_mass_fit(
            paths[0],
            paths[1],
            paths[2] if with_background else None,
            paths[2 + with_background :],
            Path(snakemake.output.fits),
            Path(snakemake.output.spreadsheet),
            Path(snakemake.output.summary),
            snakemake.wildcards.experiment,
            int(snakemake.wildcards.seed),
            snakemake.params.settings,
        )
