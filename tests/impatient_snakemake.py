"""Snakemake, asking SLURM every second whether a job has ended.

The plugin waits ten seconds longer each time it finds that none has, which would be half of the time of a test.
Nothing else of it is changed.
"""

import sys

from snakemake.cli import main
from snakemake_executor_plugin_slurm import Executor

Executor.next_seconds_between_status_checks = property(lambda executor: 1, lambda executor, seconds: None)

if __name__ == "__main__":
    sys.exit(main())
