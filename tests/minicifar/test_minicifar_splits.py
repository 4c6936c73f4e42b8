"""Which images are in which split, the synthetic images, the data set's interface and the command line."""

import os

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from minicifar import CIFAR10, CIFAR100, Loader, MiniCIFAR, synthetic
from minicifar.__main__ import app, draw_preview
from minicifar.choices import full_positions, mini_positions
from minicifar.class_names import CIFAR10_CLASSES, CIFAR100_CLASSES


@pytest.fixture
def few_synthetic(tmp_path, monkeypatch):
    """Synthetic images without drawing 60,000: 500 (or 50) training images a class, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MINICIFAR_SYNTHETIC", raising=False)
    monkeypatch.setattr(synthetic, "per_class", lambda classes: {"train": 1000 // classes, "test": 200 // classes})


def test_mini_positions_are_the_published_choice():
    chosen = mini_positions(5000, 5, "train")
    assert np.array_equal(chosen, np.random.RandomState(42).choice(5000, 1000, replace=False))
    assert chosen[:5].tolist() == [1501, 2586, 2653, 1055, 705]


@pytest.mark.parametrize(("n", "R"), [(5000, 5), (5000, 2), (500, 5), (10, 2), (10, 10)])
def test_mini_splits_share_no_image(n, R):
    train, val = mini_positions(n, R, "train"), mini_positions(n, R, "val")
    assert len(train) == n // R
    assert len(val) == min(200, n - n // R)
    assert not set(train) & set(val)


@pytest.mark.parametrize(("n", "val"), [(5000, 500), (500, 50), (10, 1)])
def test_full_splits_share_no_image_and_leave_none_out(n, val):
    parts = [full_positions(n, split).tolist() for split in ("train", "val")]
    assert len(parts[1]) == val
    assert sorted(parts[0] + parts[1]) == full_positions(n, "trainval").tolist() == list(range(n))


def test_cifar10_validation_images_are_new_to_minicifar():
    val = set(full_positions(5000, "val"))
    assert not val & set(mini_positions(5000, 2, "train"))
    assert not val & set(mini_positions(5000, 2, "val"))


def test_the_same_positions_in_every_class(few_synthetic):
    mini, all_images = MiniCIFAR("train", synthetic=True), CIFAR10("trainval", synthetic=True)
    positions = mini_positions(100, 5, "train")
    expected = torch.cat([all_images.images[label * 100 + positions] for label in range(4)])
    assert torch.equal(mini.images, expected)
    assert mini.labels.tolist() == [label for label in range(4) for _ in range(20)]


def test_test_split_is_all_test_images_of_the_classes(few_synthetic):
    mini, all_images = MiniCIFAR("test", n_classes=3, synthetic=True), CIFAR10("test", synthetic=True)
    assert torch.equal(mini.images, all_images.images[:60])


def test_the_splits_of_a_set_share_a_fingerprint_and_other_sets_do_not(few_synthetic):
    def fingerprint(split="train", **options):
        return MiniCIFAR(split, synthetic=True, **options).fingerprint

    assert fingerprint() == fingerprint("val") == fingerprint("test")
    assert len({fingerprint(), fingerprint(n_classes=3), fingerprint(R=10), fingerprint(seed=1)}) == 4


def test_an_item_is_a_picture_and_a_number(few_synthetic):
    data = MiniCIFAR("train", synthetic=True)
    image, label = data[25]
    assert isinstance(image, Image.Image)
    assert np.array_equal(np.asarray(image), data.images[25].permute(1, 2, 0).numpy())
    assert label == 1
    assert data.class_to_idx[data.classes[label]] == label


def test_transforms_are_applied(few_synthetic):
    data = MiniCIFAR("train", synthetic=True, transform=np.asarray, target_transform=str)
    image, label = data[0]
    assert image.shape == (32, 32, 3)
    assert label == "0"


def test_synthetic_images_are_the_same_every_time_and_say_so(few_synthetic):
    assert np.array_equal(synthetic.draw_images(10), synthetic.draw_images(10))
    data = MiniCIFAR("train", synthetic=True)
    assert data.source.synthetic
    assert "Synthetic" in data.source.description
    assert data.fingerprint.startswith("synthetic-")


def test_synthetic_images_on_request_of_the_environment(few_synthetic, monkeypatch):
    monkeypatch.setenv("MINICIFAR_SYNTHETIC", "1")
    assert "MINICIFAR_SYNTHETIC=1" in MiniCIFAR("train").source.description


def test_there_are_a_hundred_synthetic_classes_too(few_synthetic):
    data = CIFAR100("trainval", synthetic=True)
    assert len(set(data.classes)) == 100
    assert len(data) == 1000


def test_class_names_are_sorted_as_folders_are():
    assert sorted(CIFAR10_CLASSES) == CIFAR10_CLASSES
    assert sorted(set(CIFAR100_CLASSES)) == CIFAR100_CLASSES
    assert (len(CIFAR10_CLASSES), len(CIFAR100_CLASSES)) == (10, 100)


def test_info_names_the_source(few_synthetic):
    result = CliRunner().invoke(app, ["info", "--synthetic"])
    assert result.exit_code == 0
    assert "Synthetic images" in result.output


def test_preview_writes_a_picture(few_synthetic, tmp_path):
    draw_preview(MiniCIFAR("train", synthetic=True), tmp_path / "preview.png")
    assert Image.open(tmp_path / "preview.png").width > 500


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("MINICIFAR_ROOT"), reason="needs real images: set MINICIFAR_ROOT")
def test_real_images_have_the_published_sizes_and_statistics(monkeypatch):
    monkeypatch.delenv("MINICIFAR_SYNTHETIC", raising=False)
    train, val, test = (MiniCIFAR(split, download=False) for split in ("train", "val", "test"))
    assert (len(train), len(val), len(test)) == (4000, 800, 4000)
    means = [images.mean((0, 2, 3)) for images, _ in Loader(CIFAR10("trainval", download=False), batch_size=1000)]
    assert torch.stack(means).mean(0).abs().max() < 0.02
