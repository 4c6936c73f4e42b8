"""The report's second experiment: an autoencoder, its encoder and decoder pruned together or one after the other.

    python -m studies.autoencoder results.json [--images cifar10] [--width 0.25] [--side 64]

65.625 % of the channels of every layer go, by alpha-branch pruning from a ranking, under one budget of epochs; the controls are
the ranked start without alpha, and the narrow network from random weights with all epochs. The images are drawn driving
scenes (the report's, of the CARLA simulator, cannot be shipped) or MiniCIFAR's. Each result is written as it comes; at the end
there is a picture beside the results: images, and what the original and the pruned networks make of them.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.checkpoints import load_network, save_network
from course_utils.networks import parameter_count, rgb_autoencoder
from course_utils.pictures.alpha_plots import picture_rows
from course_utils.scenes.driving_scenes import driving_scenes
from course_utils.scenes.pairs import Pairs
from course_utils.scenes.ssim import reconstruction_loss
from course_utils.training import mean_loss
from minicifar import MiniCIFAR
from solutions.alpha_branch import AlphaNetwork, alpha_schedule, shrink
from solutions.alpha_training import kept_widths, start_from_ranking, train_through
from studies.runs import fully_trained, keep_results, narrow_control, read_results

KEEP_RATIO = 0.34375
OPTIONS: dict[str, Any] = {"loss": reconstruction_loss, "weight_decay": 0.0, "progress": False}


def pruned_by_alpha(
    network: nn.Module, loader: Any, samples: Tensor, epochs: int, lr: float, among: Callable[[str], bool]
) -> nn.Module:
    """Those layers narrowed: alpha falls in a third of the epochs, then the merged network is trained for the others."""
    branched = AlphaNetwork(network, kept_widths(network, KEEP_RATIO, among))
    start_from_ranking(branched, samples)
    falling = epochs // 3
    levels = alpha_schedule("step", falling + 1)
    if len(train_through(branched, loader, levels, 1, [], lr=lr / 2, **OPTIONS)) < falling:
        raise KeyboardInterrupt
    branched.alpha = 0.0
    return fully_trained(shrink(branched), loader, epochs - falling, lr=lr, **OPTIONS)


def carry_out(name: str, network: nn.Module, loader: Any, samples: Tensor, options: Any, seed: int) -> nn.Module:
    """One of the ways to the narrow network, with `options.retraining` epochs in all."""
    epochs, lr = options.retraining, options.lr
    if name == "together":
        return pruned_by_alpha(network, loader, samples, epochs, lr, lambda layer: True)
    if name == "one after the other":
        narrow = pruned_by_alpha(network, loader, samples, epochs // 2, lr, lambda layer: layer.startswith("encoder"))
        rest = epochs - epochs // 2
        return pruned_by_alpha(narrow, loader, samples, rest, lr, lambda layer: layer.startswith("decoder"))
    branched = AlphaNetwork(network, kept_widths(network, KEEP_RATIO))
    start_from_ranking(branched, samples)
    branched.alpha = 0.0
    narrow = shrink(branched)
    if name == "without alpha":
        return fully_trained(narrow, loader, epochs, lr=lr, **OPTIONS)
    return fully_trained(narrow_control(narrow, seed), loader, options.epochs + epochs, lr=2 * lr, **OPTIONS)


WAYS = ("together", "one after the other", "without alpha", "from scratch")


def images_of(kind: str, side: int) -> tuple[Tensor, Tensor]:
    """Images to train with, and others to judge by: uint8 (N, 3, H, W)."""
    if kind == "scenes":
        return driving_scenes(600, seed=0, size=side), driving_scenes(200, seed=1, size=side)
    return torch.as_tensor(MiniCIFAR("train").images), torch.as_tensor(MiniCIFAR("test").images[::4])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="a JSON file, which is continued if it exists")
    parser.add_argument("--images", default="scenes", choices=["scenes", "cifar10"])
    parser.add_argument("--side", type=int, default=128, help="pixels of a drawn scene")
    parser.add_argument("--width", type=float, default=0.25, help="1 is the report's network")
    parser.add_argument("--epochs", type=int, default=60, help="of the first training")
    parser.add_argument("--retraining", type=int, default=30, help="epochs of every way to the narrow network")
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    about = {name: getattr(options, name) for name in ("images", "side", "width", "epochs", "retraining", "lr")}
    try:
        found = read_results(options.results, about)
    except ValueError as error:
        parser.error(str(error))
    train_images, test_images = (each.to(options.device) for each in images_of(options.images, options.side))
    test = Pairs(test_images, batch_size=50)
    outputs: dict[str, Tensor] = {}
    shown = next(iter(test))[0][:6]
    for seed in options.seeds:
        loader = Pairs(train_images, batch_size=8, shuffle=True, seed=seed)
        network = kept_or_made(
            options,
            f"original-{seed}",
            lambda: first_training(options, loader, seed),  # noqa: B023
        )
        found["results"].setdefault(f"original | {seed}", described(network, network, test))
        samples = next(iter(Pairs(train_images, batch_size=48, shuffle=True, seed=seed)))[0]
        outputs.setdefault("original", shown_by(network, shown))
        for way in WAYS:
            loader.epoch = 0
            torch.manual_seed(seed)
            make = lambda: carry_out(way, network, loader, samples, options, seed)  # noqa: B023, E731
            narrow = kept_or_made(options, f"{way}-{seed}", make)
            found["results"].setdefault(f"{way} | {seed}", described(narrow, network, test))
            outputs.setdefault(way, shown_by(narrow, shown))
            keep_results(options.results, found)
            print(way, seed, found["results"][f"{way} | {seed}"], flush=True)
    picture_rows({"image": shown.cpu(), **outputs}).savefig(options.results.with_suffix(".png"), bbox_inches="tight")


def first_training(options: Any, loader: Any, seed: int) -> nn.Module:
    network = rgb_autoencoder(options.width, seed).to(options.device)
    return fully_trained(network, loader, options.epochs, lr=2 * options.lr, **OPTIONS)


def kept_or_made(options: Any, name: str, make: Callable[[], nn.Module]) -> nn.Module:
    """A network that an earlier run left beside the results, or else a new one, which is left there."""
    path = options.results.with_suffix("") / f"{name.replace(' ', '_')}.safetensors"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        save_network(make(), path)
    return load_network(path, options.device)


def described(network: nn.Module, original: nn.Module, test: Any) -> dict[str, float]:
    """Test loss, 0.5 · L1 + 0.5 · (1 - SSIM), and the share of the parameters that is left."""
    loss = mean_loss(network, test, reconstruction_loss)
    return {
        "loss": round(loss, 5),
        "parameters_left": round(parameter_count(network) / parameter_count(original), 5),
    }


def shown_by(network: nn.Module, images: Tensor) -> Tensor:
    with torch.inference_mode():
        return network(images).clamp(0, 1).cpu()


if __name__ == "__main__":
    main()
