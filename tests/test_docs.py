"""The documentation: it builds without warnings and without a network, and what is generated is complete."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from conftest import REPOSITORY
from extra_packages import extra_packages

DOCS = REPOSITORY / "docs"
sys.path.append(str(DOCS))

import configuration_reference  # noqa: E402
import draw_diagrams  # noqa: E402

SCHEMA = configuration_reference.load(configuration_reference.SCHEMA)
REFERENCE = configuration_reference.reference(
    SCHEMA, configuration_reference.load(configuration_reference.CONFIGURATION)
)
PAGES = sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md") if "_build" not in page.parts)
REMOTE = re.compile(
    r'<(?:script|img|iframe)[^>]* src="(?:https?:)?//|<link[^>]* rel="stylesheet"[^>]* href="(?:https?:)?//'
)
"""Parts of a page that a browser would fetch from another host."""


def key_paths(part: dict, path: str = ""):
    """Yield the path of each key of an object of the schema, and of the objects that it contains."""
    for name, key in part.get("properties", {}).items():
        yield f"{path}{name}"
        yield from key_paths(key, f"{path}{name}.")


def sections() -> dict[str, str]:
    """Return the sections of the reference by their headings."""
    return {section.split("\n", 1)[0]: section for section in REFERENCE.split("## ")[1:]}


def test_the_readme_has_at_most_150_lines():
    assert len((REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize(
    "page", [REPOSITORY / "README.md", *(DOCS / page for page in PAGES)], ids=lambda page: page.name
)
def test_links_to_files_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [*re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text), *re.findall(r'<img src="([^"]+)"', text)]
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_files_that_the_documentation_names_exist():
    tracked = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("the names of the files come from git")
    files = tracked.stdout.split()
    missing = []
    for page in (REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *(DOCS / page for page in PAGES)):
        names = re.findall(r"`([\w./-]+\.(?:py|smk|jinja))`", page.read_text(encoding="utf-8"))
        missing += [(page.name, name) for name in names if not any(f"/{file}".endswith(f"/{name}") for file in files)]
    # Results of a deleted script keep its name; the other one is a file of the user.
    assert {*missing} == {("benchmarks.md", "gpu_run.py"), ("networks.md", "my_net.py")}


@pytest.mark.parametrize("name", SCHEMA["properties"])
def test_the_reference_has_every_key_at_the_top(name):
    section = sections()[f"`{name}`"]
    assert all(f"| `{path}` |" in section for path in key_paths(SCHEMA["properties"][name]))


@pytest.mark.parametrize("name", [name for name, part in SCHEMA["$defs"].items() if part.get("properties")])
def test_the_reference_has_every_key_of_a_definition(name):
    paths = [*key_paths(SCHEMA["$defs"][name])]
    assert any(all(f"| `{path}` |" in section for path in paths) for section in sections().values())


def test_the_reference_has_values_of_the_configuration():
    settings = yaml.safe_load((REPOSITORY / "config.yaml").read_text(encoding="utf-8"))
    resamples = settings["evaluate"]["bootstrap"]["resamples"]
    row = next(line for line in sections()["`evaluate`"].splitlines() if "`bootstrap.resamples`" in line)
    assert row.endswith(f"| `{resamples}` |")


@pytest.mark.parametrize("name", ["workflow", "resnet15", "kinematics", "prongs", "transformer"])
def test_diagrams_are_those_of_their_script(name):
    assert (DOCS / f"figures/{name}.svg").read_text(encoding="utf-8") == getattr(draw_diagrams, name)()


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Return the folder of the pages, built in a copy of the repository; every warning is an error."""
    packages = extra_packages("docs", "-r", str(REPOSITORY / "envs/docs.txt"))
    copy, pages = tmp_path_factory.mktemp("docs") / "topmass", tmp_path_factory.mktemp("site")
    ignored = shutil.ignore_patterns(".git", ".venv", ".cache", "results", ".snakemake", ".*_cache", "_build", "_api")
    shutil.copytree(REPOSITORY, copy, ignore=ignored)
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"]
    environment = {"PYTHONPATH": str(packages), "PATH": "", "HOME": str(pages)}
    command += ["--jobs", "auto", copy / "docs", pages]
    ended = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8")
    assert ended.returncode == 0, ended.stderr
    return pages


def test_every_page_is_built(site):
    built = [page for page in PAGES if (site / page).with_suffix(".html").exists()]
    assert built == PAGES


def test_the_site_has_every_module_of_the_library(site):
    library = REPOSITORY / "workflow/scripts"
    text = "".join(page.read_text(encoding="utf-8") for page in site.glob("_api/*.html"))
    for file in sorted((library / "topmass").rglob("*.py")):
        module = ".".join(file.relative_to(library).with_suffix("").parts).removesuffix(".__init__")
        assert f'id="module-{module}"' in text, module


def test_pages_need_no_other_host(site):
    assert not [page for page in site.rglob("*.html") if REMOTE.search(page.read_text(encoding="utf-8"))]
