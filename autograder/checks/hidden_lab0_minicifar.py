"""Hidden tests of lab 0: other sizes, other options, the traps that the visible tests leave open."""

import copy

import pytest
import torch

from autograder.checks.test_lab0_minicifar import (
    by_hand,
    bytes_like,
    chosen,
    compare_scale,
    compare_share,
    cut,
    guesses,
    lesson,
    other_crops,
    other_indices,
    other_losses,
    other_steps,
    pictures,
    same_parameters,
    wanted,
)
from course_utils import expect

# --- subset_indices


@pytest.mark.points(1)
def test_other_seeds_and_a_larger_source(subset_indices):
    seed = expect.drawn(3) % 10_000
    labels = torch.arange(1000)[torch.randperm(1000, generator=torch.Generator().manual_seed(seed))] % 10
    hint = f"1000 labels of 10 classes, n_classes=4, per_class=20, seed={seed}"
    indices = chosen(subset_indices(labels.clone(), 4, 20, seed), labels, 80, hint)
    expect.equal(indices, wanted(labels, 4, 20, seed), hint, mistakes=other_indices(labels, 4, 20, seed))


# --- normalize


@pytest.mark.points(1)
@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (3, 3, 6, 2)], ids=["a single pixel", "three images"])
def test_images_of_other_sizes(normalize, shape):
    chance = torch.Generator().manual_seed(expect.drawn(4))
    mean, std = torch.rand(3, generator=chance).tolist(), (0.1 + torch.rand(3, generator=chance)).tolist()
    hint = f"images {shape}, mean {expect.show(torch.tensor(mean))}, std {expect.show(torch.tensor(std))}"
    compare_scale(normalize, bytes_like(*shape, seed=expect.drawn(5)), tuple(mean), tuple(std), hint)


# --- crop_and_flip


@pytest.mark.points(1)
@pytest.mark.parametrize(
    ("channels", "height", "width", "padding"),
    [(3, 4, 6, 2), (1, 7, 5, 3)],
    ids=["4 rows and 6 columns", "7 rows and 5 columns in grey"],
)
def test_images_that_are_not_square(crop_and_flip, channels, height, width, padding):
    images = pictures(6, channels=channels, height=height, width=width, seed=expect.drawn(1))
    generator = torch.Generator().manual_seed(expect.drawn(padding))
    offsets = torch.randint(0, 2 * padding + 1, (6, 2), generator=generator)
    offsets[0], offsets[1] = 2 * padding, torch.tensor([0, 2 * padding])
    arguments = images, offsets, torch.tensor([False, True, True, False, True, False]), padding
    hint = f"six images {tuple(images.shape[1:])}, padding {padding}, random offsets"
    expect.same(crop_and_flip(*expect.copies(*arguments)), cut(*arguments), hint, mistakes=other_crops(*arguments))


# --- training_step


@pytest.mark.points(1)
def test_frozen_layers_stay(training_step):
    network, images, labels, _ = lesson(seed=expect.drawn(5))
    network.features[0].weight.requires_grad = False
    frozen = network.features[0].weight.clone()
    classifier = network.classifier.weight.detach().clone()
    training_step(network, images, labels, torch.optim.SGD(network.classifier.parameters(), lr=0.5))
    expect.unchanged(network.features[0].weight, frozen, "the optimizer holds the classifier only: let it choose")
    if torch.equal(network.classifier.weight, classifier):
        raise AssertionError("the optimizer holds the classifier, and its step must move it")


@pytest.mark.points(1)
def test_other_batches_and_classes(training_step):
    for count, classes in ((3, 7), (16, 2)):
        network, images, labels, optimizer = lesson(seed=expect.drawn(6), count=count, classes=classes)
        start, (before, expected) = copy.deepcopy(network), by_hand(network, images, labels)
        hint = f"{count} images, {classes} classes: the MEAN cross-entropy of the raw logits, whatever the sizes"
        came = expect.number(training_step(network, images, labels, optimizer), hint)
        expect.same(came, torch.tensor(before), hint, tolerance=1e-4, mistakes=other_losses(start, images, labels))
        same_parameters(network, expected, hint, other_steps(start, images, labels))


# --- accuracy


@pytest.mark.points(1)
def test_negative_logits_and_other_sizes(accuracy):
    for images, classes, right in ((3000, 10, 1234), (40, 2, 13), (90, 5, 70)):
        logits, labels = guesses(images, classes, seed=expect.drawn(7), right=right)
        compare_share(accuracy, logits - 5, labels, f"{images} images, {classes} classes, mostly negative logits")
