"""Cost of each stage in the last run of each of its jobs, from Snakemake's benchmark files."""

import sys
from pathlib import Path

# Python does not search this folder by itself with -I, -P or PYTHONSAFEPATH.
sys.path.append(str(Path(__file__).resolve().parent))
from topmass.files import BadInput
from topmass.report.cost_table import stage_costs

if __name__ == "__main__":
    folder = Path("results/benchmark")
    if not folder.exists():
        sys.exit(f"{folder}: no such folder; run the workflow first")
    try:
        costs = stage_costs(folder)
    except BadInput as error:
        sys.exit(str(error))
    print(f"{'stage':20}{'jobs':>7}{'seconds':>11}{'CPU seconds':>13}{'peak MB':>10}")
    for cost in costs.itertuples():
        print(f"{cost.Index:20}{cost.jobs:7}{cost.seconds:11.1f}{cost.cpu_seconds:13.1f}{cost.peak:10.1f}")
