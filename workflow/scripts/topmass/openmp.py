"""Spin time of OpenMP threads at barriers.

GNU OpenMP spins for milliseconds by default. Next to another busy process, a spinning thread occupies the core that
the last thread needs to reach the barrier. A training step has thousands of small barriers. A short spin costs little
on an idle machine. Libraries read the variable when they are loaded: set it before torch or LightGBM is imported.
"""

import os

SETTINGS = {"GOMP_SPINCOUNT": "1000"}
"""Chosen by `make benchmark-busy`."""
USER_VARIABLES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def limit_spinning() -> None:
    """Set the spin time for this process and its children, unless the user has set one of `USER_VARIABLES`."""
    if not any(name in os.environ for name in USER_VARIABLES):
        os.environ.update(SETTINGS)
