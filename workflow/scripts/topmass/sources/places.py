"""Files of this machine by the places that name them: of a folder its parts."""

import os
from pathlib import Path

PARTS = "*.parquet"
"""What belongs to a table that is a folder."""


def expanded(path: str) -> list[str]:
    """The files that a path means: of a folder all parts, in the order of their names; else the one, there or not.

    `~` and variables of the environment are filled in.
    """
    place = os.path.expandvars(os.path.expanduser(path))
    return [str(part) for part in sorted(Path(place).glob(PARTS)) if part.is_file()] or [place]
