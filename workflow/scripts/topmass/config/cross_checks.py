"""Cross-field checks of the configuration that JSON Schema cannot express."""

import itertools
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import unquote, urlsplit

from topmass.config.schema_validation import Problem

SAFE_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
"""Pattern of the name of a saved file; excludes paths to other folders."""
CALORIMETER_LAYERS = {"ecal", "hcal"}
OF_CALORIMETERS = {"kinematics", "transformer", "prongs"}
"""Networks that require at least one calorimeter layer."""
CANDIDATE_LAYERS = ("track_pt", "track_dz", "track_d0", "ecal", "hcal")
"""Layers that particle-flow candidates fill."""
OF_CANDIDATES = re.compile("candidate_.*|gen_jet_index|run|luminosityBlock")
"""Quantities of ROOT files alone."""
OF_IMAGES = ("image", "pixel", "layer", "value", "ieta", "iphi")
"""Quantities of parquet files alone."""
MOST_BLOCKS = 100_000
"""Most blocks of a sample; Snakemake plans this many in minutes, but does not finish with many more."""

FIT_MARGIN = 10
"""Smallest distance between the nominal top mass and the ends of the templates' masses, GeV."""
MOST_BINS = 200
"""Most bins of the fit of the top mass."""


def file_name(file: Mapping) -> str:
    """Return the name under which a file is saved: its `name`, else the last part of the URL's path."""
    return file.get("name") or unquote(urlsplit(file["url"]).path).rsplit("/", 1)[-1]


def number_of_blocks(sample: Mapping) -> int:
    """Return the number of blocks of a sample."""
    if "files" in sample:
        return len(sample["files"]) * sample["blocks_per_file"]
    return -(-sample["jets"] // sample["jets_per_block"])


def cross_checks(config: Mapping) -> Iterator[Problem]:
    """Yield all problems, section by section; each check assumes that there was no earlier problem."""
    samples, datasets, experiments = config["samples"], config["datasets"], config["experiments"]
    for name, sample in samples.items():
        key = ("samples", name)
        if "files" in sample:
            yield from file_problems(key, sample["files"])
            yield from format_problems(key, sample)
        else:
            settings = sample["simulate"]
            yield from generator_problems((*key, "simulate", "generator"), settings["generator"])
            if "pileup_mean" in settings["randomize"] and not settings["pileup"]["mean"]:
                problem = "the sample has no pile-up; to fix: set pileup.mean above 0"
                yield (*key, "simulate", "randomize", "pileup_mean"), problem
        if number_of_blocks(sample) > MOST_BLOCKS:
            blocks = f"{number_of_blocks(sample):,} blocks, more than the {MOST_BLOCKS:,} that can be planned"
            yield key, f"{blocks}: make blocks larger, or divide the sample"
    for name, dataset in datasets.items():
        yield from exists(("datasets", name, "sample"), dataset["sample"], samples)
        yield from dataset_problems(("datasets", name), dataset, samples[dataset["sample"]])
        if background := dataset["background"]:
            yield from background_problems(("datasets", name, "background"), background, samples)
    for name, experiment in experiments.items():
        yield from exists(("experiments", name, "dataset"), experiment["dataset"], datasets)
        yield from experiment_problems(("experiments", name), experiment, datasets[experiment["dataset"]])
    for i, name in enumerate(config["run"]["experiments"]):
        yield from exists(("run", "experiments", str(i)), name, experiments)
        sample, max_blocks = datasets[experiments[name]["dataset"]]["sample"], experiments[name]["max_blocks"]
        # Only checked for experiments that run: others may have more blocks than a reduced sample.
        if max_blocks and max_blocks > number_of_blocks(samples[sample]):
            available = f"the sample '{sample}' has {number_of_blocks(samples[sample]):,} only"
            yield ("experiments", name, "max_blocks"), available
    if config["compute"]["processes"] > 1 and config["compute"]["device"].startswith("cuda:"):
        yield ("compute", "device"), "several processes take the first GPUs: write cuda"
    yield from ascending(("evaluate", "mass_bins"), config["evaluate"]["mass_bins"])
    evaluated = {("evaluate", "samples", str(i)): name for i, name in enumerate(config["evaluate"]["samples"])}
    if (name := config["evaluate"]["calibration_sample"]) is not None:
        evaluated["evaluate", "calibration_sample"] = name
    for key, name in evaluated.items():
        yield from exists(key, name, samples)
        for experiment in config["run"]["experiments"]:
            yield from evaluation_problems(key, name, experiment, config)
    if config["top_mass_fit"] is not None:
        yield from fit_problems(config["top_mass_fit"], config)
    if config["predict"] is not None:
        yield from format_problems(("predict",), config["predict"])


def generator_problems(key: tuple[str, ...], generator: Mapping) -> Iterator[Problem]:
    """Yield invalid ranges of a simulated sample, and masses that the process cannot make."""
    process, mass, pt = (generator[name] for name in ("process", "mass", "pt"))
    yield from ascending((*key, "pt"), pt)
    if isinstance(mass, list):
        yield from ascending((*key, "mass"), mass)
    allowed = {"gun": ("a range", (list,)), "ttbar": ("a range or a number", (list, int, float)), "qcd": ("null", ())}
    wanted, types = allowed[process]
    if not isinstance(mass, types or type(None)):
        yield (*key, "mass"), f"expected {wanted} for the process '{process}'"
    if process != "gun" and pt[0] >= generator["collision_energy"] / 2:
        yield (
            (*key, "pt"),
            f"no event has a p̂T of {pt[0]} GeV at a collision energy of {generator['collision_energy']} GeV",
        )


def file_problems(key: tuple[str, ...], files: Sequence[Mapping]) -> Iterator[Problem]:
    """Yield files of a sample without a valid source, files that cannot be saved, and duplicates."""
    for i, file in enumerate(files):
        yield from wrong_file((*key, "files", str(i)), file)
    identities = [identity(file["path"]) if "path" in file else None for file in files]
    for what, values in (
        ("url", [file.get("url") for file in files]),
        ("path", identities),
        ("checksum", [file.get("checksum") for file in files]),
    ):
        repeated = first_repeated(values)
        if repeated is not None:
            problem = "is that of an earlier file"
            if what == "path":
                earlier = files[values.index(values[repeated])]
                problem = f"{files[repeated]['path']} {problem}, {earlier['path']}"
            yield (*key, "files", str(repeated), what), f"{problem}: no jet may be in a sample twice"
    names = [file_name(file) if "url" in file else None for file in files]
    repeated = first_repeated(names)
    if repeated is not None:
        problem = f"would be saved as '{names[repeated]}' like an earlier one; give it a 'name'"
        yield (*key, "files", str(repeated)), problem


def format_problems(key: tuple[str, ...], entry: Mapping) -> Iterator[Problem]:
    """Yield columns and layers that files of the format of a sample, or of the jets to predict, cannot have."""
    root = entry["format"] != "parquet"
    for name in entry.get("columns", {}):
        if root and name in OF_IMAGES:
            yield (*key, "columns", name), f"files of the format {entry['format']} have no {name}: leave it out"
        if not root and (OF_CANDIDATES.fullmatch(name) or (key == ("predict",) and name not in OF_IMAGES)):
            yield (*key, "columns", name), "only ROOT files have it; to fix: set format to nanoaod or jetclass"
    if root and entry.get("layers"):
        yield (*key, "layers"), f"the candidates fill {', '.join(CANDIDATE_LAYERS)}: leave it out"


def identity(path: str) -> str:
    """Return an identifier that is the same for all symbolic and hard links to a file."""
    try:
        stat = os.stat(path)
    except OSError:
        return os.path.realpath(path)
    # Some file systems have no inode numbers; they have no hard links either.
    return f"{stat.st_dev}:{stat.st_ino}" if stat.st_nlink > 1 else os.path.realpath(path)


def wrong_file(key: tuple[str, ...], file: Mapping) -> Iterator[Problem]:
    """Yield a problem if a file cannot be read or saved."""
    if ("url" in file) == ("path" in file):
        yield key, "give a file either a url, to download it, or a path, to read it where it lies"
    elif "path" in file:
        only_url = sorted(set(file) - {"path"})
        if only_url:
            yield (*key, only_url[0]), "goes with a url, not with a path"
    else:
        try:
            urlsplit(file["url"])
            name = file_name(file)
        except ValueError as error:
            yield (*key, "url"), f"no URL: {error}"
        else:
            if not re.fullmatch(SAFE_NAME, name):
                yield key, f"cannot be saved as '{name}'; give the file a 'name' of letters, digits, _, . and -"


def dataset_problems(key: tuple[str, ...], dataset: Mapping, sample: Mapping) -> Iterator[Problem]:
    """Yield a target or layers that the sample lacks, invalid split fractions and ranges, and unused scales."""
    if dataset["target"] == "mass" and "files" not in sample and sample["simulate"]["generator"]["process"] == "qcd":
        yield (*key, "target"), f"the sample '{dataset['sample']}' has no top quark: choose gen_softdrop_mass"
    layers = available_layers(sample, dataset)
    for i, layer in enumerate(dataset["layers"]):
        if layer not in layers:
            yield (*key, "layers", str(i)), f"the sample '{dataset['sample']}' has {', '.join(layers)} only"
    total = sum(dataset["split"].values())
    if not math.isclose(total, 1, abs_tol=1e-9):
        yield (*key, "split"), f"fractions add up to {total:g}, not to 1"
    for quantity in ("mass", "pt"):
        yield from ascending((*key, "flatten", quantity, "range"), dataset["flatten"][quantity]["range"])
    for layer in sorted(set(dataset["scales"]) - set(dataset["layers"])):
        yield (*key, "scales", layer), "a scale for a layer that is not in 'layers'"


def background_problems(key: tuple[str, ...], background: str, samples: Mapping) -> Iterator[Problem]:
    """Yield a background that is no sample, or whose jets have no soft-drop mass of a generated jet."""
    yield from exists(key, background, samples)
    if "files" in samples[background] or samples[background]["simulate"]["generator"]["process"] != "qcd":
        yield key, f"the sample '{background}' is not simulated with 'process: qcd'"


def experiment_problems(key: tuple[str, ...], experiment: Mapping, dataset: Mapping) -> Iterator[Problem]:
    """Yield a network whose required layers are missing, and inconsistent recipe settings."""
    network, recipe = experiment["network"]["name"], experiment["recipe"]
    if network in OF_CALORIMETERS and not CALORIMETER_LAYERS & set(dataset["layers"]):
        lacking = f"the dataset '{experiment['dataset']}' has {', '.join(dataset['layers'])} only"
        yield (*key, "network"), f"{network} takes {' or '.join(sorted(CALORIMETER_LAYERS))}, and {lacking}"
    if experiment["network"].get("vertex_dz") is not None and "track_dz" not in dataset["layers"]:
        lacking = f"the dataset '{experiment['dataset']}' has {', '.join(dataset['layers'])} only"
        yield (*key, "network", "vertex_dz"), f"needs the layer track_dz; {lacking}"
    if recipe.get("schedule") == "cosine" and recipe.get("warmup_epochs", 1) >= recipe["epochs"]:
        yield (*key, "recipe", "warmup_epochs"), "the warm-up must end before the last epoch does"
    quantiles = recipe.get("quantiles", [])
    yield from ascending((*key, "recipe", "quantiles"), quantiles)
    if quantiles and (len(quantiles) != 3 or quantiles[1] != 0.5):
        yield (*key, "recipe", "quantiles"), "give three, 0.5 in the middle, such as [0.16, 0.5, 0.84], or none"
    loss = recipe.get("loss", "mae")
    if quantiles and loss not in ("mae", "split_normal"):
        yield (*key, "recipe", "loss"), f"is {loss}; expected mae or split_normal with quantiles"
    # A plateau is relative to the loss, and a likelihood may be negative.
    if loss == "split_normal" and (quantiles != [0.16, 0.5, 0.84] or recipe.get("schedule") != "cosine"):
        yield (*key, "recipe", "loss"), "split_normal needs 'quantiles: [0.16, 0.5, 0.84]' and 'schedule: cosine'"


def evaluation_problems(key: tuple[str, ...], name: str, experiment: str, config: Mapping) -> Iterator[Problem]:
    """Yield a problem if a network cannot be evaluated on a sample.

    Args:
        key: Key of the sample's name.
        name: Name of the sample.
        experiment: Name of the experiment that trains the network.
        config: Configuration.
    """
    samples, dataset = config["samples"], config["datasets"][config["experiments"][experiment]["dataset"]]
    sample, trained = samples[name], samples[dataset["sample"]]
    for role in ("sample", "background"):
        other = samples.get(dataset[role], {})
        # With the same seed and generator, another name or another detector has the same events.
        same_source = all(sample.get(part) == other.get(part) for part in ("files", "seed"))
        if other and same_source and generator_of(sample) == generator_of(other):
            fix = "to fix: choose a sample with another seed or other files"
            yield key, f"'{name}' has the events that the experiment '{experiment}' is trained on; {fix}"
    available = available_layers(sample, dataset)
    for layer in dataset["layers"]:
        if layer not in available:
            yield key, f"'{name}' has {', '.join(available)} only; the experiment '{experiment}' requires {layer}"
    if sample.get("position") == "none" and trained.get("position") != "none":
        yield key, f"'{name}' has position none; the experiment '{experiment}' requires the position of the jets"


def fit_problems(fit: Mapping, config: Mapping) -> Iterator[Problem]:
    """Yield samples and bins that the fit of the top mass cannot use."""
    section, samples = "top_mass_fit", config["samples"]
    roles = [((section, role), fit[role]) for role in ("templates", "nominal")]
    roles += [((section, "variations", str(i)), name) for i, name in enumerate(fit["variations"])]
    for key, name in roles:
        yield from exists(key, name, samples)
        if generator_of(samples[name]).get("process") != "ttbar":
            yield key, f"the sample '{name}' is not simulated with process ttbar; expected top quarks with their mass"
    if fit["background"] is not None:
        roles.append(((section, "background"), fit["background"]))
        yield from exists(*roles[-1], samples)
    for key, name in roles:
        for experiment in config["run"]["experiments"]:
            yield from evaluation_problems(key, name, experiment, config)
    span, nominal = (generator_of(samples[fit[role]])["mass"] for role in ("templates", "nominal"))
    if not isinstance(span, list):
        problem = f"the sample '{fit['templates']}' has one mass, {span:g}"
        yield (section, "templates"), f"{problem}; expected a range of masses, such as [150, 195]"
    if isinstance(nominal, list):
        yield (section, "nominal"), f"the sample '{fit['nominal']}' has a range of masses; expected one, such as 172.5"
    if not span[0] + FIT_MARGIN <= nominal <= span[1] - FIT_MARGIN:
        problem = f"the masses of '{fit['templates']}', {span[0]:g} to {span[1]:g} GeV, do not extend {FIT_MARGIN} GeV"
        yield (section, "templates"), f"{problem} to both sides of the nominal mass, {nominal:g}; choose a wider range"
    used = [fit["templates"], fit["nominal"], *fit["variations"], *([fit["background"]] if fit["background"] else [])]
    repeated = first_repeated(used)
    if repeated is not None:
        yield (section,), f"the sample '{used[repeated]}' is used twice; expected a different sample for each purpose"
    for i, name in enumerate(fit["variations"]):
        if generator_of(samples[name])["mass"] != nominal:
            yield (section, "variations", str(i)), f"the sample '{name}' does not have the nominal mass, {nominal:g}"
    yield from ascending((section, "range"), fit["range"])
    bins = (fit["range"][1] - fit["range"][0]) / fit["bin_width"]
    if not math.isclose(bins, round(bins), abs_tol=1e-6) or not 1 <= round(bins) <= MOST_BINS:
        expected = f"expected a width that divides the range into 1 to {MOST_BINS} bins"
        yield (section, "bin_width"), f"{fit['bin_width']:g} GeV makes {bins:g} bins of the range; {expected}"


def generator_of(sample: Mapping) -> Mapping:
    """Return the generator settings of a sample; empty for a sample from files."""
    return sample.get("simulate", {}).get("generator", {})


def available_layers(sample: Mapping, dataset: Mapping) -> Sequence[str]:
    """Return the layers of a sample, as far as the configuration names them; else those of the dataset."""
    if sample.get("format", "parquet") != "parquet":
        return CANDIDATE_LAYERS
    return sample.get("layers") or dataset["layers"]


def first_repeated(values: Sequence[str | None]) -> int | None:
    """Return the index of the first value, other than None, that repeats an earlier one; None without repetition."""
    return next((i for i, value in enumerate(values) if value is not None and value in values[:i]), None)


def ascending(key: tuple[str, ...], values: list[float]) -> Iterator[Problem]:
    """Yield a problem for each value that is not above the previous one."""
    for low, high in itertools.pairwise(values):
        if low >= high:
            yield key, f"{low:g} comes before {high:g}: give the smaller value first"


def exists(key: tuple[str, ...], name: str, known: Mapping) -> Iterator[Problem]:
    """Yield a problem unless the name is known."""
    if name not in known:
        yield key, f"there is no '{name}'; known are {', '.join(known)}"
