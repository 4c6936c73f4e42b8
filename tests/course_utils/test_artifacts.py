"""How a network that was handed in is judged."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from autograder.authoring import thresholds
from autograder.authoring.editions import LabError
from course_utils import artifacts
from course_utils.checking import Outcome, Verdict
from course_utils.explaining import NotComparable
from course_utils.onnx_files.measuring import Measured


def network(accuracy: float, fingerprint: str = "here") -> Measured:
    return Measured(1000, 1000, 2000, accuracy, 0.5, fingerprint, 0.1)


@pytest.fixture
def images(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """Images and a threshold of their own: full marks down to a loss of 0.01 + 3 * 0.01."""
    source = SimpleNamespace(synthetic=False, dataset="cifar10")
    images = SimpleNamespace(fingerprint="here", source=source)
    record = tmp_path / "thresholds.json"
    record.write_text('{"pruned": {"cifar10": {"mean_drop": 0.01, "std_drop": 0.01}}}')
    monkeypatch.setattr(artifacts, "test_images", lambda: images)
    monkeypatch.setattr(artifacts, "THRESHOLDS", record)
    return images


@pytest.mark.parametrize(("accuracy", "share"), [(0.90, 1), (0.86, 1), (0.785, 0.5), (0.71, 0), (0.25, 0)])
def test_points_fall_on_a_line(images: SimpleNamespace, accuracy: float, share: float) -> None:
    earned, _ = artifacts.ramp("pruned", network(accuracy), network(0.9))
    assert earned == pytest.approx(share)


def test_the_sentence_says_both_ends_of_the_line(images: SimpleNamespace) -> None:
    _, message = artifacts.ramp("pruned", network(0.8), network(0.9))
    assert "full marks from 86.0%, none below 71.0%" in message


def test_synthetic_images_are_said(images: SimpleNamespace) -> None:
    images.source.synthetic = True
    artifacts.THRESHOLDS.write_text('{"pruned": {"synthetic": {"mean_drop": 0, "std_drop": 0}}}')
    assert "synthetic images" in artifacts.ramp("pruned", network(0.8), network(0.9))[1]


def test_without_a_threshold_a_person_decides(images: SimpleNamespace) -> None:
    with pytest.raises(NotComparable, match="a person grades"):
        artifacts.ramp("unheard of", network(0.8), network(0.9))


def test_other_images_are_not_comparable(
    images: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "pruned.onnx"
    file.touch()
    monkeypatch.setattr(artifacts, "measured_at", lambda path, changed: network(0.3, "elsewhere"))
    with pytest.raises(NotComparable, match="not a 0"):
        artifacts.measured(file)


@pytest.mark.parametrize(
    ("moved", "unseen", "says"),
    [
        (0.8, 0.85, None),
        (0.3, 0.85, "by heart"),
        (0.85, 0.28, "28.0% of the validation images: it seems to know the test images"),
    ],
)
def test_images_known_by_heart_are_left_to_a_person(
    images: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    moved: float,
    unseen: float,
    says: str | None,
) -> None:
    file = tmp_path / "pruned.onnx"
    file.touch()
    monkeypatch.setattr(artifacts, "measured_at", lambda path, changed: network(0.9))
    monkeypatch.setattr(artifacts, "accuracy_when_moved", lambda path, changed: moved)
    monkeypatch.setattr(artifacts, "accuracy_unseen", lambda path, changed: unseen)
    if says is None:
        assert artifacts.measured(file).accuracy == 0.9
    else:
        with pytest.raises(NotComparable, match=says):
            artifacts.measured(file)


@pytest.mark.parametrize("macs_earn", [0, 1])
def test_a_recipe_must_pass_its_own_checks(monkeypatch: pytest.MonkeyPatch, macs_earn: float) -> None:
    macs = Outcome("test_enough_macs_are_gone", 1, macs_earn, "" if macs_earn else "32.5% are left")
    accuracy = Outcome("test_accuracy", 4, 0, "no threshold is recorded yet", set_aside=True)
    monkeypatch.setattr(thresholds, "check", lambda name, _: Verdict(name, (macs, accuracy)))
    monkeypatch.setattr(thresholds, "measured", lambda file: network(0.8))
    seeds: dict[str, Any] = {}
    if macs_earn:
        assert thresholds.accuracy_of_seed("lab5_criteria", 7, seeds, "made_with = dict(seed=0)") == 0.8
        assert seeds["made_with"] == {"seed": 7}
    else:
        with pytest.raises(LabError, match=r"seed 7: enough macs are gone .* 32\.5% are left"):
            thresholds.accuracy_of_seed("lab5_criteria", 7, seeds, "seed=0")


def test_the_recorded_thresholds_come_from_20_seeds_on_real_images_and_5_on_synthetic_ones() -> None:
    import json

    record = json.loads(artifacts.THRESHOLDS.read_text())
    least = {"cifar10": 20, "synthetic": 5}
    assert all(entry["seeds"] >= least[kind] for kinds in record.values() for kind, entry in kinds.items())
    pruned = (f"lab{number}_pruned" for number in (3, 4, 5, 6, 7))
    for name in ("lab0_baseline", *pruned, "lab2_masked", "lab8_alpha", "lab9_aofp", "lab10_slimmed"):
        assert list(record[name]) == ["cifar10", "synthetic"]
