"""Structural similarity beside that of a well-kept library."""

import pytest
import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from course_utils.scenes.ssim import reconstruction_loss, ssim


def pictures(seed: int, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


@pytest.mark.parametrize("data_range", [1.0, 255.0])
def test_it_is_that_of_scikit_image(data_range: float) -> None:
    images, noise = pictures(0, 2, 3, 24, 31), pictures(1, 2, 3, 24, 31)
    others = (0.7 * images + 0.3 * noise) * data_range
    images = images * data_range
    theirs = []
    for image, other in zip(images, others, strict=True):
        settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "channel_axis": 0}
        _, by_pixel = structural_similarity(image.numpy(), other.numpy(), data_range=data_range, full=True, **settings)
        theirs.append(by_pixel[:, 5:-5, 5:-5].mean())
    assert ssim(images, others, data_range=data_range).item() == pytest.approx(sum(theirs) / 2, abs=1e-9)


def test_equal_images_are_entirely_alike_and_others_are_not() -> None:
    images = pictures(0, 2, 3, 16, 16)
    assert ssim(images, images).item() == pytest.approx(1) and reconstruction_loss(images, images).item() < 1e-12
    assert ssim(images, 1 - images) < 0


def test_the_loss_is_half_each() -> None:
    images, others = pictures(0, 1, 3, 12, 12), pictures(1, 1, 3, 12, 12)
    expected = 0.5 * (images - others).abs().mean() + 0.5 * (1 - ssim(images, others))
    assert reconstruction_loss(others, images).item() == pytest.approx(expected.item())


def test_it_can_be_learned_from() -> None:
    images, guess = pictures(0, 1, 3, 16, 16), pictures(1, 1, 3, 16, 16).requires_grad_()
    loss = reconstruction_loss(guess, images)
    loss.backward()
    with torch.no_grad():
        assert reconstruction_loss(guess - 5 * guess.grad, images) < loss


@pytest.mark.parametrize("shape", [(1, 3, 16, 15), (1, 3, 10, 16)])
def test_images_that_do_not_fit_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="11 pixels a side"):
        ssim(torch.zeros(1, 3, 16, 16) if shape[2] == 16 else torch.zeros(shape), torch.zeros(shape))
