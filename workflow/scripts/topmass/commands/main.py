"""The console command `topmass`."""

import argparse
from collections.abc import Sequence

from topmass.openmp import limit_spinning

limit_spinning()  # before torch is imported
from topmass.commands import export_onnx, predict_jets, write_card  # noqa: E402
from topmass.config.configuration import REPO_ROOT  # noqa: E402
from topmass.config.run_metadata import citations  # noqa: E402
from topmass.console import stage  # noqa: E402

COMMANDS = {"predict": predict_jets, "export": export_onnx, "card": write_card}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command.

    Args:
        arguments: Arguments of `topmass`; None for those of this process.
    """
    parser = argparse.ArgumentParser(prog="topmass", description="Use trained networks without the workflow.")
    parser.set_defaults(repository=REPO_ROOT, citations=citations(REPO_ROOT / "CITATION.cff"))
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, module in COMMANDS.items():
        summary = module.DESCRIPTION.partition(". ")[0].strip(".\n")
        command = commands.add_parser(name, help=summary, description=module.DESCRIPTION)
        module.add_arguments(command)
        command.set_defaults(run=module.run, name=name)
    parsed = parser.parse_args(arguments)
    with stage(parsed.name):
        parsed.run(parsed)
