"""Measurements of docs/benchmarks.md. Run them in the root of the repository: `python -m benchmarks.training`."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "workflow/scripts"))
