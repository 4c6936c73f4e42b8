"""The table of results: every method on a small network, resumed, and what is written of it."""

import copy
import functools
import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.noise import Noise

from course_utils import networks
from course_utils.networks import parameter_count, vgg_mini
from course_utils.pictures import study_plots
from solutions import speedup
from solutions.graph.groups import Group
from solutions.prunable import prunable_groups
from studies import results
from studies.results import METHODS, Run, markdown, rows
from studies.runs import at_most, keep_results, read_results


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speedup, "LEAST_SECONDS", 0.001)


DOCS = Path(__file__).parents[2] / "docs"
NETWORK = vgg_mini(widths=(6, 8)).eval()


@functools.cache
def groups() -> list[Group]:
    return [group for group in prunable_groups(NETWORK, torch.zeros(2, 3, 32, 32)) if group.free]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(copy.deepcopy(NETWORK), groups(), Noise(), list(Noise()), Noise(), 0.5, 2, 1, 0, tmp_path)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_leaves_half_of_everything_but_the_control_does_not(method: str, run: Run) -> None:
    pruned, before = METHODS[method](run)
    left = results.measured(pruned, run.network, before, Noise())
    if method == "magnitude masks":
        assert pruned.features[0].out_channels == 6 and 0.4 < left["parameters_left"] < 0.65 and left["macs_left"] == 1
    elif method == "not pruned":
        assert left["parameters_left"] == left["macs_left"] == 1 and pruned is not run.network
    else:
        assert [pruned.features[0].out_channels, pruned.features[3].out_channels] == [3, 4]
        assert left["parameters_left"] == round(
            parameter_count(vgg_mini(widths=(3, 4))) / parameter_count(run.network), 5
        )
    assert (before is None) == (method in ("L1, four steps", "from scratch"))


def result(accuracy: float, original: float = 0.86) -> dict[str, Any]:
    shares = {"before_retraining": 0.4, "parameters_left": 0.25, "macs_left": 0.3}
    return {"accuracy": accuracy, "original_accuracy": original, **shares, "shape": "half"}


FOUND = {
    "network": "vgg_mini",
    "dataset": "minicifar",
    "description": "images",
    "versions": "PyTorch",
    "epochs": 25,
    "retraining": 12,
    "results": {f"{m} | 0.5 | {s}": result(a) for m, s, a in (("L1", 0, 0.84), ("L1", 1, 0.86), ("Taylor", 0, 0.87))},
    "times": {"half": {"milliseconds": 20.0, "speedup": 3.0}},
    "refused": {"ThiNet": "no single layer reads these channels"},
}


def test_a_line_has_mean_spread_and_change() -> None:
    best, other = rows(FOUND)
    assert best == ("Taylor", "50%", "40.0%", "87.0 %", "+1.0", "25.0%", "30.0%", "20.0 ms", "3.00")
    assert other[:5] == ("L1", "50%", "40.0%", "85.0 ± 1.4 %", "-1.0")


def test_the_overview_has_a_line_for_each_method_and_a_column_for_each_ratio() -> None:
    others = {"L1 | 0.2 | 0": result(0.8), "not pruned | 1 | 0": result(0.9), "magnitude masks | 0.2 | 0": result(0.7)}
    assert results.overview(FOUND | {"results": FOUND["results"] | others}) == [
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
    lines = results.overview(FOUND | {"results": {"magnitude masks | 0.5 | 0": result(0.8)}})
    assert lines[:4] == [("filters kept", "50%"), ("parameters left", ""), ("MACs left", ""), ("times as fast", "")]


def test_the_page_says_what_was_measured_and_what_is_missing() -> None:
    page = markdown(FOUND)
    assert "Images: images. PyTorch. 25 epochs, then 12 more" in page and page.count("| Taylor |") == 2
    assert "ThiNet is not there: no single layer reads these channels" in page


def test_the_plot_has_a_line_for_each_method_of_a_panel_and_one_of_the_unpruned_network() -> None:
    trained_on = FOUND["results"] | {"not pruned | 1 | 0": result(0.88)}
    for found, unpruned in ((FOUND, 0.86), (FOUND | {"results": trained_on}, 0.88)):
        panels = study_plots.method_curves(found, {"one": ["L1", "Taylor"], "another": ["L1"]}).axes
        assert [[line.get_label() for line in axis.get_lines()] for axis in panels] == [
            ["L1", "Taylor", "not pruned"],
            ["L1", "not pruned"],
        ]
        assert panels[0].get_lines()[-1].get_ydata()[0] == pytest.approx(unpruned)


@pytest.mark.parametrize("path", sorted(DOCS.glob("results/*-*.md")), ids=lambda path: path.stem)
def test_a_page_of_the_project_is_that_of_its_results(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == markdown(
        json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    )


def test_the_results_that_the_readme_shows_are_whole() -> None:
    found = json.loads((DOCS / "results/minicifar-vgg_mini.json").read_text(encoding="utf-8"))
    wanted = {
        f"{method} | {ratio:g} | {seed}" for method in METHODS for ratio in results.KEEP_RATIOS for seed in range(3)
    }
    wanted = {key for key in wanted if not key.startswith("not pruned")} | {
        f"not pruned | 1 | {seed}" for seed in range(3)
    }
    assert set(found["results"]) == wanted
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    assert "\n".join(results.table(results.overview(found))) in readme


def test_a_stopped_study_goes_on_where_it_was(monkeypatch: Any, tmp_path: Path) -> None:
    class Images:
        classes, fingerprint = range(4), "made up"

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(results, "Loader", lambda *_, **__: Noise())
    monkeypatch.setattr(results, "trained", lambda *_: networks.vgg_mini(widths=(4, 4)).eval())
    options = type("Options", (), {"results": tmp_path / "r.json", "network": "vgg_mini", "dataset": "minicifar"})()
    options.seeds, options.keep_ratios, options.methods = [0], [0.5], ["L1", "OBD"]
    options.device, options.epochs, options.retraining, options.batch_size = "cpu", 1, 1, 64
    monkeypatch.setattr(results, "next", lambda _: (torch.zeros(4, 3, 32, 32), torch.arange(4)), raising=False)
    found: dict[str, Any] = {"results": {}}

    def stopped(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as within:
        within.setattr(results, "timed", stopped)
        with pytest.raises(KeyboardInterrupt):
            results.carry_out(options, Images, Noise(), found)
    assert not found["results"], "no result without its time"
    with monkeypatch.context() as within:
        within.setattr(results, "METHODS", {**METHODS, "OBD": stopped})
        with pytest.raises(KeyboardInterrupt):
            results.carry_out(options, Images, Noise(), found)
    first = dict(read_results(options.results, {}))["results"]
    assert list(first) == ["L1 | 0.5 | 0"]
    with monkeypatch.context() as within:
        within.delattr(results, "timed")  # a shape is timed once
        results.carry_out(options, Images, Noise(), found)
    assert list(found["results"]) == ["L1 | 0.5 | 0", "OBD | 0.5 | 0"]
    assert found["results"]["L1 | 0.5 | 0"] == first["L1 | 0.5 | 0"]


def test_results_of_other_images_are_not_mixed(tmp_path: Path) -> None:
    keep_results(tmp_path / "r.json", {"images": "these", "results": {}})
    assert read_results(tmp_path / "r.json", {"images": "these"})["results"] == {}
    with pytest.raises(ValueError, match=r"another images \(these, not those\)"):
        read_results(tmp_path / "r.json", {"images": "those"})


def test_a_piece_ends_in_time() -> None:
    with pytest.raises(KeyboardInterrupt), at_most(0.0005):
        signal.pause()
