"""The loader: batches as a DataLoader gives them, with crops and flips checked against a plain loop."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from minicifar import MEAN, STD, Batches, BatchLoader, LabelledImages, Loader
from minicifar.datasets import ImageSet
from minicifar.loader import draw_augmentation
from minicifar.sources import Source


@pytest.fixture
def data():
    """Two classes of ten images."""
    images = np.random.default_rng(1).integers(0, 256, (2, 10, 3, 32, 32), dtype=np.uint8)
    return ImageSet("train", images, ["a", "b"], Source("cifar10", "synthetic", "Noise.", "noise"), "noise")


def normalised(images: torch.Tensor) -> torch.Tensor:
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return (images.float() / 255 - mean) / std


def everything(loader: Loader) -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = zip(*loader, strict=True)
    return torch.cat(images), torch.cat(labels)


def test_plain_batches_are_the_normalised_images_in_order(data):
    images, labels = everything(Loader(data, batch_size=8))
    assert torch.allclose(images, normalised(data.images), atol=1e-6)
    assert torch.equal(labels, data.labels)


def test_batches_have_the_promised_form(data):
    images, labels = next(iter(Loader(data, batch_size=8, augment=True)))
    assert images.shape == (8, 3, 32, 32)
    assert images.dtype == torch.float32
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert labels.dtype == torch.int64


@pytest.mark.parametrize(("drop_last", "sizes"), [(False, [8, 8, 4]), (True, [8, 8])])
def test_the_last_batch_is_smaller_or_dropped(data, drop_last, sizes):
    loader = Loader(data, batch_size=8, drop_last=drop_last, augment=True)
    assert [len(labels) for _, labels in loader] == sizes
    assert len(loader) == len(sizes)


def test_crops_and_flips_agree_with_a_plain_loop(data):
    _, offsets, flips = draw_augmentation(len(data), seed=3, epoch=0)
    expected = []
    for image, (y, x), flip in zip(data.images.numpy(), offsets, flips, strict=True):
        image = image[:, :, ::-1] if flip else image
        padded = np.pad(image, ((0, 0), (4, 4), (4, 4)))
        expected.append(torch.from_numpy(padded[:, y : y + 32, x : x + 32].copy()))
    images, _ = everything(Loader(data, batch_size=8, augment=True, seed=3))
    assert torch.allclose(images, normalised(torch.stack(expected)), atol=1e-6)


def test_all_offsets_and_both_flips_occur_and_differ_by_image():
    _, offsets, flips = draw_augmentation(5000, seed=0, epoch=0)
    assert {(int(y), int(x)) for y, x in offsets} == {(y, x) for y in range(9) for x in range(9)}
    assert 0.45 < flips.mean() < 0.55


def test_shuffling_keeps_every_image_with_its_label(data):
    images, labels = everything(Loader(data, batch_size=8, shuffle=True))
    order, _, _ = draw_augmentation(len(data), seed=0, epoch=0)
    assert sorted(order) == list(range(20))
    assert not torch.equal(labels, data.labels)
    assert torch.equal(labels, data.labels[order])
    assert torch.allclose(images, normalised(data.images[order]), atol=1e-6)


def test_an_image_is_augmented_alike_in_any_order(data):
    plain, _ = everything(Loader(data, augment=True))
    shuffled, _ = everything(Loader(data, augment=True, shuffle=True))
    order, _, _ = draw_augmentation(len(data), seed=0, epoch=0)
    assert torch.equal(shuffled, plain[order])


def test_epochs_differ_and_can_be_repeated(data):
    loader = Loader(data, batch_size=8, shuffle=True, augment=True, seed=5)
    first, second = everything(loader)[0], everything(loader)[0]
    assert loader.epoch == 2
    assert not torch.equal(first, second)
    resumed = Loader(data, batch_size=8, shuffle=True, augment=True, seed=5)
    resumed.epoch = 1
    assert torch.equal(everything(resumed)[0], second)


def test_seeds_differ(data):
    first, second = (everything(Loader(data, shuffle=True, seed=seed))[0] for seed in (0, 1))
    assert not torch.equal(first, second)


def test_the_images_are_not_changed(data):
    before = data.images.clone()
    everything(Loader(data, augment=True))
    everything(Loader(data))
    assert torch.equal(data.images, before)


def test_batches_are_independent_of_each_other(data):
    first, second = [images for images, _ in Loader(data, batch_size=10)]
    before = second.clone()
    first.zero_()
    assert torch.equal(second, before)


def test_other_statistics(data):
    images, _ = everything(Loader(data, mean=(0, 0, 0), std=(1, 1, 1)))
    assert torch.allclose(images, data.images / 255, atol=1e-6)


def test_a_transform_is_refused_rather_than_ignored(data):
    data.transform = np.asarray
    with pytest.raises(ValueError, match="DataLoader"):
        Loader(data)


def test_a_batch_size_below_one_is_refused(data):
    with pytest.raises(ValueError, match="at least 1"):
        Loader(data, batch_size=0)


def test_the_protocols_say_what_these_are(data):
    assert isinstance(data, LabelledImages)
    assert isinstance(Loader(data), BatchLoader)
    assert not isinstance(DataLoader(data), BatchLoader)
    assert isinstance(DataLoader(data), Batches)


def test_any_labelled_images_make_batches(data):
    names = ("images", "labels", "classes", "split", "source", "fingerprint")

    class Few(list):
        """Images that are no `ImageSet`, and have no transforms."""

    few = Few(range(20))
    few.__dict__.update({name: getattr(data, name) for name in names})
    assert isinstance(few, LabelledImages)
    images, _ = everything(Loader(few, batch_size=8))
    assert torch.equal(images, everything(Loader(data, batch_size=8))[0])
