"""Lab 0's exercises against the shipped, fast versions of the same things, and the lab's own promises."""

import math
import os

import matplotlib
import numpy as np
import pytest
import torch

from autograder.authoring.editions import exercise_source, points, references, source_edition
from course_utils.networks import vgg_mini
from course_utils.pictures import plots
from course_utils.pictures.augmentation_explorer import augmentation_explorer
from course_utils.training import evaluate, train
from minicifar import CIFAR10, MEAN, STD, Loader, MiniCIFAR
from minicifar.choices import mini_positions
from minicifar.loader import PADDING, draw_augmentation
from solutions.images import crop_and_flip, normalize, subset_indices
from solutions.training_step import accuracy, training_step

LAB = "lab0_minicifar"
matplotlib.use("Agg")


@pytest.fixture(scope="module")
def images() -> MiniCIFAR:
    return MiniCIFAR("val", synthetic=not os.environ.get("MINICIFAR_ROOT"))


@pytest.fixture(scope="module")
def few(images: MiniCIFAR) -> MiniCIFAR:
    """A data set of 40 images, for everything that takes long with more."""
    small = MiniCIFAR("val", synthetic=images.source.synthetic)
    small.images, small.labels = images.images[::20].clone(), images.labels[::20].clone()
    return small


# --- the exercise and the shipped version agree


@pytest.mark.parametrize("synthetic", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_subset_indices_choose_minicifar(synthetic: bool) -> None:
    if not synthetic and not os.environ.get("MINICIFAR_ROOT"):
        pytest.skip("no images here: set MINICIFAR_ROOT")
    everything, mini = CIFAR10("trainval", synthetic=synthetic), MiniCIFAR("train", synthetic=synthetic)
    chosen = subset_indices(everything.labels, 4, 1000, 42)
    assert torch.equal(everything.images[chosen], mini.images)
    assert torch.equal(everything.labels[chosen], mini.labels)


@pytest.mark.parametrize(("size", "R", "seed"), [(5000, 5, 42), (500, 2, 42), (77, 10, 3)])
def test_subset_indices_and_mini_positions(size: int, R: int, seed: int) -> None:
    labels = torch.from_numpy(np.random.default_rng(0).permutation(np.arange(3 * size) % 3))
    chosen = subset_indices(labels, 3, size // R, seed).view(3, -1)
    for number in range(3):
        members = torch.nonzero(labels == number).flatten()
        assert torch.equal(members[mini_positions(size, R, "train", seed)], chosen[number])


def test_normalize_and_the_loader(images: MiniCIFAR) -> None:
    batch, _ = next(iter(Loader(images, batch_size=100)))
    assert torch.allclose(batch, normalize(images.images[:100], MEAN, STD), atol=1e-5)


@pytest.mark.parametrize("epoch", [0, 3])
def test_crop_and_flip_and_the_loader(few: MiniCIFAR, epoch: int) -> None:
    """The loader cuts out of the mirrored image and the exercise mirrors the cut: then columns count from the right."""
    loader = Loader(few, batch_size=len(few.images), augment=True, seed=7)
    loader.epoch = epoch
    batch, _ = next(iter(loader))
    _, drawn, flips = draw_augmentation(len(few.images), 7, epoch)
    offsets, mirrored = torch.from_numpy(drawn).clone(), torch.from_numpy(flips).bool()
    offsets[:, 1] = torch.where(mirrored, 2 * PADDING - offsets[:, 1], offsets[:, 1])
    expected = normalize(crop_and_flip(few.images, offsets, mirrored, PADDING), MEAN, STD)
    assert 0 < mirrored.sum() < len(mirrored)
    assert torch.allclose(batch, expected, atol=1e-5)


def test_accuracy_and_evaluate(few: MiniCIFAR) -> None:
    network = vgg_mini(seed=1).eval()
    with torch.no_grad():
        share = accuracy(network(normalize(few.images, MEAN, STD)), few.labels)
    assert share == pytest.approx(evaluate(network, Loader(few, batch_size=9)).accuracy)


def test_training_step_and_train(few: MiniCIFAR, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the library's optimizer settings at their plainest, one epoch of `train` is a loop of the exercise."""
    monkeypatch.setattr("course_utils.training.precision", lambda device: torch.float32)
    mine, library = vgg_mini(seed=2), vgg_mini(seed=2)
    plain = {"momentum": 0.0, "weight_decay": 0.0, "schedule": "constant", "progress": False}
    history = train(library, Loader(few, batch_size=10, shuffle=True), 1, lr=0.01, **plain)
    optimizer = torch.optim.SGD(mine.parameters(), lr=0.01)
    losses = [training_step(mine, *batch, optimizer) for batch in Loader(few, batch_size=10, shuffle=True)]
    assert history[0]["loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-4)
    for first, second in zip(mine.parameters(), library.parameters(), strict=True):
        assert torch.allclose(first, second, atol=1e-3)


# --- the lab


def test_points_of_the_lab() -> None:
    worth = points(LAB)
    assert set(worth) == {*references(LAB), "lab0_baseline_onnx"}
    assert worth["lab0_baseline_onnx"] == 3
    assert all(4 <= worth[name] <= 10 for name in references(LAB))


def test_bodies_are_short_enough_for_students() -> None:
    for function in references(LAB).values():
        body = exercise_source(function).partition("### BEGIN SOLUTION")[2].splitlines()
        assert len([line for line in body if line.strip()]) <= 15


def test_the_edition_can_be_built() -> None:
    cells = source_edition(LAB).cells
    tags = [tag for cell in cells for tag in cell.metadata.get("tags", [])]
    assert tags.count("exercise") == 5
    assert tags.count("train") == 1
    manual = [cell for cell in cells if cell.metadata.get("nbgrader", {}).get("grade_id", "").startswith("answer-")]
    assert [cell.metadata["nbgrader"]["points"] for cell in manual] == [2, 2]


def test_hints_do_not_give_the_answer_away() -> None:
    """No line of a solution stands in the lab's text or code, not even inside another line."""
    given = [cell for cell in source_edition(LAB).cells if "exercise" not in cell.metadata.get("tags", [])]
    text = "".join("".join(cell.source.split()) for cell in given)
    for function in references(LAB).values():
        for line in exercise_source(function).partition("### BEGIN SOLUTION")[2].splitlines():
            bare = "".join(line.split())
            assert len(bare) <= 20 or bare.startswith("###") or bare not in text, line


# --- the pictures


def test_figures_of_the_lab(few: MiniCIFAR, tmp_path) -> None:
    history = [{"epoch": 1, "loss": 1.2, "accuracy": 0.4, "test_accuracy": 0.5}]
    drawings = [
        plots.channel_histograms({"bytes": few.images, "normalised": normalize(few.images, MEAN, STD)}, images=few),
        plots.training_curves({"original": history}, "validation", images=few),
        plots.confusion(few.labels.roll(3), few.labels, few.classes, images=few),
    ]
    for number, drawing in enumerate(drawings):
        drawing.savefig(tmp_path / f"{number}.png")


def test_confusion_counts_rows_by_truth() -> None:
    drawing = plots.confusion(torch.tensor([1, 1, 1, 0]), torch.tensor([0, 0, 1, 0]), ["a", "b"])
    assert [text.get_text() for text in drawing.axes[0].texts] == ["33", "67", "0", "100"]


def test_the_explorer_calls_the_exercise(few: MiniCIFAR) -> None:
    calls = []

    def crop(images, offsets, flips, padding):
        calls.append((offsets.tolist(), flips.tolist()))
        return crop_and_flip(images, offsets, flips, padding)

    explorer = augmentation_explorer(few, crop)
    (number, flip), (row, _) = explorer.children[0].children, explorer.children[1].children
    row.value, flip.value, number.value = 7, True, 3
    assert calls[0] == ([[4, 4]], [False])
    assert calls[-1] == ([[7, 4]], [True])


def test_a_network_that_knows_nothing_has_the_loss_ln_4() -> None:
    """What the lab says of the dotted line in the picture of the first steps."""
    loss = torch.nn.functional.cross_entropy(torch.zeros(8, 4), torch.arange(8) % 4).item()
    assert loss == pytest.approx(math.log(4))
