"""Lab 10: its trainings call what the student writes, and its explorer shows what it is given."""

import ipywidgets as widgets
import pytest
from helpers.counting import counted

from course_utils.networks import vgg_mini
from course_utils.pictures.slimming_explorer import plan_above, sentence, slimming_explorer
from course_utils.records import Scales, SlimmingStudy, Study
from minicifar import Loader, MiniCIFAR
from solutions import while_training
from solutions.autoprune import autoprune
from solutions.feedback import train_with_feedback
from solutions.slimming import slim
from solutions.soft_threshold import Thresholding, train_softened


@pytest.fixture
def loader() -> Loader:
    images = MiniCIFAR("train", n_classes=4, R=250, synthetic=True)
    return Loader(images, batch_size=20, shuffle=True, augment=True)


def test_slimming_calls_what_the_student_writes(loader: Loader) -> None:
    calls, mine = counted(while_training, ("slimming_step", "absorbed_bias"))
    slim(vgg_mini(widths=(6, 8)), loader, 0.5, 3, strength=0.1, progress=False, **mine)
    assert calls["slimming_step"] == 2 * len(loader) and calls["absorbed_bias"] >= 1


def test_soft_thresholds_call_what_the_student_writes(loader: Loader) -> None:
    calls, mine = counted(while_training, ("soft_threshold", "soft_threshold_gradient"))
    thresholding = Thresholding(*mine.values())
    train_softened(vgg_mini(widths=(6, 8)), loader, 1, thresholding=thresholding, progress=False)
    assert calls["soft_threshold_gradient"] == 3 * len(loader) and calls["soft_threshold"] >= 3 * len(loader)


def test_feedback_and_autoprune_call_what_the_student_writes(loader: Loader) -> None:
    calls, mine = counted(while_training, ("dense_update", "auxiliary_step"))
    network = vgg_mini(widths=(6, 8))
    train_with_feedback(network, loader, 0.5, 2, dense_update=mine["dense_update"], progress=False)
    assert calls["dense_update"] == 2 * len(loader)
    autoprune(network, loader, 3, auxiliary_step=mine["auxiliary_step"], progress=False)
    assert calls["auxiliary_step"] > 0 and calls["auxiliary_step"] % 3 == 0  # of three layers in each mask step


def scales(strength: float, epoch: int, *layers: tuple[float, ...]) -> Scales:
    return Scales(strength, 0, epoch, tuple((f"features.{number}", layer) for number, layer in enumerate(layers)))


def study() -> Study[SlimmingStudy]:
    about = SlimmingStudy(images="these", network="n", epochs=1, searching=4)
    records = [
        scales(0.01, 0, (1.0, 1.0), (1.0, 1.0)),
        scales(0.01, 4, (0.5, 0.0), (0.9, 0.2)),
        scales(0.1, 4, (0.01, 0.0), (0.9, 0.0)),
    ]
    return Study(about, list(records))


def test_the_explorer_says_what_is_left_and_which_layers_are_at_the_floor() -> None:
    shown = slimming_explorer(study(), lambda plan: sum(map(len, plan.values())) / 4)
    strength, threshold, words, _ = shown.children  # type: ignore[attr-defined]
    assert isinstance(words, widgets.HTML) and "2 of 4 channels go, <b>50.0% of the MACs" in words.value
    assert "features.0" in words.value
    strength.value = 0.01
    assert "1 of 4 channels go" in words.value and "below the threshold" not in words.value
    threshold.value = 0.95
    assert "All scales of features.0, features.1 are below the threshold" in words.value


def test_a_threshold_leaves_the_largest_of_a_layer() -> None:
    layers = {"a": [0.1, 0.3, 0.2], "b": [0.9, 0.5]}
    assert plan_above(layers, 0.4) == {"a": [1], "b": [0, 1]}
    assert plan_above(layers, 0.0) == {"a": [0, 1, 2], "b": [0, 1]}
    assert sentence(layers, plan_above(layers, 0.2), 0.2, 0.5).startswith("1 of 5 channels go")
