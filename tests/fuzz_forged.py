"""Forge files as `test_forged.py` does, led by what code each forgery reaches, for as long as wanted.

    pip install atheris==3.0.0
    python tests/fuzz_forged.py "jet table" -max_total_time=600 -len_control=0

Atheris has wheels for Linux and is not part of `.venv`. A failure is shown, and what led to it kept in `crash-…`.
"""

import sys
from pathlib import Path

import atheris
from hypothesis import given, settings
from hypothesis import strategies as st

REPOSITORY = Path(__file__).parents[1]
sys.path += [str(REPOSITORY / folder) for folder in ("tests", "workflow/scripts")]
with atheris.instrument_imports(include=["topmass", "convert", "make_shards"]):
    from test_forged import KINDS, check

if len(sys.argv) < 2 or sys.argv[1] not in KINDS:
    sys.exit(f"say first what to forge: {', '.join(KINDS)}")
KIND = sys.argv.pop(1)


@settings(deadline=None)
@given(data=st.data())
def forge(data: st.DataObject) -> None:
    """One forgery, read."""
    check(KIND, data)


atheris.Setup(sys.argv, forge.hypothesis.fuzz_one_input)
atheris.Fuzz()
