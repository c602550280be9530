"""The page of a run: what it shows, that it is whole in a real browser, and what it refuses."""

import json
import re
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest

from compare import compare
from conftest import REPOSITORY
from evaluate import evaluate
from report import write_report
from topmass.config.run_metadata import config_of
from topmass.evaluation.fit_results import FIT_VERSION
from topmass.evaluation.metrics import METRICS
from topmass.evaluation.predictions import Predictions
from topmass.evaluation.score import METRICS_VERSION, TITLES, inclusive
from topmass.files import BadInput
from topmass.report.cost_table import stage_costs
from topmass.report.provenance import UNKNOWN_COMMIT, commit
from topmass.report.settings import setting_differences

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += [f"--disable-{what}" for what in ("background-networking", "component-update", "sync")]
BINS = {"mass": [85, 300, 500], "pt": [400, 1200]}
PACKAGES = {"numpy": "0.1", "nowhere": "1.0"}
SIMULATED = {"jets": 300, "seed": 1, "simulate": {"generator": {"pt": [1]}}}
DEFAULT = {"experiments": {"a": {"recipe": {"epochs": 5}}}, "evaluate": {"min_mass": 85}}


def config_of_run(name: str, sample: dict) -> dict:
    """What a training of two epochs records of its settings."""
    experiment = {"dataset": "flat", "network": {"name": "resnet15"}, "recipe": {"epochs": 2, "loss": "<b>"}}
    dataset = {"sample": "mine", "background": None, "layers": ["ecal"]}
    return {"experiments": {name: experiment}, "datasets": {"flat": dataset}, "samples": {"mine": sample}}


def png(path: Path, width: int = 60, height: int = 40, noise: int = 0) -> None:
    """A grey picture; of noise it takes as many bytes as it has points."""
    rows = np.random.default_rng(noise).integers(0, 255 if noise else 1, (height, width + 1), dtype=np.uint8)
    rows[:, 0] = 0

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows.tobytes(), 1)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


class Run:
    """Made-up results of two experiments, through the stages that score and compare them."""

    def __init__(self, results: Path) -> None:
        self.results, self.page = results, results / "report.html"
        names = [("a", 1), ("b", 1)]
        predictions = [results / f"predict/{name}/{seed}/predictions.parquet" for name, seed in names]
        self.metrics = [results / f"evaluate/{name}/{seed}/metrics.json" for name, seed in names]
        self.trainings = [results / f"train/{name}/{seed}/training.json" for name, seed in names]
        self.histories = [path.with_name("history.csv") for path in self.trainings]
        for i, (name, seed) in enumerate(names):
            self.run(name, seed, 20 + 200 * i, predictions[i], self.metrics[i], self.trainings[i])
        self.fits = [results / "top_mass_fit/a/1.json"]
        self.fit("a", 1, *self.fits)
        self.comparison = [results / "compare/comparison.json"]
        texts = [self.comparison[0].with_suffix(kind) for kind in (".csv", ".txt")]
        compare(["a", "b"], [1], self.metrics, self.trainings, predictions, *self.comparison, *texts)
        figures = results / "figures"
        self.figures = {
            "comparison": [figures / "comparison.png"],
            "jets": [figures / "flat/masses.png", figures / "gun/average_images.png"],
            "results": [figures / name / "1/predicted.png" for name in ("a", "b")],
            "samples": [],
            "fit": [figures / "a/1/top_mass_shifts.png"],
            "history": [figures / name / f"1/{kind}.png" for name in ("a", "b") for kind in ("loss", "errors")],
        }
        for path in self.all_figures():
            png(path, 2000 if "average" in path.stem else 60)
        self.spend(1.5)

    def run(self, name: str, seed: int, width: float, predictions: Path, metrics: Path, training: Path) -> None:
        """One training whose predictions are so many GeV wide."""
        rng = np.random.default_rng(1)
        mass = rng.uniform(86, 500, 400)
        predicted = mass + width * rng.standard_normal(400)
        for path in (predictions, metrics, training):
            path.parent.mkdir(parents=True)
        jets = {"pt": np.full(400, 500.0), "ieta": np.zeros(400)}
        jets |= {"jet_mass": 0.8 * mass, "softdrop_mass": np.full(400, np.nan)}
        jets |= {"quarks_in_window": np.where(np.arange(400) % 4, 3, 1), "quarks_in_jet": np.full(400, np.nan)}
        Predictions(event=np.arange(400), mass=mass, predicted=predicted, **jets).save(predictions)
        others = {"summary": metrics.with_name("summary.txt"), "spreadsheet": metrics.with_name("metrics.csv")}
        bootstrap = {"resamples": 20, "level": 0.68, "seed": 1}
        scored = {"experiment": name, "seed": seed, "bins": BINS, "min_mass": 85, "bootstrap": bootstrap}
        evaluate(predictions, {}, metrics, **others, **scored)
        about = {"network": "resnet15", "parameters": 1000, "layers": ["ecal"], "jets": 300, "device": "cpu"}
        about |= {"precision": "float32", "threads": 2, "processes": 1}
        about |= {"epochs": 2, "seconds": 3.5, "jets_per_second": 99, "config": config_of_run(name, SIMULATED)}
        about |= {"distributions": [["ecal (GeV)", "100%", "241.8", "0.13", "0.39", "7.8"]]}
        training.write_text(json.dumps(about))
        training.with_name("history.csv").write_text("epoch,mae,mre,learning_rate\n1,50,0.3,0.001\n2,40,0.2,0.0005\n")

    def fit(self, name: str, seed: int, path: Path) -> None:
        """Fits of the top mass, one shift of which is undefined."""
        number = {"value": 0.25, "error": 0.02}
        fit = {"estimator": "network", "background": False, "sigma": number, "closure": [{"true": 172.5} | number]}
        fit |= {"nominal": number, "shifts": {"fsr_up": number, "far": None}, "quadratic_sum": None}
        content = {"version": FIT_VERSION, "experiment": name, "seed": seed, "jets": 10_000, "fits": [fit]}
        content["samples"] = [{"name": "wide", "jets": 900, "effective_jets": 400.5, "common": 0.0}]
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(content))

    def all_figures(self) -> list[Path]:
        return [path for paths in self.figures.values() for path in paths]

    def spend(self, seconds: float) -> None:
        """Note what a stage took."""
        (self.results / "benchmark").mkdir(exist_ok=True)
        (self.results / "benchmark/train.tsv").write_text(f"s\tcpu_time\tmax_rss\n{seconds}\t-\t100\n")

    def show(self) -> str:
        """Make the page; its text."""
        files = (self.metrics, self.histories, self.trainings, [], self.fits, self.comparison, self.figures)
        write_report(self.page, REPOSITORY, *files, DEFAULT, PACKAGES)
        return self.page.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory) -> Run:
    return Run(tmp_path_factory.mktemp("page") / "results")


@pytest.fixture
def run(finished_run, tmp_path) -> Run:
    """The same results, to be spoilt."""
    shutil.copytree(finished_run.results, tmp_path / "results")
    copy = object.__new__(Run)

    def moved(paths: list[Path]) -> list[Path]:
        return [tmp_path / "results" / path.relative_to(finished_run.results) for path in paths]

    copy.results, copy.page = tmp_path / "results", tmp_path / "results/report.html"
    for name in ("metrics", "trainings", "histories", "fits", "comparison"):
        setattr(copy, name, moved(getattr(finished_run, name)))
    copy.figures = {name: moved(paths) for name, paths in finished_run.figures.items()}
    return copy


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium; Debian's package is called so")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=FLAGS)
        yield opened
        opened.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 800, 1400])
def test_in_a_browser_all_is_there_and_nothing_sticks_out(finished_run, browser, width, scheme):
    finished_run.show()
    tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    asked, complaints = [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("console", lambda message: complaints.append(message.text))
    tab.goto(finished_run.page.as_uri())
    assert {url.split(":")[0] for url in asked if url != finished_run.page.as_uri()} <= {"data"} and complaints == []
    pictures = tab.locator("img").evaluate_all("all => all.map(each => [each.complete, each.naturalWidth, each.alt])")
    assert len(pictures) == len(finished_run.all_figures()) and all(map(all, pictures))
    wide = tab.locator("body *:not(thead, thead *)").evaluate_all(
        "all => all.filter(each => each.getBoundingClientRect().right > innerWidth + 0.5).map(each => each.outerHTML)"
    )
    assert wide == [] and tab.evaluate("document.documentElement.scrollWidth") == width
    paper, ink = (tab.evaluate(f"getComputedStyle(document.body).{name}") for name in ("backgroundColor", "color"))
    cut = "all => all.filter(each => each.scrollWidth > each.clientWidth + 1).map(each => each.outerHTML)"
    assert tab.locator("tbody td").evaluate_all(cut) == []
    bright = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (paper, ink)]
    assert (bright[0] > bright[1] + 400) == (scheme == "light") and (bright[0] + 400 < bright[1]) == (scheme == "dark")
    tab.close()


def test_the_numbers_of_the_table_are_those_of_the_metrics(finished_run, browser):
    finished_run.show()
    tab = browser.new_page()
    tab.goto(finished_run.page.as_uri())
    rows = (
        tab.locator("#scores table")
        .first.locator("tbody tr")
        .evaluate_all("all => all.map(row => [...row.cells].map(cell => [cell.dataset.head, cell.textContent]))")
    )
    found = [inclusive(json.loads(path.read_text()))["scores"] for path in finished_run.metrics]
    networks = [each.pop("network") for each in found]
    assert [row[0][1] for row in rows] == ["network a, seed 1", "network b, seed 1", *map(TITLES.get, found[0])]
    for row, scores in zip(rows, [*networks, *found[0].values()], strict=True):
        shown = {head.split(",")[0].lower().replace(" ", "_"): text for head, text in row[1:]}
        assert shown.keys() == scores.keys()
        for name, number in scores.items():
            factor = 100 if METRICS[name].unit == "%" else 1
            wanted = [] if number is None else [factor * number[key] for key in ("value", "low", "high")]
            numbers = [float(text) for text in re.findall(r"-?[\d.]+", shown[name].replace("−", "-").replace(",", " "))]
            assert numbers == pytest.approx(wanted, abs=0.0051), name
    tab.close()


def test_the_fits_of_the_top_mass_are_a_section_of_their_own(finished_run):
    page = finished_run.show()
    section = page[page.index('<section id="top-mass-fit">') :]
    assert "0.250</span> <small>± 0.020" in section and ">outside<" in section
    finished_run.fits, fits = [], finished_run.fits
    assert "Fit of the top mass" not in finished_run.show()
    finished_run.fits = fits


def test_each_model_has_its_card_linked(finished_run):
    page = finished_run.show()
    assert all(f'<a href="train/{name}/1/MODEL.md">{name}, seed 1</a>' in page for name in ("a", "b"))


def test_contained_jets_are_scored_beside_the_others_where_it_is_known(run):
    page = run.show()
    metrics = [json.loads(path.read_text()) for path in run.metrics]
    parts = {region["by"]: region for region in metrics[0]["regions"] if region["mass"] is None}
    (table,) = re.findall(r"<caption>The same by containment.*?</table>", page, re.S)
    assert "300 contained, 100 not contained" in table
    for name, title in TITLES.items():
        if name in parts["all"]["scores"]:
            (row,) = re.findall(
                rf'rowheader">{"network a, seed 1" if name == "network" else title}</th>.*?</tr>', table, re.S
            )
            shown = [
                float(value.replace(",", "")) for value in re.findall(r'data-head="MAE.*?<span>(.*?)</span>', row, re.S)
            ]
            maes = [parts[by]["scores"][name]["mae"]["value"] for by in ("contained", "not contained")]
            assert shown == pytest.approx(maes, abs=0.0051)
    for path, each in zip(run.metrics, metrics, strict=True):
        each["regions"] = [region for region in each["regions"] if region["quarks"] is None]
        path.write_text(json.dumps(each))
    assert "containment" not in run.show()


def test_networks_are_compared_with_trees_that_are_told_as_much_where_these_are_fitted(run):
    assert "Differences on the same jets; in brackets the 68% interval, by bootstrap over events<" not in run.show()
    for path, mae in zip(run.metrics, (-1.25, 3.5), strict=True):
        number = {"value": mae, "low": mae - 1, "high": mae + 1}
        differences = {"trees_subjets": dict.fromkeys(("mae", "mre", "resolution", "bias"), number)}
        path.write_text(json.dumps(json.loads(path.read_text()) | {"differences": differences}))
    tables = re.findall(r"<caption>Differences on the same jets; in brackets the 68% .*?</table>", run.show(), re.S)
    (table,) = [table for table in tables if "GBDT, subjet features" in table]
    for name, mae in (("a", "−1.25"), ("b", "3.50")):
        (row,) = re.findall(rf'rowheader">network {name}, seed 1 − GBDT, subjet features</th>.*?</tr>', table, re.S)
        assert f"<span>{mae}</span>" in row


def test_a_network_that_is_not_better_is_said_to_be_so_and_no_other(finished_run):
    page = finished_run.show()
    assert "b, seed 1: the network" in page and "a, seed 1: the network" not in page


def test_the_same_results_give_the_same_bytes_but_for_the_section_of_the_run(run):
    first = run.show()
    run.spend(99)
    second = run.show()
    sections = [page.partition('<section id="run">') for page in (first, second)]
    assert sections[0][0] == sections[1][0] and sections[0][2] != sections[1][2]


def test_what_a_user_wrote_is_text(finished_run):
    assert "&lt;b&gt;" in finished_run.show() and "<script" not in finished_run.show()


def test_figures_without_room_are_linked(run):
    for i, path in enumerate(run.figures["results"]):
        png(path, 2500, 2500, noise=i + 1)
    page = run.show()
    assert len(page) < 10e6 and page.count("<img") == len(run.all_figures()) - 1
    (link,) = re.findall(r'class="linked" href="(.*?)"', page)
    assert link == "figures/b/1/predicted.png" and "1 of them linked" in page


CHECKSUMS = {
    "asked for": ({"url": "https://host/x", "name": "x", "checksum": "md5:abc"}, "md5:abc"),
    "found at the download": ({"url": "https://host/x", "name": "x"}, f"sha256:{64 * '7'}, as downloaded"),
    "of a file of this disk": ({"path": "/data/x"}, "–"),
}


@pytest.mark.parametrize(("known", "shown"), CHECKSUMS.values(), ids=CHECKSUMS)
def test_the_checksum_of_an_input(known, shown, run):
    (run.results / "download/mine").mkdir(parents=True)
    (run.results / "download/mine/x.sha256").write_text(f"{64 * '7'}  x\n")
    for path in run.trainings:
        config = config_of_run(path.parts[-3], {"files": [known]})
        path.write_text(json.dumps(json.loads(path.read_text()) | {"config": config}))
    page = run.show()
    assert f'data-head="checksum">{shown}</td>' in page


SPOILT = {
    "metrics of an older version": (
        "evaluate/a/1/metrics.json",
        lambda text: text.replace(f": {METRICS_VERSION}", ": 1", 1),
    ),
    "metrics that lack an estimator's": ("evaluate/b/1/metrics.json", lambda text: text.replace('"rmse"', '"x"')),
    "metrics cut short": ("evaluate/a/1/metrics.json", lambda text: text[:100]),
    "a comparison of another form": ("compare/comparison.json", lambda text: text.replace('"mean"', '"average"')),
    "a comparison of another version": ("compare/comparison.json", lambda text: text.replace(": 3", ": 7", 1)),
    "a comparison that is a list": ("compare/comparison.json", lambda text: "[]"),
    "a history without an epoch": ("train/a/1/history.csv", lambda text: text.splitlines()[0]),
    "a training that says nothing": ("train/b/1/training.json", lambda text: "{}"),
    "a benchmark of something else": ("benchmark/train.tsv", lambda text: "a\n1\n"),
    "a figure that is none": ("figures/a/1/predicted.png", lambda text: "GIF89a"),
}


@pytest.mark.parametrize(("file", "spoil"), SPOILT.values(), ids=SPOILT)
def test_what_cannot_be_shown_is_named_and_the_page_stays_as_it_was(file, spoil, run):
    path = run.results / file
    path.write_text(spoil(path.read_text(errors="replace")))
    before = run.page.write_text("the page of before")
    with pytest.raises(BadInput) as error:
        run.show()
    assert file in str(error.value) and "\n" not in str(error.value)
    assert run.page.stat().st_size == before and not list(run.results.glob(".*"))


def test_a_figure_that_is_gone_and_one_without_a_caption_are_named(run):
    stranger = run.results / "figures/a/1/stranger.png"
    run.figures["results"].append(stranger)
    with pytest.raises(FileNotFoundError, match=re.escape(str(stranger))):
        run.show()
    png(stranger)
    with pytest.raises(BadInput, match=r"workflow/report/stranger\.rst: no caption"):
        run.show()


def test_a_stage_costs_what_its_jobs_cost_together_and_the_memory_of_the_largest(tmp_path):
    for i, memory in enumerate((100, 300, 200)):
        (tmp_path / "simulate/gun").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"simulate/gun/{i}.tsv").write_text(
            f"s\th:m:s\tmax_rss\tcpu_time\n{i + 0.5}\t0:00:0{i}\t{memory}\t1\n"
        )
    (cost,) = stage_costs(tmp_path).itertuples()
    assert (cost.Index, cost.jobs, cost.seconds, cost.cpu_seconds, cost.peak) == ("simulate", 3, 4.5, 3, 300)


def test_a_job_of_microseconds_costs_what_its_exponent_says_and_a_dash_nothing(tmp_path):
    (tmp_path / "report.tsv").write_text("s\tmax_rss\tcpu_time\n1e-05\t-\tNA\n")
    (cost,) = stage_costs(tmp_path).itertuples()
    assert (cost.Index, cost.seconds, cost.cpu_seconds, cost.peak) == ("report", 1e-05, 0, 0)


def git(folder: Path, *arguments: str) -> None:
    author = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
    subprocess.run(["git", *author, *arguments], cwd=folder, check=True, capture_output=True)


def test_the_commit_is_that_of_the_repository_and_of_none_around_it(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("1")
    (tmp_path / "project").mkdir()
    git(tmp_path, "init")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-m", "first")
    assert re.fullmatch(r"[0-9a-f]{7,}", commit(tmp_path)) and commit(tmp_path / "project") == UNKNOWN_COMMIT
    (tmp_path / "file").write_text("2")
    assert re.fullmatch(r"[0-9a-f]{7,}\+", commit(tmp_path))
    monkeypatch.setenv("PATH", "")
    assert commit(tmp_path) == UNKNOWN_COMMIT


def test_a_training_records_no_secret_of_a_url():
    files = [{"url": "https://somebody:password@host/jets.parquet?token=hidden"}]
    config = config_of_run("a", {"files": files})
    recorded = json.dumps(config_of(config, "a"), ensure_ascii=False)
    assert "https://host/jets.parquet?…" in recorded
    assert not any(secret in recorded for secret in ("somebody", "password", "hidden"))


def test_the_settings_are_those_that_the_results_were_made_with(run):
    page = run.show()
    for key, here in (("experiments.a.recipe.epochs", "2"), ("experiments.b.network.name", "resnet15")):
        assert re.search(rf"{key}</th>.*?>{here}</td>", page, re.S)
    assert "evaluate.min_mass" not in page and "evaluate.bootstrap.resamples" in page
    assert "300 jets simulated with seed 1" in page


def test_a_report_names_the_model_files_that_its_scores_are_of(run):
    path = run.metrics[0]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model": "0123456789abcdef"}))
    assert "0123456789abcdef" in run.show()


def test_settings_that_differ_are_all_told_by_their_whole_key():
    default = {"run": {"seeds": [1]}, "samples": {"gun": {"jets": 10, "seed": 1}}, "gone": 1}
    here = {"run": {"seeds": [1, 2]}, "samples": {"gun": {"jets": 10, "seed": 1}, "mine": {"files": [{"path": "x"}]}}}
    assert setting_differences(here, default) == [
        ["run.seeds", "[1]", "[1, 2]"],
        ["samples.mine.files.0.path", "", "x"],
    ]
