"""A configuration that is wrong is refused with the key and what is wrong with it."""

import copy
import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from configuration import fill_in, find_problem, source_of
from conftest import REPOSITORY

# The detour by JSON parts what YAML anchors share.
CONFIG = json.loads(json.dumps(yaml.safe_load((REPOSITORY / "config.yaml").read_text())))
SCHEMA = REPOSITORY / "workflow/schemas/config.schema.yaml"

WRONG = {
    "a misspelt key": ("experiments.laptop.recipe.epoch", 3, "no such key; did you mean 'epochs'?"),
    "a key of nowhere": ("colour", "red", "no such key; there are run, samples"),
    "a text for a number": ("samples.gun.jets", "many", "'many' is not of type 'integer'"),
    "a number that YAML takes for a text": ("datasets.flat.zero_suppression", "1e-5", "write 1.0e-5"),
    "a range the wrong way round": ("samples.gun.simulate.generator.mass", [500, 85], "500 comes before 85"),
    "a range of pT the wrong way round": ("datasets.flat.unbias.pt.range", [900, 400], "900 comes before 400"),
    "a top that cannot decay": ("samples.gun.simulate.generator.mass.0", 80, "80 is less than the minimum of 85"),
    "a layer that does not exist": ("datasets.flat.layers", ["ecal", "muon"], "'muon' is not one of"),
    "a layer twice": ("datasets.flat.layers", ["ecal", "ecal"], "has non-unique elements"),
    "splits that do not add up": ("datasets.flat.split.test", 0.2, "fractions add up to 1.15, not to 1"),
    "more jets than a block can number": (
        "samples.gun.jets_per_block",
        2_000_000,
        "greater than the maximum of 50000",
    ),
    "a sample that does not exist": ("datasets.flat.sample", "gnu", "there is no 'gnu'; known are gun"),
    "a dataset that does not exist": ("experiments.laptop.dataset", "round", "there is no 'round'"),
    "an experiment that does not exist": ("run.experiments", ["desktop"], "there is no 'desktop'"),
    "a scale for no layer": ("datasets.flat.scales", {"bpix1": 2}, "a scale for a layer that is not in 'layers'"),
    "a network that does not exist": ("experiments.laptop.network", "resnet", "'resnet' is not one of"),
    "a loss that does not exist": ("experiments.laptop.recipe.loss", "mse", "'mse' is not one of"),
    "a warm-up that never ends": (
        "experiments.laptop.recipe",
        {"epochs": 3, "batch": 8, "learning_rate": 0.1, "schedule": "cosine", "warmup_epochs": 3},
        "the warm-up must end before the last epoch",
    ),
    "several processes on one GPU": (
        "compute",
        CONFIG["compute"] | {"device": "cuda:1", "processes": 2},
        "several processes take the first GPUs: write cuda",
    ),
    "a memory of nothing": ("compute.memory", 0, "0 is less than or equal to the minimum of 0"),
    "bins in disorder": ("evaluate.mass_bins", [85, 300, 200], "300 comes before 200"),
    "a URL that is none": ("samples.top_gun.files.0.url", "top_gun.parquet", "does not fit: https, root or"),
    "a checksum of an unknown kind": (
        "samples.top_gun.files.0.checksum",
        "crc32:00000000",
        "does not fit: sha256, md5 or adler32",
    ),
    "a checksum of the wrong length": ("samples.top_gun.files.0.checksum", "md5:12", "does not fit"),
    "a name that climbs out of its folder": (
        "samples.top_gun.files.0.name",
        "../jets",
        "does not fit: letters, digits",
    ),
    "a URL whose name climbs out": (
        "samples.top_gun.files.0.url",
        "https://cern.ch/jets/%2e%2e",
        "cannot be saved as '..'",
    ),
    "a URL without a name": ("samples.top_gun.files.0.url", "https://cern.ch/", "cannot be saved as ''"),
    "neither url nor path": ("samples.top_gun.files.0", {"size": 1}, "give a file either a url"),
    "both url and path": ("samples.top_gun.files.0.path", "jets.parquet", "give a file either a url"),
    "a checksum of a file on this disk": (
        "samples.top_gun.files.0",
        {"path": "jets.parquet", "checksum": "md5:" + 32 * "0"},
        "goes with a url, not with a path",
    ),
    "a file twice": ("samples.top_gun.files.1", CONFIG["samples"]["top_gun"]["files"][0], "is that of an earlier file"),
    "two files of one name": (
        "samples.top_gun.files.1.url",
        "https://cern.ch/top_gun_opendata_0.parquet",
        "would be saved as 'top_gun_opendata_0.parquet' like an earlier one",
    ),
    "simulation settings for files": ("samples.top_gun.jets", 5, "no such key; there are files"),
    "a name that climbs out": ("samples.../../etc", CONFIG["samples"]["gun"], "does not fit"),
}


def change(config: dict, key: str, value: object) -> dict:
    changed = copy.deepcopy(config)
    at = changed
    *steps, last = key.split(".", 1) if key.startswith("samples...") else key.split(".")
    for step in steps:
        at = at[int(step) if isinstance(at, list) else step]
    at[int(last) if isinstance(at, list) else last] = value
    return changed


def test_the_configuration_that_comes_with_it_is_right():
    assert find_problem(CONFIG, SCHEMA) is None


@pytest.mark.parametrize(("key", "value", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(key, value, message):
    found, said = find_problem(change(CONFIG, key, value), SCHEMA)
    assert message in said and "\n" not in said
    assert key.startswith(".".join(found)) or ".".join(found).startswith(key)


def test_a_layer_that_the_sample_lacks_is_named():
    config = change(CONFIG, "samples.top_gun.layers", ["ecal", "hcal"])
    key, said = find_problem(config, SCHEMA)
    assert key == ("datasets", "top_gun", "layers", "0") and said == "the sample 'top_gun' has ecal, hcal only"


def test_a_sample_of_files_needs_no_more_than_its_files():
    config = change(CONFIG, "samples.mine", {"files": [{"path": "jets.parquet"}]})
    assert find_problem(config, SCHEMA) is None
    fill_in(config, SCHEMA)
    given = {name: value for name, value in config["samples"]["mine"].items() if name != "files"}
    assert given == {"blocks_per_file": 4, "layers": [], "columns": {}, "unusable": "refuse"}
    assert find_problem(config, SCHEMA) is None


def test_a_missing_key_is_named():
    config = copy.deepcopy(CONFIG)
    del config["experiments"]["laptop"]["recipe"]["epochs"]
    found, said = find_problem(config, SCHEMA)
    assert found == ("experiments", "laptop", "recipe") and "'epochs' is a required property" in said


def test_the_source_of_a_value_is_the_file_that_wins_or_the_command_line(tmp_path):
    files = {"overlay": {"a": {"b": 1}}, "second": {"a": {"b": 2}, "l": [5, 6]}, "default": {"a": {"b": 0, "c": 3}}}
    for name, content in files.items():
        (tmp_path / name).write_text(yaml.safe_dump(content))
    config = {"a": {"b": 2, "c": 3}, "l": [5, 6], "x": 7}
    paths = [tmp_path / name for name in files]
    expected = {("a", "b"): "second", ("a", "c"): "default", ("l", "1"): "second", ("a",): "second"}
    for key, name in expected.items():
        assert source_of(key, config, paths) == str(tmp_path / name)
    assert source_of(("x",), config, paths) == "--config"


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["../../etc", "$(id)"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(at: object, path: tuple = ()) -> list[tuple]:
    """The path of every part of a configuration."""
    steps = at.items() if isinstance(at, dict) else enumerate(at) if isinstance(at, list) else ()
    return [path] * bool(path) + [place for key, inner in steps for place in places(inner, (*path, key))]


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(places(CONFIG)), JUNK)
def test_whatever_stands_in_its_place_is_accepted_or_refused_in_a_line(place, junk):
    config = copy.deepcopy(CONFIG)
    at = config
    for step in place[:-1]:
        at = at[step]
    at[place[-1]] = junk
    problem = find_problem(config, SCHEMA)
    if problem is not None:
        key, said = problem
        assert all(isinstance(step, str) for step in key) and said
