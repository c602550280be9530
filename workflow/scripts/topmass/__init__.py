"""Library shared by all stages."""

import os

# MKL reads this variable at its first call. Only this mode guarantees the same bits in every run, whatever the
# alignment of its arrays.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
