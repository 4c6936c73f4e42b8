"""Drawn driving scenes, and batches of images for an autoencoder."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.networks import rgb_autoencoder
from course_utils.scenes.driving_scenes import driving_scenes
from course_utils.scenes.pairs import Pairs
from course_utils.scenes.ssim import reconstruction_loss
from course_utils.training import mean_loss, train


@pytest.fixture(scope="module")
def scenes() -> Tensor:
    return driving_scenes(24, seed=0, size=64)


def bytes_of(count: int, side: int = 32) -> Tensor:
    return torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(count, 3, side, side).clone()


def order(loader: Pairs) -> list[int]:
    """Which images of `bytes_of` came, in which order."""
    return [round(255 * value) for images, _ in loader for value in images[:, 0, 0, 0].tolist()]


def test_scenes_are_bytes_of_the_size_asked_for(scenes: Tensor) -> None:
    assert scenes.dtype == torch.uint8 and scenes.shape == (24, 3, 64, 64)
    assert driving_scenes(1).shape == (1, 3, 128, 128) and driving_scenes(0).shape == (0, 3, 128, 128)


def test_the_first_of_many_scenes_are_those_of_few(scenes: Tensor) -> None:
    assert torch.equal(driving_scenes(3, seed=0, size=64), scenes[:3])


def test_drawing_leaves_the_global_generators_alone_and_does_not_heed_them(scenes: Tensor) -> None:
    np.random.seed(5)
    torch.manual_seed(5)
    assert torch.equal(driving_scenes(2, seed=0, size=64), scenes[:2])
    drawn = np.random.random(), torch.rand(1).item()
    np.random.seed(5)
    torch.manual_seed(5)
    assert drawn == (np.random.random(), torch.rand(1).item())


def test_other_seeds_and_other_numbers_give_other_scenes(scenes: Tensor) -> None:
    both = torch.cat([scenes, driving_scenes(24, seed=1, size=64)]).flatten(1).float()
    apart = torch.cdist(both, both, p=1) / both.shape[1]
    assert apart.fill_diagonal_(255).min() > 8


def test_another_size_shows_the_same_scenes(scenes: Tensor) -> None:
    larger = F.avg_pool2d(driving_scenes(24, seed=0, size=128).float(), 2)
    apart = (larger - scenes).abs().mean(dim=(1, 2, 3))
    assert apart.max() < 6


def test_the_camera_stands_on_a_grey_road_with_bright_marks(scenes: Tensor) -> None:
    near = scenes[:, :, 48:, :].float()
    grey = near.median(dim=3).values.median(dim=2).values
    assert (grey.max(dim=1).values - grey.min(dim=1).values).max() < 30
    marked = near.mean(dim=1).flatten(1).quantile(0.995, dim=1) > grey.mean(dim=1) + 40
    assert marked.float().mean() > 0.8  # between two dashes, or behind another car, there may be none


def test_the_road_is_darker_than_the_sky(scenes: Tensor) -> None:
    sky, road = (
        part.float().mean(dim=1).flatten(1).median(dim=1).values for part in (scenes[:, :, :20], scenes[:, :, 48:])
    )
    assert (road < sky).all() and (sky - road).mean() > 40


def test_the_road_widens_towards_the_camera(scenes: Tensor) -> None:
    pixels = scenes.float()
    brightness, colour = pixels.mean(dim=1), pixels.amax(dim=1) - pixels.amin(dim=1)
    road = brightness[:, 48:].flatten(1).median(dim=1).values[:, None, None]
    share = (((brightness - road).abs() < 14) & (colour < 26)).float().mean(dim=(0, 2))  # of every row
    heights = share[[20, 30, 38, 46, 60]]
    assert (heights.diff() > 0.05).all() and heights[0] < 0.1 and heights[-1] > 0.8


def test_every_scene_has_light_and_shade_and_few_have_burnt_out(scenes: Tensor) -> None:
    low, high = scenes.flatten(1).amin(dim=1).int(), scenes.flatten(1).amax(dim=1).int()
    assert (high - low).min() > 80
    assert ((scenes == 0) | (scenes == 255)).float().mean() < 0.1


def test_the_light_changes(scenes: Tensor) -> None:
    above = scenes[:, :, :12].float().mean(dim=(2, 3))
    assert above.mean(dim=1).std() > 15
    assert (above[:, 2] - above[:, 0]).std() > 15  # blue skies, grey ones, and evenings


def test_a_pair_is_an_image_and_itself() -> None:
    images, targets = next(iter(Pairs(bytes_of(4), batch_size=3)))
    assert torch.equal(images, targets)
    assert images.dtype == torch.float32 and torch.equal(images, bytes_of(3).float() / 255)


def test_every_image_comes_once_and_the_last_batch_may_be_smaller() -> None:
    loader = Pairs(bytes_of(10), batch_size=4, shuffle=True)
    assert len(loader) == 3 and [len(images) for images, _ in loader] == [4, 4, 2]
    assert sorted(order(loader)) == list(range(10))


def test_without_shuffling_the_order_stays() -> None:
    assert order(Pairs(bytes_of(10), batch_size=4)) == list(range(10))


def test_the_order_follows_from_the_seed_and_the_epoch() -> None:
    loader = Pairs(bytes_of(50), shuffle=True, seed=3)
    first, second = order(loader), order(loader)
    assert first != second and loader.epoch == 2
    loader.epoch = 1
    assert order(loader) == second
    assert order(Pairs(bytes_of(50), shuffle=True, seed=3)) == first != order(Pairs(bytes_of(50), shuffle=True, seed=4))


def test_a_pass_counts_from_its_beginning() -> None:
    loader = Pairs(bytes_of(50), shuffle=True)
    first, second = iter(loader), iter(loader)
    assert loader.epoch == 2
    assert not torch.equal(next(first)[0], next(second)[0])


def test_no_images_make_no_batches() -> None:
    loader = Pairs(bytes_of(0))
    assert len(loader) == 0 and list(loader) == []


@pytest.mark.parametrize("images", [torch.zeros(2, 3, 8, 8), torch.zeros(3, 8, 8, dtype=torch.uint8)])
def test_only_batches_of_bytes_are_taken(images: Tensor) -> None:
    with pytest.raises(ValueError, match=r"uint8 \(N, 3, H, W\)"):
        Pairs(images)


def test_a_batch_has_an_image_at_least() -> None:
    with pytest.raises(ValueError, match="at least 1, not 0"):
        Pairs(bytes_of(2), batch_size=0)


def test_an_autoencoder_learns_scenes() -> None:
    network = rgb_autoencoder(width=0.0625)
    loader = Pairs(driving_scenes(16, size=32), batch_size=4, shuffle=True)
    before = mean_loss(network, loader, reconstruction_loss)
    train(network, loader, 4, lr=0.1, loss=reconstruction_loss, progress=False)
    assert mean_loss(network, loader, reconstruction_loss) < 0.8 * before
