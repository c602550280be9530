"""Reading of JSON files with results."""

import json
from collections.abc import Callable
from pathlib import Path

from topmass.files import BadInput


def read_results(path: Path, what: str, version: int, probe: Callable[[dict], object]) -> dict:
    """Load a JSON file with results of the workflow.

    Args:
        path: JSON file.
        what: Kind of results, plural, for messages.
        version: Version that the code reads.
        probe: Function that accesses a required value.

    Raises:
        BadInput: The file has another content or version.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["version"] != version:
            raise BadInput(f"{path}: {what} of version {content['version']}, this code reads {version}")
        probe(content)
    except (ValueError, LookupError, TypeError, StopIteration) as error:
        raise BadInput(f"{path}: not {what} ({type(error).__name__}: {error})") from None
    return content
