"""Architecture: imports in one direction, one set of pins, a described configuration, uniform rules."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from conftest import REPOSITORY
from topmass.config.content_hash import hash_of, imported, reached
from topmass.config.run_metadata import pinned_packages

SCRIPTS = REPOSITORY / "workflow/scripts"
LIBRARY = SCRIPTS / "topmass"
PYTHON_FILES = sorted(file for name in ("benchmarks", "workflow") for file in (REPOSITORY / name).rglob("*.py"))
RULE_FILES = sorted((REPOSITORY / "workflow/rules").glob("*.smk"))
TIERS = [
    ["files", "layers", "limits", "openmp", "units"],
    ["console", "device", "network_file", "parquet", "process_group"],
    ["progress"],
    ["jets"],
    ["simulation", "preprocessing", "io"],
    ["data", "evaluation", "plotting", "config"],
    ["features", "figures", "report"],
    ["models"],
    ["training"],
    ["export"],
    ["commands"],
]
"""A package may import from those in the lines above it."""
WITH_TORCH = {"device", "process_group", "data", "features", "models", "training", "export", "commands"}
TORCH = {"torch", "safetensors"}


def package(file: Path) -> str:
    return file.relative_to(LIBRARY).parts[0].removesuffix(".py")


@pytest.mark.parametrize("file", sorted(LIBRARY.rglob("*.py")), ids=lambda file: str(file.relative_to(LIBRARY)))
def test_the_library_imports_one_way(file):
    height = {name: level for level, names in enumerate(TIERS) for name in names} | {"__init__": -1}
    for other in imported(file, SCRIPTS):
        if other.is_relative_to(LIBRARY) and package(other) != package(file):
            assert height[package(other)] < height[package(file)], f"{file} imports {other}"


def test_no_two_modules_share_a_name():
    names = [file.stem for file in LIBRARY.rglob("*.py") if file.stem != "__init__"]
    assert len(names) == len({*names})


@pytest.mark.parametrize("folder", sorted(path for path in LIBRARY.rglob("*/") if any(path.glob("*.py"))))
def test_each_package_has_a_docstring(folder):
    assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))


def test_no_file_of_the_library_reaches_itself():
    for file in LIBRARY.rglob("*.py"):
        chain = set().union(*(imported(other, SCRIPTS) | {other} for other in imported(file, SCRIPTS)))
        if file.name != "__init__.py":
            assert file not in chain


def test_other_packages_do_not_import_torch():
    for file in LIBRARY.rglob("*.py"):
        modules = {name.split(".")[0] for name in modules_of(file)}
        assert package(file) in WITH_TORCH or not modules & TORCH, file


def test_every_bar_is_that_of_progress():
    """A bar alone prints nothing outside a terminal."""
    files = [file for file in SCRIPTS.rglob("*.py") if "tqdm" in modules_of(file)]
    assert files == [LIBRARY / "progress.py"]


def test_stages_and_library_import_neither_scripts_nor_benchmarks():
    scripts = {"benchmarks", *(file.stem for file in SCRIPTS.glob("*.py"))}
    for file in SCRIPTS.rglob("*.py"):
        assert not {name.split(".")[0] for name in modules_of(file)} & scripts, file


def test_stages_know_nothing_of_the_workflow():
    rules = "".join(file.read_text() for file in RULE_FILES)
    for script in set(re.findall(r"scripts/(\w+\.py)", rules)):
        assert not [
            file for file in reached(SCRIPTS / script, scripts=SCRIPTS) if LIBRARY / "config" in file.parents
        ], script


def modules_of(file: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
    return found


def pins(lines: list[str]) -> dict[str, str]:
    """Name and version of each line `name==version`; any other line is an error."""
    found = dict(re.fullmatch(r"([\w.-]+)==([\w.]+)", line).groups() for line in lines)
    assert len(found) == len(lines)
    return found


def requirements() -> dict[str, str]:
    lines = (REPOSITORY / "envs/requirements.txt").read_text().splitlines()
    return pins([line for line in lines if line and not line.startswith("#")])


@pytest.mark.parametrize("file", sorted((REPOSITORY / "envs").glob("*.yaml")), ids=lambda file: file.stem)
def test_pins_of_conda_are_those_of_pip(file):
    environment = yaml.safe_load(file.read_text())
    python, pip, packages = environment["dependencies"]
    assert python == "python=3.11" and pip == "pip"
    for name, version in pins(packages["pip"]).items():
        assert requirements()[name] == version


def test_pinned_packages_do_not_depend_on_the_order_of_entries(tmp_path):
    environment = tmp_path / "stage.yaml"
    environment.write_text("dependencies: [{pip: [b==2.0, a==1.10]}, pip, python=3.11]", encoding="utf-8")
    assert pinned_packages([environment]) == {"a": "1.10", "b": "2.0"}


def test_an_environment_lists_what_its_scripts_import():
    known = requirements()
    for rule_file in RULE_FILES:
        for rule in re.split(r"\n(?= *rule[ :]|use rule )", rule_file.read_text()):
            script, environment = (re.search(pattern, rule) for pattern in (r'scripts/(\w+\.py)"', r"envs/(\w+\.yaml)"))
            if not script or not environment:
                continue
            listed = set(
                pins(yaml.safe_load((REPOSITORY / "envs" / environment[1]).read_text())["dependencies"][2]["pip"])
            )
            # One script draws all figures, each by a module that the rule names.
            files = [SCRIPTS / script[1], *(LIBRARY.glob("figures/*.py") if script[1] == "figure.py" else ())]
            modules = {name.split(".")[0] for file in reached(*files, scripts=SCRIPTS) for name in modules_of(file)}
            assert {module for module in modules if module in known} <= listed, script[1]


def keys(schema: dict, path: str = ""):
    for name, value in schema.get("properties", {}).items():
        yield f"{path}.{name}", value
        yield from keys(value, f"{path}.{name}")


SCHEMA = yaml.safe_load((REPOSITORY / "workflow/schemas/config.schema.yaml").read_text())
KEYS = [*keys(SCHEMA), *(pair for name, value in SCHEMA["$defs"].items() for pair in keys(value, name))]


@pytest.mark.parametrize(("key", "value"), KEYS, ids=[key for key, _ in KEYS])
def test_every_key_of_the_configuration_is_described(key, value):
    described = value if "description" in value else SCHEMA["$defs"][value["$ref"].split("/")[-1]]
    assert described["description"]


def test_every_object_of_the_configuration_is_closed():
    def objects(schema):
        if isinstance(schema, dict):
            if schema.get("type") == "object":
                yield schema
            for value in schema.values():
                yield from objects(value)
        elif isinstance(schema, list):
            for value in schema:
                yield from objects(value)

    assert all("additionalProperties" in schema for schema in objects(SCHEMA))


def test_the_layers_of_the_schema_are_those_of_the_library():
    from topmass.layers import LAYERS

    assert SCHEMA["$defs"]["layer"]["enum"] == [layer.name for layer in LAYERS]


RULES = [
    pytest.param(text, id=(re.match(r" *rule (\w+)", text) or ["", "figure"])[1])
    for file in RULE_FILES
    for text in re.split(r"\n(?= *rule[ :]|use rule |def |# )", file.read_text())
    if text.lstrip().startswith("rule") and "script:" in text
]


@pytest.mark.parametrize("text", RULES)
def test_every_rule_has_log_benchmark_environment_and_code_hash(text):
    for directive in ("log:", "benchmark:", "conda:", "output:"):
        assert f"    {directive}\n" in text
    script = re.search(r'"\.\./scripts/(\w+\.py)"', text)[1]
    # A download does not depend on the code.
    assert f'code=code_hash("{script}"' in text or script == "download.py"


@pytest.mark.parametrize("file", RULE_FILES, ids=lambda file: file.stem)
def test_every_rule_file_opens_with_what_it_reads_and_writes(file):
    header = file.read_text().split('"""')[1]
    assert file.stem == "common" or ("\nreads " in header and "\nwrites " in header)


def test_the_code_hash_follows_content_and_nothing_else(tmp_path):
    library = tmp_path / "topmass"
    library.mkdir()
    for name, text in (("__init__", ""), ("used", "X = 1\n"), ("deep", "Y = 1\n"), ("unused", "Z = 1\n")):
        (library / f"{name}.py").write_text(text)
    script = tmp_path / "script.py"
    script.write_text("from topmass.used import X\n")
    (library / "used.py").write_text("from topmass import deep\n")
    hashes = [hash_of(reached(script, scripts=tmp_path))]
    for file, text in (
        (library / "unused.py", "Z = 2\n"),
        (library / "deep.py", "Y = 2\n"),
        (script, "import topmass.used\n"),
    ):
        file.write_text(text)
        imported.cache_clear()
        hashes.append(hash_of(reached(script, scripts=tmp_path)))
    assert hashes[0] == hashes[1] != hashes[2] != hashes[3]


FORBIDDEN = re.compile(
    r"import pickle|(?<!safetensors\.)torch\.load\(|allow_pickle=True|shell=True|os\.system|(?<![\w.])(?:eval|exec)\("
)


def test_nothing_is_unpickled_and_nothing_reaches_a_shell():
    for file in PYTHON_FILES:
        assert not FORBIDDEN.search(file.read_text()), file
    for file in RULE_FILES:
        assert "shell:" not in file.read_text() and "run:" not in file.read_text()


TEXT = {"read_text", "write_text", "FileHandler"}
BINARY_UNLESS_TOLD = {"TemporaryFile", "NamedTemporaryFile"}


def speaks_the_locale(call: ast.Call) -> bool:
    """Whether a call opens a text file, or reads a program's text, in the encoding of whoever calls the workflow."""
    name = ast.unparse(call.func).split(".")[-1]
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    modes = [each.value for each in (*call.args, *given.values()) if isinstance(each, ast.Constant)]
    binary = "b" in "".join(map(str, modes)) if modes else name in BINARY_UNLESS_TOLD
    text = name in TEXT or (name in {"open", *BINARY_UNLESS_TOLD} and not binary) or "text" in given
    return text and "encoding" not in given and ast.unparse(call.func) != "os.open"


def test_every_text_file_is_utf_8_whatever_the_locale():
    for file in PYTHON_FILES:
        calls = [node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        assert [ast.unparse(call) for call in calls if speaks_the_locale(call)] == [], file
