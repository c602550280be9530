"""From numbers to figures. Plain arrays in, matplotlib figures out; labelled as simulation, never as a CMS result."""

import os

# Read when matplotlib is imported. Figures are written to files, and need no window of a terminal or a notebook.
os.environ["MPLBACKEND"] = "agg"
