"""The network of a user in the documentation."""

import re
from pathlib import Path

from conftest import REPOSITORY


def write_example(folder: Path) -> dict:
    """Write the file of docs/networks.md into a folder, and return the settings of this network."""
    page = (REPOSITORY / "docs/networks.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1]
    (folder / "my_net.py").write_text(code, encoding="utf-8")
    file = str(folder / "my_net.py")
    settings = {"width": 8}
    return {"name": "module", "file": file, "class": "DeepSets", "settings": settings, "particles": 16, "towers": 8}
