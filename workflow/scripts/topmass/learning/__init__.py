"""From shards to a model, and from a model to predictions. The only part of the library that imports torch."""

import os

# MKL reads it at its first call. Only in this mode does it promise the same bits from run to run, whatever the
# alignment of its arrays.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
