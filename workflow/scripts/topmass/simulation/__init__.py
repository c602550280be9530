"""From Pythia to a jet table: generator, detector, clustering, imaging."""

import hashlib
from pathlib import Path

import numba

from topmass.simulation.compiled import find_folder

# Numba looks for changes in a function's own file only, not in what it calls or takes constants from. So each content
# of all these files has a cache of its own.
_HERE = Path(__file__).parent
_SOURCES = (*sorted(_HERE.glob("*.py")), _HERE.parent / "layers.py")
_CONTENT = hashlib.sha256(b"".join(source.read_bytes() for source in _SOURCES)).hexdigest()[:16]
numba.config.CACHE_DIR = str(find_folder(numba.config.CACHE_DIR, _HERE) / _CONTENT)
