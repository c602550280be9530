"""From numbers to figures. Plain arrays in, matplotlib figures out; labelled as simulation, never as a CMS result."""

import contextlib
import importlib.util
import os
from pathlib import Path

# Figures are written to files: no window of a terminal or a notebook is asked for.
os.environ["MPLBACKEND"] = "agg"
# The file `matplotlibrc` of the folder where matplotlib is imported goes before all others. Here it is matplotlib's
# own, so that no user's changes a figure.
with contextlib.chdir(Path(importlib.util.find_spec("matplotlib").origin).parent / "mpl-data"):
    import matplotlib  # noqa: F401
