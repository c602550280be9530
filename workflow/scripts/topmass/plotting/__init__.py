"""Matplotlib figures from plain arrays, labelled as simulation and never as a CMS result."""

import contextlib
import importlib.util
import os
from pathlib import Path

# Figures are only written to files, so no interactive backend is needed.
os.environ["MPLBACKEND"] = "agg"
# matplotlib prefers a `matplotlibrc` in the working directory. Import it in its own data folder, so that no user's
# file changes a figure.
with contextlib.chdir(Path(importlib.util.find_spec("matplotlib").origin).parent / "mpl-data"):
    import matplotlib  # noqa: F401
