"""Files of records: what is read is what was written, and another study's file is not continued."""

from dataclasses import replace
from pathlib import Path

import pytest

from course_utils import records
from course_utils.records import (
    Agreement,
    AlphaResult,
    AlphaStudy,
    AutoencoderResult,
    AutoencoderStudy,
    BudgetResult,
    Correlation,
    CriteriaStudy,
    Curve,
    MethodResult,
    MomentResult,
    MomentStudy,
    Record,
    RedesignResult,
    RedesignTime,
    Refusal,
    ShapeTime,
    Study,
    open_study,
    read_study,
)

ABOUT = CriteriaStudy(images="these", network="vgg_mini", epochs=25, made_with="a GPU")
EACH: list[Record] = [
    MethodResult("L1, four steps", 0.34375, 0, None, 0.8, 0.1, 0.2, 1000, 2000, 0.9),
    ShapeTime(1000, 2000, 20.0, 3.0),
    Refusal("ThiNet", "no \u2028 single layer \n reads × these"),
    MomentResult("vgg_mini", "good", 1, "near the end", 4, 0.2, 0.8, 0.1),
    Correlation(0, "Taylor", 0.7, 0.1, 0.6),
    Curve("Taylor", 2, ((1.0, 1.0, 0.9), (0.5, 0.3, 0.8))),
    AlphaResult("at random", 0, 0.8, 0.1, by_alpha=((0.5, 0.8), (0.0, 0.4)), unmerged_accuracy=0.8),
    AutoencoderResult("together", 1, 0.14, 0.12),
    BudgetResult("AOFP", 0.5, 0, 0.7, 0.8, 0.49, 0.4, (12, 13), 210, 41.5),
    Agreement(0, "features.0", ((5, 0.1), (10, 0.2)), ((5, 0.3), (10, 0.4)), 0.6, 229888, 7.8),
    RedesignResult("pruned", 2, 0.9, 1000, (3, 4)),
    RedesignTime("pruned", 2, "torch", 1234.5, 0.97),
]


@pytest.mark.parametrize(
    "about",
    [
        ABOUT,
        MomentStudy(images="these"),
        AlphaStudy(images="these", baseline_accuracy=0.9),
        AutoencoderStudy(images="scenes", side=64, width=0.25, epochs=60, retraining=30, lr=0.1),
    ],
    ids=lambda about: type(about).__name__,
)
def test_what_is_read_is_what_was_written(about: records.About, tmp_path: Path) -> None:
    study = Study(about, path=tmp_path / "folder" / "r.jsonl")
    study.add(*EACH[:3])
    study.add(*EACH[3:])
    again = read_study(tmp_path / "folder" / "r.jsonl")
    assert again.about == about and again.about.made_with == about.made_with
    assert again.records == EACH and again.of(Curve) == [EACH[5]]


def test_a_new_file_is_empty_and_not_written_before_there_is_a_record(tmp_path: Path) -> None:
    assert open_study(tmp_path / "r.jsonl", ABOUT).records == []
    assert not (tmp_path / "r.jsonl").exists()


def test_a_study_goes_on_whatever_it_was_made_with_and_its_note_stays(tmp_path: Path) -> None:
    open_study(tmp_path / "r.jsonl", ABOUT).add(EACH[4])
    study = open_study(tmp_path / "r.jsonl", replace(ABOUT, made_with="a CPU"))
    assert study.records == [EACH[4]] and study.about.made_with == "a GPU"


def test_results_of_other_images_are_not_mixed(tmp_path: Path) -> None:
    open_study(tmp_path / "r.jsonl", ABOUT).add(EACH[4])
    with pytest.raises(ValueError, match=r"another images \(these, not those\)"):
        open_study(tmp_path / "r.jsonl", replace(ABOUT, images="those"))


def test_another_studys_file_is_not_continued(tmp_path: Path) -> None:
    open_study(tmp_path / "r.jsonl", ABOUT).add(EACH[4])
    with pytest.raises(ValueError, match="another study's file"):
        open_study(tmp_path / "r.jsonl", MomentStudy(images="these"))


@pytest.mark.parametrize("text", ["", "{\n", "[]\n", '{"results": {}}\n'])
def test_a_file_of_something_else_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text(text)
    with pytest.raises(ValueError, match="no file of a study's records"):
        read_study(tmp_path / "r.jsonl")


def test_a_file_of_another_version_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "VERSION", 99)
    Study(ABOUT, path=tmp_path / "r.jsonl").add(EACH[4])
    monkeypatch.undo()
    with pytest.raises(ValueError, match="version 99"):
        read_study(tmp_path / "r.jsonl")


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study(ABOUT, path=tmp_path / "r.jsonl")
    study.add(EACH[4])
    monkeypatch.setattr(Path, "write_text", stop)
    with pytest.raises(KeyboardInterrupt):
        study.add(EACH[5])
    monkeypatch.undo()
    assert read_study(tmp_path / "r.jsonl").records == [EACH[4]]


def stop(*_: object, **__: object) -> None:
    raise KeyboardInterrupt
