"""Simulation of jets: generator, detector, clustering, imaging."""

import hashlib
from pathlib import Path

import numba

from topmass.simulation.numba_cache import find_folder

# Numba checks only the function's own file for changes, not the functions and constants that it uses from other files.
# So each version of these files gets its own cache.
_HERE = Path(__file__).parent
_SOURCES = (*sorted(_HERE.glob("*.py")), _HERE.parent / "layers.py")
_CONTENT = hashlib.sha256(b"".join(source.read_bytes() for source in _SOURCES)).hexdigest()[:16]
numba.config.CACHE_DIR = str(find_folder(numba.config.CACHE_DIR, _HERE) / _CONTENT)
