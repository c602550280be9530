"""Machines of other people: too little memory, files or processes; variables and files of other programs."""

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import REPOSITORY, make_jets
from test_hostile import KINDS
from topmass.jets import write_jets
from topmass.layers import LAYERS
from topmass.preprocessing.shards import SHARD_HIT_ARRAYS, SHARD_JET_ARRAYS, Shard, ShardMeta
from topmass.training.checkpoint import Checkpoint

SCRIPTS = REPOSITORY / "workflow/scripts"
PLACES = os.pathsep.join(str(REPOSITORY / folder) for folder in (".", "workflow/scripts", "tests"))


def run(*command: object, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess:
    """A Python of its own, with these variables in its environment."""
    environment = os.environ | {"PYTHONPATH": PLACES} | variables
    told = {"encoding": "utf-8", "errors": "replace", "capture_output": True, "timeout": 120}
    return subprocess.run([sys.executable, *map(str, command)], cwd=cwd, env=environment, **told)


def write_large_shard(path: Path) -> None:
    values = {name: np.zeros(600_000, dtype) for name, dtype in (SHARD_HIT_ARRAYS | SHARD_JET_ARRAYS).items()}
    Shard(np.arange(600_001), values, ShardMeta(("ecal",), (1,), (1.0,), 0.0, "none", "")).save(path)


WRITE = {kind: write for kind, (write, _) in KINDS.items()} | {
    "jet table": lambda path: write_jets(path, [make_jets(500)], LAYERS, {}),
    "shard": write_large_shard,
    "checkpoint": lambda path: Checkpoint({"weights": torch.zeros(10_000_000)}, {}, {}).save(path),
    "thread": Path.touch,
}


@pytest.fixture(scope="module")
def lacking(tmp_path_factory) -> Path:
    """A folder with a healthy file of each kind, and with the logs of reading them where something is short."""
    folder = tmp_path_factory.mktemp("lacking")
    folder.chmod(0o755)
    for kind, write in WRITE.items():
        write(folder / kind)
    ended = run(REPOSITORY / "tests/limited_reader.py", folder)
    assert ended.returncode == 0, ended.stderr
    return folder


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        *((kind, "memory") for kind in ("jet table", "sparse parquet", "shard", "predictions", "checkpoint")),
        *((kind, "open files") for kind in KINDS),
        ("thread", "processes"),
    ],
)
def test_too_little_of_something_is_said_and_never_called_damage(kind, what, lacking):
    said = (lacking / f"{kind} {what}.log").read_text(encoding="utf-8")
    assert said.count("\n") == 1 and f"error: not enough {what} (" in said and "fewer jobs" in said
    assert not any(word in said for word in ("not a", "damaged", "unexpected"))


SERVICE = 12345
"""A user without an entry in passwd; of root's rights it has that to read."""
AS_SERVICE = [
    *("setpriv", f"--reuid={SERVICE}", f"--regid={SERVICE}", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
]


@pytest.fixture
def service(tmp_path) -> Path:
    """A folder of that user, in which no other folder is its own."""
    if os.getuid() or subprocess.run([*AS_SERVICE, "true"], capture_output=True).returncode:
        pytest.skip("root only may act as another user")
    folder = tmp_path / "service"
    folder.mkdir()
    os.chown(folder, SERVICE, SERVICE)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("variables", [{}, {"HOME": "/root", "PATH": "/usr/bin:/bin"}])
def test_a_user_without_a_name_and_a_home_can_start_a_run(variables, service):
    command = [*AS_SERVICE, sys.executable, str(REPOSITORY / "workflow/start.py"), "--dry-run"]
    command += ["--snakefile", str(REPOSITORY / "Snakefile"), "--configfile", str(REPOSITORY / "tests/tiny.yaml")]
    ended = subprocess.run(command, cwd=service, env=variables, text=True, capture_output=True)
    assert ended.returncode == 0 and "Job stats" in ended.stdout, ended.stderr
    assert {path.name for path in service.iterdir()} == {".snakemake", "results"}


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--dry-run", "--summary"])
@pytest.mark.parametrize("program", [("-m", "snakemake"), (str(REPOSITORY / "workflow/start.py"),)])
def test_a_folder_that_cannot_be_written_to_is_named_with_what_to_do(program, option, service, tmp_path):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    command = [*AS_SERVICE, sys.executable, *program, option, "--snakefile", str(REPOSITORY / "Snakefile")]
    variables = {"HOME": str(service), "LOGNAME": "service", "XDG_CACHE_HOME": str(service), "PATH": os.defpath}
    ended = subprocess.run(command, cwd=theirs, env=variables, text=True, capture_output=True)
    said = ended.stdout + ended.stderr
    assert ended.returncode == 1 and f"{theirs}: Snakemake cannot write to this folder; to fix: snakemake" in said
    assert "--directory <folder of yours>" in said and "Traceback" not in said


@pytest.mark.slow
def test_rules_are_listed_in_a_folder_that_cannot_be_written_to(service, tmp_path):
    (tmp_path / "theirs").mkdir()
    command = [*AS_SERVICE, sys.executable, "-m", "snakemake", "--list-rules", "--snakefile", REPOSITORY / "Snakefile"]
    variables = {"HOME": str(service), "LOGNAME": "service", "XDG_CACHE_HOME": str(service), "PATH": os.defpath}
    ended = subprocess.run(command, cwd=tmp_path / "theirs", env=variables, text=True, capture_output=True)
    assert ended.returncode == 0 and "predict_test" in ended.stdout, ended.stderr


@pytest.fixture
def quota(tmp_path) -> list[str]:
    """Words that start a program in a control group whose CPU quota is nine tenths of a core."""
    values = {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "90000"}, {"cpu.max": "90000 100000"}
    group = None
    for home, files in zip(("/sys/fs/cgroup/cpu", "/sys/fs/cgroup"), values, strict=True):
        group = Path(home) / f"topmass_{os.getpid()}"
        try:
            group.mkdir()
            for name, text in files.items():
                (group / name).write_text(text, encoding="ascii")
        except OSError:
            with suppress(OSError):
                group.rmdir()
            continue
        yield ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "-"]
        group.rmdir()
        return
    pytest.skip("control groups are made by root only, and not in each container")


@pytest.mark.slow
@pytest.mark.parametrize(("options", "cores"), [([], 1), (["--cores", "2"], 2)])
def test_a_cpu_quota_counts_unless_a_number_of_cores_is_given(options, cores, quota, tmp_path):
    # Of a dry run the number of cores is not printed.
    command = [*quota, sys.executable, "-m", "snakemake", "results/jets/gun/trial.parquet", "--touch"]
    command += [*options, "--snakefile", REPOSITORY / "Snakefile", "--configfile", REPOSITORY / "tests/tiny.yaml"]
    ended = subprocess.run(command, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert ended.returncode == 0, ended.stdout
    assert f"Provided cores: {cores}" in ended.stdout


COMPILE = """
import sys
sys.path.insert(0, sys.argv[1])
from topmass.simulation.helix import wrap
wrap(1.0)
print(next(iter(wrap.stats.cache_misses)) and wrap._cache.cache_path)
"""


@pytest.mark.parametrize("variable", ["NUMBA_CACHE_DIR", "HOME", "TMPDIR"])
def test_compiled_functions_are_kept_where_the_user_says_or_may_write(variable, service, tmp_path):
    # A source that is not writable: it is root's.
    shutil.copytree(SCRIPTS, tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    command = [*AS_SERVICE, sys.executable, "-c", COMPILE, tmp_path / "scripts"]
    ended = subprocess.run(command, cwd=service, env={variable: str(service)}, text=True, capture_output=True)
    assert ended.returncode == 0, ended.stderr
    assert Path(ended.stdout.strip()).is_relative_to(service)


def test_pythia_uses_the_data_that_came_with_it():
    code = "import sys, numpy; from simulation_settings import GENERATOR; from topmass.simulation.generator import *\n"
    code += "print(Generator(GeneratorSettings(**GENERATOR), numpy.random.SeedSequence(1)).batch(2).tops.mass)"
    ended = run("-c", code, **dict.fromkeys(("PYTHIA8DATA", "PYTHIA8CMND", "PYTHIA8CONTRIB"), "/another/Pythia8"))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == run("-c", code).stdout


BATCH_JOB = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
SAY = """
import sys
from topmass.console import log_info, print_status, stage
with stage("statistics", sys.argv[1]):
    log_info("χ² of jürgen/jets: 1 ± 1")
    print_status("χ² 1 ± 1")
"""


@pytest.mark.parametrize("locale", [BATCH_JOB, {"PYTHONIOENCODING": "latin-1"}])
def test_messages_can_be_said_in_any_locale(locale, tmp_path):
    (tmp_path / "say.py").write_text(SAY, encoding="utf-8")
    said = run(tmp_path / "say.py", tmp_path / "log", **locale)
    assert said.returncode == 0 and said.stderr.count("\n") == 1 and said.stdout.startswith("?"), said.stderr
    assert "χ² of jürgen/jets: 1 ± 1" in (tmp_path / "log").read_text(encoding="utf-8")


def test_the_report_is_made_in_any_locale(tmp_path):
    (tmp_path / "Snakefile").write_text("configfile: 'config.yaml'\nrule results:\n  input: 'config.yaml'", "utf-8")
    (tmp_path / "config.yaml").write_text("{} # χ²", encoding="utf-8")
    code = "from workflow_report import *; write_workflow_report(Path('report.html'), 'Snakefile', {})"
    assert run("-c", code, cwd=tmp_path, **BATCH_JOB).stderr == ""
    assert (tmp_path / "report.html").exists()


@pytest.mark.lab
def test_the_workflow_needs_no_network(tmp_path):
    alone = ["unshare", "--net", "--map-root-user"]
    if subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("network namespaces cannot be made here")
    command = [*alone, sys.executable, REPOSITORY / "workflow/start.py", "--cores", "2"]
    command += ["--snakefile", REPOSITORY / "Snakefile", "--configfile", REPOSITORY / "tests/tiny.yaml"]
    ended = subprocess.run(command, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert ended.returncode == 0 and (tmp_path / "results/report.html").exists(), ended.stdout


CALLED = [
    file
    for folder in ("workflow", "docs")
    for file in sorted((REPOSITORY / folder).rglob("*.py"))
    if '__name__ == "__main__"' in (text := file.read_text(encoding="utf-8"))
    and "from topmass" in text
    and ("sys.argv" in text or "argparse" in text or "snakemake." not in text)
]
"""Scripts that a user calls: all others are given what Snakemake holds."""
FIND_LIBRARY = """
import ast, importlib.util, sys
path = [*sys.path]
for file in sys.argv[1:]:
    # Up to the first import of the library; to import all packages of all scripts would take half a minute.
    for node in ast.parse(open(file, encoding="utf-8").read()).body:
        if isinstance(node, ast.ImportFrom) and node.module.startswith("topmass"):
            break
        names = [getattr(node, "module", None) or each.name for each in getattr(node, "names", [])]
        if all(name.split(".")[0] in sys.stdlib_module_names for name in names):
            exec(compile(ast.Module([node], []), file, "exec"), {**globals(), "__file__": file}, globals())
    assert importlib.util.find_spec("topmass"), file
    sys.path[:] = path
    sys.path_importer_cache.clear()
"""


def test_every_script_that_a_user_calls_finds_its_library_in_an_isolated_python():
    assert {"predict", "timings", "start", "write_jets"} <= {file.stem for file in CALLED}
    ended = subprocess.run([sys.executable, "-I", "-c", FIND_LIBRARY, *CALLED], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_a_script_is_called_by_a_link_where_python_does_not_look_beside_it(tmp_path):
    (tmp_path / "timings").symlink_to(SCRIPTS / "timings.py")
    ended = subprocess.run([sys.executable, "-I", tmp_path / "timings"], cwd=tmp_path, capture_output=True, text=True)
    assert ended.stderr == "results/benchmark: no such folder; run the workflow first\n"
