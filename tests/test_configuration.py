"""A configuration is read as it is meant, or refused with source and key and what is wrong with it."""

import copy
import os
import re
import subprocess
import sys

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from conftest import REPOSITORY
from topmass.config.config_sources import ConfigSource, deep_merge, parse, read_arguments, read_file
from topmass.config.configuration import configure
from topmass.config.cross_checks import cross_checks, number_of_blocks
from topmass.files import BadInput

CONFIG = deep_merge({}, read_file(REPOSITORY / "config.yaml").content)

WRONG = {
    "a misspelt key": ("experiments.laptop.recipe.epoch", 3, "no such key; did you mean 'epochs'?"),
    "a key of nowhere": ("colour", "red", "no such key; there are run, samples"),
    "a text for a number": ("samples.gun.jets", "many", "'many' is not of type 'integer'"),
    "a number that is none": ("datasets.flat.zero_suppression", float("nan"), "nan is not of type 'number'"),
    "a number without an end": ("samples.gun.simulate.generator.eta_max", float("inf"), "inf is not of type 'number'"),
    "a number that no float holds": ("evaluate.min_mass", 10**400, "is not of type 'number'"),
    "a part of a jet": ("samples.gun.jets", 300.5, "300.5 is not of type 'integer'"),
    "more jets than can be planned": ("samples.gun.jets", 1e18, "more than the 100,000 that can be planned"),
    "a seed of more than 64 bits": ("run.seeds", [2**64], "is greater than the maximum"),
    "a seed below nought": ("run.seeds", [-1], "is less than the minimum"),
    "a seed twice, written in two ways": ("run.seeds", [1, 1.0], "has non-unique elements"),
    "a truth for a number": ("samples.gun.jets", True, "True is not of type 'integer'"),
    "a part left empty": ("samples", None, "None is not of type 'object'"),
    "a URL that is no URL": ("samples.top_gun.files.0.url", "https://[::1/jets", "no URL: Invalid IPv6 URL"),
    "a range the wrong way round": ("samples.gun.simulate.generator.mass", [500, 85], "500 comes before 85"),
    "a range of pT the wrong way round": ("datasets.flat.flatten.pt.range", [900, 400], "900 comes before 400"),
    "one mass for the gun": ("samples.gun.simulate.generator.mass", 172.5, "expected a range for the process 'gun'"),
    "a top mass in QCD": (
        "samples.gun.simulate.generator",
        CONFIG["samples"]["gun"]["simulate"]["generator"] | {"process": "qcd"},
        "expected null for the process 'qcd'",
    ),
    "a pT that no collision has": (
        "samples.gun.simulate.generator",
        CONFIG["samples"]["gun"]["simulate"]["generator"] | {"process": "ttbar", "pt": [7000, 8000]},
        "no event has a p̂T of 7000 GeV at a collision energy of 13000 GeV",
    ),
    "a spread without pile-up": ("samples.gun.simulate.randomize.pileup_mean", 10, "the sample has no pile-up"),
    "less than no pile-up": ("samples.gun.simulate.pileup.mean", -1, "-1 is less than the minimum of 0"),
    "an efficiency above 1": (
        "samples.gun.simulate.detector.track_efficiency",
        1.2,
        "1.2 is greater than the maximum of 1",
    ),
    "a top that cannot decay": ("samples.gun.simulate.generator.mass.0", 80, "80 is less than the minimum of 85"),
    "a layer that does not exist": ("datasets.flat.layers", ["ecal", "muon"], "'muon' is not one of"),
    "a layer twice": ("datasets.flat.layers", ["ecal", "ecal"], "has non-unique elements"),
    "splits that do not add up": ("datasets.flat.split.test", 0.2, "fractions add up to 1.17, not to 1"),
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
    "more blocks than the sample has": ("experiments.fast.max_blocks", 99, "the sample 'gun' has 15 only"),
    "a setting of another network": (
        "experiments.laptop.network",
        {"name": "kinematics", "downsample": 2},
        "no such key; there are name, width, depth",
    ),
    "a setting that only another network has": (
        "experiments.laptop.network",
        {"name": "transformer", "downsample": 2},
        "no such key; there are name, towers, width, heads, num_layers",
    ),
    "quantiles out of order": (
        "experiments.laptop.recipe.quantiles",
        [0.84, 0.5, 0.16],
        "0.84 comes before 0.5: give the smaller value first",
    ),
    "quantiles without a middle": (
        "experiments.laptop.recipe.quantiles",
        [0.16, 0.84],
        "give three, 0.5 in the middle",
    ),
    "pile-up without a vertex": (
        "experiments.laptop.network",
        {"name": "prongs", "vertex_dz": 0.1},
        "needs the layer track_dz; the dataset 'flat' has track_pt, ecal, hcal only",
    ),
    "a likelihood without widths": (
        "experiments.laptop.recipe.loss",
        "split_normal",
        "split_normal needs 'quantiles: [0.16, 0.5, 0.84]' and 'schedule: cosine'",
    ),
    "a loss beside that of quantiles": (
        "experiments.laptop.recipe",
        {"epochs": 3, "batch_size": 8, "learning_rate": 0.1, "loss": "huber", "quantiles": [0.1, 0.5, 0.9]},
        "is huber; expected mae or split_normal with quantiles",
    ),
    "a key that YAML 1.1 takes for a truth": ("compute", {"on": 1}, "no such key; there are device"),
    "a loss that does not exist": ("experiments.laptop.recipe.loss", "mse", "'mse' is not one of"),
    "a warm-up that never ends": (
        "experiments.laptop.recipe",
        {"epochs": 3, "batch_size": 8, "learning_rate": 0.1, "schedule": "cosine", "warmup_epochs": 3},
        "the warm-up must end before the last epoch",
    ),
    "several processes on one GPU": (
        "compute",
        CONFIG["compute"] | {"device": "cuda:1", "processes": 2},
        "several processes take the first GPUs: write cuda",
    ),
    "a memory of nothing": ("compute.memory", 0, "0 is less than or equal to the minimum of 0"),
    "bins in disorder": ("evaluate.mass_bins", [85, 300, 200], "300 comes before 200"),
    "a URL that is none": ("samples.top_gun.files.0.url", "top_gun.parquet", "a file of this machine is given as path"),
    "one value for a list": ("run.seeds", 1, "1 is not of type 'array'; write [1]"),
    "one name for a list": ("run.experiments", "laptop", "write [laptop]"),
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
    "simulation settings for files": ("samples.top_gun.jets", 5, "no such key; there are extends, files"),
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


def meant(text: str) -> dict:
    """The whole configuration, with this overlay."""
    return configure([ConfigSource("mine.yaml", parse(text))])


def refused(*layers: ConfigSource) -> str:
    """The line that refuses these layers."""
    with pytest.raises(BadInput) as error:
        configure(layers)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_configuration_that_comes_with_it_is_right():
    assert configure([])["run"] == {"experiments": ["fast", "resnet15"], "seeds": [1]}


@pytest.mark.parametrize(("key", "value", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(key, value, message):
    said = refused(ConfigSource("mine.yaml", change(CONFIG, key, value)))
    source, named, why = said.split(": ", 2)
    assert source == "mine.yaml" and message in why
    assert key.startswith(named) or named.startswith(key)


def test_a_layer_that_the_sample_lacks_is_named():
    said = refused(ConfigSource("mine.yaml", change(CONFIG, "samples.top_gun.layers", ["ecal", "hcal"])))
    assert said.endswith(": datasets.top_gun.layers.0: the sample 'top_gun' has ecal, hcal only")


def test_a_sample_of_files_needs_no_more_than_its_files(tmp_path):
    (tmp_path / "jets.parquet").touch()
    sample = meant(f"samples: {{mine: {{files: [path: {tmp_path}/jets.parquet]}}}}")["samples"]["mine"]
    assert sample.pop("files") == [{"path": f"{tmp_path}/jets.parquet"}]
    defaults = {"blocks_per_file": 4, "layers": [], "columns": {}, "on_invalid": "raise", "position": "ieta_iphi"}
    assert {name: sample[name] for name in defaults} == defaults


def test_a_missing_key_is_named():
    said = refused(ConfigSource("mine.yaml", parse("experiments: {new: {dataset: flat, network: resnet15}}")))
    assert said.startswith("mine.yaml: experiments.new: 'recipe' is a required property")


# values as they are meant

AS_MEANT = {
    "a whole number with a point": ("samples.gun.jets", "3.0e+2", 300),
    "a number of YAML 1.2": ("samples.gun.jets", "2.0e6", 2_000_000),
    "a number without a point": ("datasets.flat.zero_suppression", "1e-5", 1e-5),
    "a number with underscores": ("samples.gun.jets", "1_000", 1000),
    "a number with a zero in front": ("samples.gun.seed", "012", 12),
    "a number in quotes": ("samples.gun.jets", "'400'", 400),
    "a whole number of a list": ("run.seeds", "[1.0, '2', 3e0]", [1, 2, 3]),
    "a whole number behind a reference": ("datasets.flat.flatten.mass.bins", "2.0", 2),
    "a number in an experiment": ("experiments.laptop.network.downsample", "8.0", 8),
    "the largest seed": ("run.seeds", "[18446744073709551615]", [2**64 - 1]),
    "a number where any will do": ("compute.checkpoint_minutes", "5.0", 5.0),
    "a truth in quotes": ("compute.compile", "'true'", True),
    "a truth of YAML 1.1": ("compute.compile", "yes", True),
    "a number or nothing": ("compute.memory", "'null'", None),
    "text that looks like a date": ("run.experiments", "[laptop] # 2024-01-01", ["laptop"]),
}


def at(config: object, key: str) -> object:
    for step in key.split("."):
        config = config[step]
    return config


@pytest.mark.parametrize(("key", "text", "value"), AS_MEANT.values(), ids=AS_MEANT)
def test_a_value_is_taken_as_it_is_meant(key, text, value):
    *steps, last = key.split(".")
    overlay = "".join("  " * depth + f"{step}:\n" for depth, step in enumerate(steps))
    found = at(meant(f"{overlay}{'  ' * len(steps)}{last}: {text}\n"), key)
    assert found == value and type(found) is type(value)


def test_the_command_line_is_taken_as_it_is_meant():
    arguments = ["compute={compile: true, memory: null}", "samples={gun: {jets: 2e5}}", "run={seeds: [3]}"]
    config = configure([read_arguments(arguments)])
    assert config["compute"]["compile"] is True and config["compute"]["memory"] is None
    assert config["samples"]["gun"]["jets"] == 200_000 and config["run"]["seeds"] == [3]


def test_another_workflow_may_give_texts_and_names_of_digits():
    """As its own reader of YAML has left them."""
    experiments = {2024: CONFIG["experiments"]["laptop"] | {"network": {"name": "resnet15", "downsample": "4"}}}
    config = configure([ConfigSource("a module", {"experiments": experiments, "run": {"experiments": [2024]}})])
    assert config["experiments"]["2024"]["network"]["downsample"] == 4 and config["run"]["experiments"] == ["2024"]


def test_entries_that_share_an_anchor_do_not_change_together():
    first = parse("experiments: {a: &a {extends: laptop, recipe: {epochs: 9}}, b: *a}")
    layers = [ConfigSource("a", first), ConfigSource("b", parse("experiments: {a: {recipe: {epochs: 1}}}"))]
    experiments = configure(layers)["experiments"]
    assert [experiments[name]["recipe"]["epochs"] for name in "ab"] == [1, 9]


def test_an_entry_follows_the_one_that_it_extends():
    config = meant("samples: {gun: {simulate: {generator: {eta_max: 1.0}}}}")
    assert config["samples"]["gun_2m"]["simulate"]["generator"]["eta_max"] == 1.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("experiments: {a: {like: fast}}", "experiments.a.like: renamed to extends"),
        ("experiments: {laptop: {recipe: {batch: 3}}}", "experiments.laptop.recipe.batch: renamed to batch_size"),
        ("experiments: {laptop: {blocks: 3}}", "experiments.laptop.blocks: renamed to max_blocks"),
        ("experiments: {laptop: {network: {pool: 3}}}", "experiments.laptop.network.pool: renamed to downsample"),
        ("experiments: {fast: {network: {rounds: 3}}}", "experiments.fast.network.rounds: renamed to num_layers"),
        ("datasets: {flat: {unbias: {by: []}}}", "datasets.flat.unbias: renamed to flatten"),
        ("figures: {floor: 31}", "figures.floor: renamed to oracle_mae"),
    ],
)
def test_a_key_that_was_renamed_is_refused_with_its_new_name(text, message):
    assert refused(ConfigSource("mine.yaml", parse(text))) == f"mine.yaml: {message}"


# what is like another


def test_what_is_like_another_says_only_what_differs():
    experiments = {
        "deep": {"extends": "laptop", "recipe": {"epochs": 9}},
        "deeper": {"extends": "deep", "network": {"downsample": 4}, "recipe": {"batch_size": 32}},
        "laptop": {"recipe": {"loss": "huber"}},
    }
    found = configure([ConfigSource("mine.yaml", {"experiments": experiments})])["experiments"]
    laptop = found["laptop"]
    assert found["deeper"] == laptop | {
        "extends": "deep", "network": laptop["network"] | {"downsample": 4},
        "recipe": laptop["recipe"] | {"epochs": 9, "batch_size": 32},
    } and laptop["recipe"]["loss"] == "huber"  # fmt: skip


def test_a_bare_name_of_a_network_is_its_defaults_and_another_name_begins_anew():
    experiments = {
        "bare": {"extends": "laptop", "network": "resnet15"},
        "other": {"extends": "laptop", "network": {"name": "kinematics", "width": 7}},
        "again": {"extends": "other", "network": {"depth": 2}},
    }
    found = configure([ConfigSource("mine.yaml", {"experiments": experiments})])["experiments"]
    of_reference = {"name": "resnet15", "downsample": 1}
    assert found["bare"]["network"] == of_reference
    assert found["other"]["network"] == {"name": "kinematics", "width": 7, "depth": 4}
    assert found["again"]["network"] == {"name": "kinematics", "width": 7, "depth": 2}


@pytest.mark.parametrize("network", ["kinematics", "transformer", "prongs"])
def test_a_network_is_refused_layers_that_are_not_enough_for_it(network):
    text = "{datasets: {blind: {extends: flat, layers: [track_pt]}}, "
    text += f"experiments: {{new: {{extends: laptop, dataset: blind, network: {network}}}}}}}"
    said = refused(ConfigSource("mine.yaml", parse(text)))
    assert said == (
        f"mine.yaml: experiments.new.network: {network} takes ecal or hcal, and the dataset 'blind' has track_pt only"
    )


# lists of settings


def test_each_combination_of_a_sweep_is_an_experiment():
    text = "run: {experiments: [fast, scan]}\nexperiments:\n  scan:\n    extends: fast\n"
    config = meant(text + "    sweep: {recipe.learning_rate: [0.001, 2e-3], network.width: [32, 40]}\n")
    names = [f"scan-learning_rate_{rate}-width_{width}" for rate in ("0_001", "2e-3") for width in (32, 40)]
    assert config["run"]["experiments"] == ["fast", *names] and "scan" not in config["experiments"]
    made = [config["experiments"][name] for name in names]
    found = [(each["recipe"]["learning_rate"], each["network"]["width"]) for each in made]
    assert found == [(0.001, 32), (0.001, 40), (0.002, 32), (0.002, 40)]
    fast = config["experiments"]["fast"]
    for each, (rate, width) in zip(made, found, strict=True):
        expected = fast | {
            "network": fast["network"] | {"width": width}, "recipe": fast["recipe"] | {"learning_rate": rate},
        }  # fmt: skip
        assert each == {key: value for key, value in expected.items() if key != "extends"}


def test_a_sweep_may_list_networks_and_numbers_of_blocks():
    sweep = "{network: [kinematics, {name: resnet15, downsample: 5}], max_blocks: [1, null]}"
    experiments = meant(f"experiments: {{scan: {{extends: fast, sweep: {sweep}}}}}")["experiments"]
    assert experiments["scan-network_kinematics-max_blocks_null"]["max_blocks"] is None
    assert experiments["scan-network_resnet15-5-max_blocks_1"]["network"] == {"name": "resnet15", "downsample": 5}


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ("3", "scan.sweep: '3' is not of type 'object'"),
        ("{recipe.learning_rate: 3}", "scan.sweep.recipe.learning_rate: '3' is not of type 'array'; write [3]"),
        ("{recipe.learning_rate: []}", "scan.sweep.recipe.learning_rate: [] should be non-empty"),
        ("{recipe.rate: [3]}", "scan-rate_3.recipe.rate: no such key"),
        ("{recipe.epochs: [many]}", "scan-epochs_many.recipe.epochs: 'many' is not of type 'integer'"),
        ("{recipe.epochs: [1, 1]}", "scan.sweep: two combinations would have the name 'scan-epochs_1'; to fix"),
        ("{recipe.epochs: [2]}", "scan.sweep: there would be two experiments 'scan-epochs_2'; to fix"),
    ],
)
def test_a_sweep_that_cannot_be_expanded_is_refused(sweep, message):
    text = f"experiments: {{scan-epochs_2: {{extends: fast}}, scan: {{extends: fast, sweep: {sweep}}}}}"
    assert refused(ConfigSource("mine.yaml", parse(text))).startswith(f"mine.yaml: experiments.{message}")


def test_datasets_and_samples_may_be_like_others_too():
    text = "samples: {more: {extends: gun, seed: 7}}\ndatasets: {other: {extends: flat, sample: more, layers: [ecal]}}"
    config = meant(text)
    assert config["samples"]["more"]["simulate"] == config["samples"]["gun"]["simulate"]
    assert config["datasets"]["other"]["flatten"] == config["datasets"]["flat"]["flatten"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("experiments: {a: {extends: none}}", "experiments.a.extends: there is no 'none'; known are kinematics"),
        ("experiments: {a: {extends: a}}", "experiments.a.extends: goes round in a circle: a extends a"),
        (
            "datasets: {a: {extends: b}, b: {extends: c}, c: {extends: a}}",
            "datasets.c.extends: goes round in a circle: a extends b extends c extends a",
        ),
        ("samples: {a: {extends: [gun]}}", "samples.a.extends: there is no '['gun']'"),
    ],
)
def test_what_is_like_nothing_or_itself_is_refused(text, message):
    assert refused(ConfigSource("mine.yaml", parse(text))).startswith(f"mine.yaml: {message}")


# files that are no configuration

NO_CONFIGURATION = {
    "a key twice": ("run:\n  seeds: [1]\n  seeds: [2]\n", "the key 'seeds' is there twice, in lines 2 and 3"),
    "a section twice": ("run: {seeds: [1]}\n\nrun: {}\n", "the key 'run' is there twice, in lines 1 and 3"),
    "a key twice in a list": ("a: [{b: 1, b: 1}]", "the key 'b' is there twice"),
    "a key twice in JSON": ('{\n\t"run": 1,\n\t"run": 2\n}', "the key 'run' is there twice, in lines 2 and 3"),
    "a bracket that stays open": ("run: {seeds: [1]\n", "line 2: no YAML: expected ',' or '}'"),
    "a tab": ("run:\n\tseeds: [1]\n", "line 2: no YAML: found character '\\t'"),
    "a list": ("- run\n", "no keys at its top level"),
    "nothing": ("", "no keys at its top level"),
    "two documents": ("run: {}\n---\nrun: {}\n", "line 2: no YAML: but found another document"),
    "a list for a key": ("? [a, b]\n: 1\n", "line 1: a key that is no text"),
    "a call": ("run: !!python/object/apply:os.system [ls]", "line 1: no YAML: could not determine a constructor"),
}


@pytest.mark.parametrize(("text", "message"), NO_CONFIGURATION.values(), ids=NO_CONFIGURATION)
def test_a_file_that_is_no_configuration_is_refused_with_its_line(text, message, tmp_path):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(BadInput) as error:
        read_file(tmp_path / "mine.yaml")
    assert str(error.value).startswith(f"{tmp_path}/mine.yaml: {message}") and "\n" not in str(error.value)


def test_a_file_of_another_encoding_is_refused(tmp_path):
    (tmp_path / "mine.yaml").write_bytes("run: {} # größer".encode("latin-1"))
    with pytest.raises(BadInput, match=r"mine\.yaml: not text in UTF-8"):
        read_file(tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    ("name", "why"),
    [("none.yaml", "no such file or directory"), ("latin.yaml", "not text in UTF-8"), ("tab.yaml", "line 2: no YAML")],
)
def test_a_file_that_snakemake_cannot_read_is_named_at_the_start(name, why, tmp_path):
    (tmp_path / "latin.yaml").write_bytes("run: {} # größer".encode("latin-1"))
    (tmp_path / "tab.yaml").write_text("run:\n\tseeds: [1]\n")
    command = [sys.executable, REPOSITORY / "workflow/start.py", "--dry-run", "--configfile", tmp_path / name]
    completed = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8")
    assert completed.returncode == 1 and completed.stderr.startswith(f"{tmp_path / name}: {why}")
    assert completed.stderr.count("\n") == 1


def test_a_part_that_holds_itself_is_refused():
    with pytest.raises(BadInput, match="holds itself"):
        meant("run: &a [*a]")


def test_a_key_twice_on_the_command_line_is_refused():
    with pytest.raises(BadInput, match="--config compute: the key 'compile' is there twice"):
        read_arguments(["compute={compile: true, compile: false}"])


def test_the_source_of_a_value_is_the_layer_that_wins():
    layers = [
        ConfigSource("first", {"run": {"seeds": [-1]}, "compute": {"processes": 0}}),
        ConfigSource("second", {"run": {}}),
    ]
    assert refused(*layers).startswith("first: ")
    assert refused(*layers, ConfigSource("third", {"run": {"seeds": [-2]}, "compute": {"processes": 1}})).startswith(
        "third: "
    )
    assert refused(ConfigSource("first", {"run": {"experiments": ["new"]}})).startswith("first: run.experiments.0: ")
    # What is wrong with what somebody else wrote.
    assert refused(ConfigSource("first", {"datasets": {"flat": {"sample": "none"}}})).startswith(
        "first: datasets.flat.sample: "
    )


# files of this machine


def paths(*given: str) -> list[str]:
    """Where the files of a sample are, given as these paths."""
    config = configure(
        [ConfigSource("mine.yaml", {"samples": {"mine": {"files": [{"path": path} for path in given]}}})]
    )
    return [file["path"] for file in config["samples"]["mine"]["files"]]


@pytest.fixture
def parts(tmp_path, monkeypatch):
    """A home with a table, and a folder with two parts of one and what writers leave beside them."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for name in ("own.parquet", "data/part-1.parquet", "data/part-0.parquet", "data/_SUCCESS", "data/.part.crc"):
        (tmp_path / name).touch()
    return tmp_path


def test_a_home_a_variable_and_a_folder_are_filled_in(parts):
    assert paths("~/own.parquet") == [f"{parts}/own.parquet"]
    assert paths("${DATA}/part-1.parquet") == [f"{parts}/data/part-1.parquet"]
    assert paths("own.parquet", "$DATA") == [
        "own.parquet",
        f"{parts}/data/part-0.parquet",
        f"{parts}/data/part-1.parquet",
    ]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/nowhere/jets.parquet", "/nowhere/jets.parquet: no such file"),
        ("none.parquet", "): no such file"),
        ("https://cern.ch/jets.parquet", "https://cern.ch/jets.parquet: this is a URL; give it as 'url'"),
        ("$NOWHERE/jets.parquet", "no such file, and no variable $NOWHERE in the environment"),
        ("~nobody_at_all/jets.parquet", "~nobody_at_all/jets.parquet (in "),
        ("data/*.parquet", "no such file; for several files give their folder"),
        (".", "a folder without any *.parquet"),
    ],
)
def test_a_file_that_is_not_there_is_refused_before_anything_runs(path, why, parts):
    (parts / "own.parquet").unlink()
    said = refused(ConfigSource("mine.yaml", {"samples": {"mine": {"files": [{"path": "data"}, {"path": path}]}}}))
    assert said.startswith("mine.yaml: samples.mine.files.1.path: ") and why in said


def test_a_file_without_the_right_to_read_it_is_refused(parts, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may read everything
    said = refused(ConfigSource("mine.yaml", {"samples": {"mine": {"files": [{"path": "own.parquet"}]}}}))
    assert said.endswith(f"own.parquet (in {parts}): there is no right to read this file")


@pytest.mark.parametrize("again", ["./own.parquet", "link.parquet", "data", "hard.parquet"])
def test_a_file_twice_is_refused_whatever_it_is_called(again, parts):
    (parts / "hard.parquet").hardlink_to(parts / "own.parquet")
    (parts / "link.parquet").symlink_to("own.parquet")
    (parts / "data/part-2.parquet").symlink_to("../own.parquet")
    said = refused(
        ConfigSource("mine.yaml", {"samples": {"mine": {"files": [{"path": "own.parquet"}, {"path": again}]}}})
    )
    assert "is that of an earlier file, " in said and "own.parquet: no jet may be in a sample twice" in said


def test_jobs_do_not_look_for_files_that_may_be_gone(parts):
    files = ConfigSource("mine.yaml", {"samples": {"mine": {"files": [{"path": "gone.parquet"}]}}})
    assert configure([files], look=False)["samples"]["mine"]["files"] == [{"path": "gone.parquet"}]


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["../../etc", "$(id)", "2.0e6", "yes", "1.0", "null", "~/x", "$HOME", "https://[::1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(at: object, path: tuple = ()) -> list[tuple]:
    """The path of every part of a configuration."""
    steps = at.items() if isinstance(at, dict) else enumerate(at) if isinstance(at, list) else ()
    return [path] * bool(path) + [place for key, inner in steps for place in places(inner, (*path, key))]


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(places(CONFIG)), JUNK)
@example(("run",), {"\n": None})
@example(("experiments", "laptop", "dataset"), "\n")
def test_whatever_stands_in_its_place_is_refused_in_a_line_or_can_be_planned(place, junk):
    config = copy.deepcopy(CONFIG)
    at = config
    for step in place[:-1]:
        at = at[step]
    at[place[-1]] = junk
    try:
        accepted = configure([ConfigSource("mine.yaml", config)])
    except BadInput as error:
        assert "\n" not in str(error)
        return
    # What input functions ask of it.
    for name in accepted["run"]["experiments"]:
        dataset = accepted["datasets"][accepted["experiments"][name]["dataset"]]
        assert type(number_of_blocks(accepted["samples"][dataset["sample"]])) is int
    assert list(cross_checks(accepted)) == [] and yaml.safe_load(yaml.safe_dump(accepted)) == accepted


@pytest.mark.parametrize(
    "study",
    sorted({*(REPOSITORY / "studies").rglob("*.yaml")} - {REPOSITORY / "studies/detector_reference.yaml"}),
    ids=lambda study: study.stem,
)
def test_a_study_that_comes_with_it_is_right(study):
    # The comment at the top of a study has its command; some extend another study.
    command = next(re.finditer(r"#   snakemake .*--configfile (.*)", study.read_text(encoding="utf-8")))
    files = [REPOSITORY / word for word in command[1].split() if word.endswith(".yaml")]
    assert files[-1] == study
    config = configure([read_file(file) for file in files])
    assert len(config["run"]["experiments"]) > 1 or config["top_mass_fit"]
