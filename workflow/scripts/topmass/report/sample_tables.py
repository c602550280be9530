"""Sections of the report on samples that no network was trained on."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

import pandas as pd

from topmass.evaluation.sample_score import TOP_MASS, describe_sample, distribution_metrics
from topmass.evaluation.score_frame import ALL_METRICS
from topmass.report.embedded_figures import Figure
from topmass.report.score_tables import baseline_scores, column_of, intervals_by_bootstrap, score_table, scores_of
from topmass.report.tables import Column, Table, pivot


def sample_sections(scores: Sequence[Mapping], figures: Sequence[Figure]) -> list[dict]:
    """Return name, kind, tables, figures and definitions of the metrics for each sample, in their order.

    Args:
        scores: Scores of each run on each sample.
        figures: Figures of each run and sample; the name of the folder is that of the sample.
    """
    sections = []
    for name in dict.fromkeys(each["sample"] for each in scores):
        of_sample = [each for each in scores if each["sample"] == name]
        metrics = dict.fromkeys(metric for each in of_sample for metric in metrics_of(each))
        known = ALL_METRICS | distribution_metrics(of_sample[0]["mass"] or TOP_MASS)
        sections.append(
            {
                "name": name,
                "kind": of_sample[0]["kind"],
                "tables": [table for _, group in groupby(of_sample, baseline_scores) for table in tables(list(group))],
                "figures": [figure for figure in figures if Path(figure.path).parent.name == name],
                "definitions": [(column_of(metric).title, known[metric].title) for metric in metrics],
            }
        )
    return sections


def metrics_of(scores: Mapping) -> list[str]:
    """Return the names of the metrics of the network, which has all of them."""
    return list(scores["regions"][0]["scores"]["network"])


def tables(runs: Sequence[Mapping]) -> list[Table]:
    """Return the table of all jets, and the table of sculpting by pT for samples that have it.

    The scores of the baselines are the same for all runs.
    """
    levels = sorted({run["level"] for run in runs if run["level"]})
    nominal = f"; nominal coverage {', '.join(f'{level:.0%}' for level in levels)}" if levels else ""
    caption = f"{describe_sample(runs[0])}{nominal}; {intervals_by_bootstrap(runs)}"
    made = [score_table(caption, runs, metrics_of(runs[0]))]
    spans = [region["pt"] for region in runs[0]["regions"] if region["by"] == "pt"]
    if "sculpting" in metrics_of(runs[0]):
        titles = [*(f"{low:g} to {high:g} GeV" for low, high in spans[:-1]), f"above {spans[-1][0]:g} GeV"]
        columns = {(f"pt {span[0]}", "sculpting"): Column(title) for span, title in zip(spans, titles, strict=True)}
        made.append(pivot("Sculpting by jet pT", "estimator", by_pt(scores_of(runs)), columns))
    return made


def by_pt(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the scores in bins of pT, with the lower edge as part of `by`."""
    chosen = scores[scores["by"] == "pt"]
    return chosen.assign(by="pt " + chosen["pt_low"].astype(str))
