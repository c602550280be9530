"""The command `topmass`: help and errors; tests/test_documented_commands.py runs it as installed."""

import pytest

from topmass.commands.main import COMMANDS, main


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)], ids=str)
def test_help_describes_each_argument(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([*command, "--help"])
    said = capsys.readouterr().out
    assert end.value.code == 0 and (all(name in said for name in COMMANDS) if not command else "MODEL" in said.upper())


def test_a_file_that_does_not_exist_is_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        main(["predict", str(tmp_path / "none.safetensors"), "jets.parquet", str(tmp_path / "out.parquet")])
    said = capsys.readouterr().err
    assert end.value.code == 1 and said.count("\n") == 1 and "none.safetensors" in said
