"""Checks of the users' networks in the configuration, without executing their files."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from topmass.config.config_paths import display_path, path_error
from topmass.config.cross_checks import CALORIMETER_LAYERS
from topmass.config.schema_validation import Problem
from topmass.files import BadInput
from topmass.io.locations import expand_variables
from topmass.network_file import NETWORK_INPUTS, named_inputs


def check_networks(config: Mapping) -> Iterator[Problem]:
    """Yield users' networks that are unreadable, not Python, without the class, or require layers that are missing."""
    for name, experiment in config["experiments"].items():
        network, key = experiment["network"], ("experiments", name, "network")
        if "file" not in network:
            continue
        file = expand_variables(network["file"])
        if error := "this is a folder" if os.path.isdir(file) else path_error(file):
            yield (*key, "file"), f"{display_path(file)}: {error}"
            continue
        try:
            inputs = named_inputs(Path(file).read_bytes(), file, network["class"])
        except BadInput as error:
            yield (*key, "file"), str(error)
            continue
        layers = config["datasets"][experiment["dataset"]]["layers"]
        of_calorimeters = [each for each in inputs if NETWORK_INPUTS[each]]
        if of_calorimeters and not CALORIMETER_LAYERS & {*layers}:
            lacking = f"the dataset '{experiment['dataset']}' has {', '.join(layers)} only"
            needed = " or ".join(sorted(CALORIMETER_LAYERS))
            yield key, f"{network['class']} takes {' and '.join(of_calorimeters)}, which need {needed}; {lacking}"
