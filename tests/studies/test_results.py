"""The table of results: every method on a small network, resumed, and what is written of it."""

import copy
import functools
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers.noise import Noise

from course_utils import networks
from course_utils.networks import parameter_count, vgg_mini
from course_utils.pictures import study_plots
from course_utils.records import MethodResult, MethodStudy, Refusal, ShapeTime, Study, open_study, read_study
from solutions import speedup
from solutions.graph.groups import Group
from solutions.prunable import prunable_groups
from studies import results
from studies.methods import METHODS, Task
from studies.pages import markdown, markdown_table, overview, rows
from studies.results import Planned
from studies.runs import at_most


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speedup, "LEAST_SECONDS", 0.001)


DOCS = Path(__file__).parents[2] / "docs"
NETWORK = vgg_mini(widths=(6, 8)).eval()


@functools.cache
def groups() -> list[Group]:
    return [group for group in prunable_groups(NETWORK, torch.zeros(2, 3, 32, 32)) if group.free]


@pytest.fixture
def task(tmp_path: Path) -> Task:
    return Task(copy.deepcopy(NETWORK), groups(), Noise(), list(Noise()), Noise(), 0.5, 2, 1, 0, tmp_path)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_leaves_half_of_everything_but_the_control_does_not(method: str, task: Task) -> None:
    pruned, before = METHODS[method](task)
    left = results.measured(Planned(method, 0.5, 0), pruned, before, task.network, Noise())
    if method == "magnitude masks":
        assert pruned.features[0].out_channels == 6 and 0.4 < left.parameters_left < 0.65 and left.macs_left == 1
    elif method == "not pruned":
        assert left.parameters_left == left.macs_left == 1 and pruned is not task.network
    else:
        assert [pruned.features[0].out_channels, pruned.features[3].out_channels] == [3, 4]
        assert left.parameters == parameter_count(vgg_mini(widths=(3, 4)))
        assert left.parameters_left == round(left.parameters / parameter_count(task.network), 5)
    assert (before is None) == (method in ("L1, four steps", "from scratch"))


def result(method: str, accuracy: float, keep_ratio: float = 0.5, seed: int = 0) -> MethodResult:
    return MethodResult(method, keep_ratio, seed, 0.4, accuracy, 0.25, 0.3, 1000, 2000, original_accuracy=0.86)


ABOUT = MethodStudy(
    images="these",
    dataset="minicifar",
    network="vgg_mini",
    epochs=25,
    retraining=12,
    batch_size=64,
    description="images",
    made_with="PyTorch",
)
RESULTS = [result("L1", 0.84), result("L1", 0.86, seed=1), result("Taylor", 0.87)]
OTHERS = [ShapeTime(1000, 2000, 20.0, 3.0), Refusal("ThiNet", "no single layer reads these channels")]
STUDY = Study(ABOUT, [*RESULTS, *OTHERS])


def with_more(*others: MethodResult) -> Study[MethodStudy]:
    return Study(ABOUT, [*STUDY.records, *others])


def test_a_line_has_mean_spread_and_change() -> None:
    best, other = rows(STUDY)
    assert best == ("Taylor", "50%", "40.0%", "87.0 %", "+1.0", "25.0%", "30.0%", "20.0 ms", "3.00")
    assert other[:5] == ("L1", "50%", "40.0%", "85.0 ± 1.4 %", "-1.0")


def test_the_overview_has_a_line_for_each_method_and_a_column_for_each_ratio() -> None:
    study = with_more(result("L1", 0.8, 0.2), result("not pruned", 0.9, 1.0), result("magnitude masks", 0.7, 0.2))
    assert overview(study) == [
        ("filters kept", "100%", "50%", "20%"),
        ("parameters left", "25.0%", "25.0%", "25.0%"),
        ("MACs left", "30.0%", "30.0%", "30.0%"),
        ("times as fast", "3.0", "3.0", "3.0"),
        ("not pruned", "90.0", "", ""),
        ("Taylor", "", "87.0", ""),
        ("L1", "", "85.0 ± 1.4", "80.0"),
        ("magnitude masks (share of the weights)", "", "", "70.0"),
    ]


def test_masks_alone_have_no_narrow_network_whose_cost_could_be_said() -> None:
    lines = overview(Study(ABOUT, [result("magnitude masks", 0.8), *OTHERS]))
    assert lines[:4] == [("filters kept", "50%"), ("parameters left", ""), ("MACs left", ""), ("times as fast", "")]


def test_the_page_says_what_was_measured_and_what_is_missing() -> None:
    page = markdown(STUDY)
    assert "Images: images. PyTorch. 25 epochs, then 12 more" in page and page.count("| Taylor |") == 2
    assert "ThiNet is not there: no single layer reads these channels" in page


def test_the_plot_has_a_line_for_each_method_of_a_panel_and_one_of_the_unpruned_network() -> None:
    for study, unpruned in ((STUDY, 0.86), (with_more(result("not pruned", 0.88, 1.0)), 0.88)):
        panels = study_plots.method_curves(study, {"one": ["L1", "Taylor"], "another": ["L1"]}).axes
        assert [[line.get_label() for line in axis.get_lines()] for axis in panels] == [
            ["L1", "Taylor", "not pruned"],
            ["L1", "not pruned"],
        ]
        assert panels[0].get_lines()[-1].get_ydata()[0] == pytest.approx(unpruned)


@pytest.mark.parametrize("path", sorted(DOCS.glob("results/*-*.md")), ids=lambda path: path.stem)
def test_a_page_of_the_project_is_that_of_its_results(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == markdown(read_study(path.with_suffix(".jsonl")))


def test_the_results_that_the_readme_shows_are_whole() -> None:
    study = read_study(DOCS / "results/minicifar-vgg_mini.jsonl")
    runs = results.planned(results.ALL_METHODS, results.KEEP_RATIOS, range(3))
    assert {(run.method, run.keep_ratio, run.seed) for run in study.of(MethodResult)} == set(runs)
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    assert "\n".join(markdown_table(overview(study))) in readme


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Images that are noise, and a network that is trained already."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(results, "Loader", lambda *_, **__: Noise())
    monkeypatch.setattr(results, "scoring_batches", lambda *_: list(Noise()))
    monkeypatch.setattr(results, "trained", lambda *_: networks.vgg_mini(widths=(4, 4)).eval())
    return SimpleNamespace(fingerprint="these", classes=range(4), source=SimpleNamespace(description="noise"))


def stopped(*_: Any) -> Any:
    raise KeyboardInterrupt


def test_a_stopped_study_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch, small: Any, tmp_path: Path) -> None:
    path, about = tmp_path / "r.jsonl", replace(ABOUT, epochs=1, retraining=1)
    runs = results.planned(["L1", "OBD"], [0.5], [0])
    with monkeypatch.context() as within:
        within.setattr(results, "timed", stopped)
        with pytest.raises(KeyboardInterrupt):
            results.carry_out(open_study(path, about), runs, small, Noise(), "cpu")
    assert not path.exists(), "no result without its time"
    with monkeypatch.context() as within:
        within.setattr(results, "METHODS", {**METHODS, "OBD": stopped})
        with pytest.raises(KeyboardInterrupt):
            results.carry_out(open_study(path, about), runs, small, Noise(), "cpu")
    (first,) = read_study(path).of(MethodResult)
    assert (first.method, first.keep_ratio, first.seed) == ("L1", 0.5, 0)
    with monkeypatch.context() as within:
        within.delattr(results, "timed")  # a shape is timed once
        results.carry_out(open_study(path, about), runs, small, Noise(), "cpu")
    again, second = read_study(path).of(MethodResult)
    assert again == first and second.method == "OBD"
    assert read_study(path).about.description == "noise"


def test_a_method_that_does_not_fit_is_asked_once(monkeypatch: pytest.MonkeyPatch, small: Any, tmp_path: Path) -> None:
    asked = []

    def refuse(task: Task) -> Any:
        asked.append(task.keep_ratio)
        raise ValueError("not this network")

    monkeypatch.setattr(results, "METHODS", {"ThiNet": refuse})
    study = open_study(tmp_path / "r.jsonl", ABOUT)
    for _ in range(2):
        results.carry_out(study, results.planned(["ThiNet"], [0.5, 0.3], [0]), small, Noise(), "cpu")
    assert asked == [0.5] and read_study(tmp_path / "r.jsonl").records == [Refusal("ThiNet", "not this network")]


def test_a_stop_is_said_and_leaves_a_page(
    monkeypatch: pytest.MonkeyPatch, small: Any, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    def one_run(study: Study[MethodStudy], *_: Any) -> None:
        study.add(result("L1", 0.84), *OTHERS)
        raise KeyboardInterrupt

    small.source.synthetic = True
    monkeypatch.setattr(results, "load", lambda *_: small)
    monkeypatch.setattr(results, "carry_out", one_run)
    results.main(tmp_path / "r.jsonl")
    assert "Stopped; the same call goes on from here." in capsys.readouterr().out
    assert "| L1 | 50% |" in (tmp_path / "r.md").read_text() and (tmp_path / "r.png").exists()


def test_a_piece_ends_in_time() -> None:
    with pytest.raises(KeyboardInterrupt), at_most(0.0005):
        signal.pause()
