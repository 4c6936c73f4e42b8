"""The report's second experiment: an autoencoder, its encoder and decoder pruned together or one after the other.

    python -m studies.autoencoder results.jsonl --width 0.25 --side 64

65.625 % of the channels of every layer go, by alpha-branch pruning from a ranking, under one budget of epochs; the
controls are the ranked start without alpha, and the narrow network from random weights with all epochs. The images are
drawn driving scenes (the report's, of the CARLA simulator, cannot be shipped) or MiniCIFAR's. Each result is written as
it comes; at the end there is a picture beside the results: images, and what the original and the pruned networks make
of them.
"""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import typer
from torch import Tensor, nn

from course_utils.checkpoints import load_network, save_network
from course_utils.command_line import run_program
from course_utils.networks import parameter_count, rgb_autoencoder
from course_utils.pictures.alpha_plots import picture_rows
from course_utils.records import AutoencoderResult, AutoencoderStudy, Study
from course_utils.scenes.driving_scenes import driving_scenes
from course_utils.scenes.pairs import Pairs
from course_utils.scenes.ssim import reconstruction_loss
from course_utils.training import mean_loss
from minicifar import MiniCIFAR
from solutions.alpha_branch import AlphaNetwork, alpha_schedule, shrink
from solutions.alpha_training import kept_widths, start_from_ranking, train_through
from solutions.controls import narrow_control
from studies import cli
from studies.runs import fully_trained, versions

KEEP_RATIO = 0.34375
OPTIONS: dict[str, Any] = {"loss": reconstruction_loss, "weight_decay": 0.0, "progress": False}
ORIGINAL = "original"
WAYS = ("together", "one after the other", "without alpha", "from scratch")
SHOWN = 6  # images of the picture


def pruned_by_alpha(
    network: nn.Module, loader: Pairs, samples: Tensor, epochs: int, lr: float, among: Callable[[str], bool]
) -> nn.Module:
    """The layers `among` narrowed: alpha falls in a third of the epochs, then the merged network is trained."""
    branched = AlphaNetwork(network, kept_widths(network, KEEP_RATIO, among))
    start_from_ranking(branched, samples)
    falling = epochs // 3
    levels = alpha_schedule("step", falling + 1)
    train_through(branched, loader, levels, 1, [], lr=lr / 2, on_stop="raise", **OPTIONS)
    branched.alpha = 0.0
    return fully_trained(shrink(branched), loader, epochs - falling, lr=lr, **OPTIONS)


def first_training(budget: AutoencoderStudy, loader: Pairs, seed: int, device: str) -> nn.Module:
    """The original network."""
    network = rgb_autoencoder(budget.width, seed).to(device)
    return fully_trained(network, loader, budget.epochs, lr=2 * budget.lr, **OPTIONS)


def narrowed(
    way: str, network: nn.Module, loader: Pairs, samples: Tensor, budget: AutoencoderStudy, seed: int
) -> nn.Module:
    """One of the WAYS to the narrow network, with `budget.retraining` epochs in all."""
    epochs, lr = budget.retraining, budget.lr
    loader.epoch = 0
    torch.manual_seed(seed)
    if way == "together":
        return pruned_by_alpha(network, loader, samples, epochs, lr, lambda layer: True)
    if way == "one after the other":
        narrow = pruned_by_alpha(network, loader, samples, epochs // 2, lr, lambda layer: layer.startswith("encoder"))
        rest = epochs - epochs // 2
        return pruned_by_alpha(narrow, loader, samples, rest, lr, lambda layer: layer.startswith("decoder"))
    branched = AlphaNetwork(network, kept_widths(network, KEEP_RATIO))
    start_from_ranking(branched, samples)
    branched.alpha = 0.0
    narrow = shrink(branched)
    if way == "without alpha":
        return fully_trained(narrow, loader, epochs, lr=lr, **OPTIONS)
    return fully_trained(narrow_control(narrow, seed), loader, budget.epochs + epochs, lr=2 * lr, **OPTIONS)


def made_once(path: Path, device: str, make: Callable[[], nn.Module]) -> nn.Module:
    """The network in a file, which an earlier run left there, or else a new one, which is left there."""
    if not path.exists():
        save_network(make(), path)
    return load_network(path, device)


def network_file(folder: Path, name: str, seed: int) -> Path:
    """Where the original, or the network of one of the WAYS, lies."""
    return folder / f"{name}-{seed}.safetensors".replace(" ", "_")


def carry_out(
    study: Study[AutoencoderStudy], seed: int, images: Tensor, test: Iterable[tuple[Tensor, Tensor]], folder: Path
) -> None:
    """All runs of one seed that are not in the study yet; `folder`: for networks. `images` are where it is computed."""
    budget, device = study.about, str(images.device)
    done = {result.way for result in study.of(AutoencoderResult) if result.seed == seed}
    if done >= {ORIGINAL, *WAYS}:
        return
    loader = Pairs(images, batch_size=8, shuffle=True, seed=seed)
    first = partial(first_training, budget, loader, seed, device)
    network = made_once(network_file(folder, ORIGINAL, seed), device, first)
    samples = next(iter(Pairs(images, batch_size=48, shuffle=True, seed=seed)))[0]
    for way in (way for way in (ORIGINAL, *WAYS) if way not in done):
        make = partial(narrowed, way, network, loader, samples, budget, seed)
        narrow = made_once(network_file(folder, way, seed), device, make)
        loss = round(mean_loss(narrow, test, reconstruction_loss), 5)
        left = round(parameter_count(narrow) / parameter_count(network), 5)
        study.add(AutoencoderResult(way, seed, loss, left))
        print(f"{way}, seed {seed}: loss {loss:.4f}, {left:.1%} of the parameters", flush=True)


def images_of(kind: str, side: int) -> tuple[Tensor, Tensor]:
    """Images to train with, and others to judge by: uint8 (N, 3, H, W)."""
    if kind == "scenes":
        return driving_scenes(600, seed=0, size=side), driving_scenes(200, seed=1, size=side)
    return torch.as_tensor(MiniCIFAR("train").images), torch.as_tensor(MiniCIFAR("test").images[::4])


def outputs(network: nn.Module, images: Tensor) -> Tensor:
    """What a network makes of images, as a picture shows it."""
    with torch.inference_mode():
        return network(images).clamp(0, 1).cpu()


def main(  # noqa: PLR0913
    results: cli.Results,
    images: Annotated[Literal["scenes", "cifar10"], typer.Option(help="Driving scenes or MiniCIFAR.")] = "scenes",
    side: Annotated[int, typer.Option(help="Pixels of a drawn scene.")] = 128,
    width: Annotated[float, typer.Option(help="1 is the report's network.")] = 0.25,
    epochs: cli.Epochs = 60,
    retraining: cli.Retraining = 30,
    lr: Annotated[float, typer.Option(help="The learning rate.")] = 0.1,
    seeds: cli.Seeds = cli.SEEDS,
    device: cli.Device = "cpu",
) -> None:
    """Carry out the study, and draw what each way makes of some images."""
    settings: dict[str, Any] = {"side": side, "width": width, "epochs": epochs, "retraining": retraining, "lr": lr}
    study = cli.opened(results, AutoencoderStudy(images=images, made_with=versions(), **settings))
    train_images, test_images = (part.to(device) for part in images_of(images, side))
    test, folder = Pairs(test_images, batch_size=50), results.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    with cli.stoppable():
        for seed in seeds:
            carry_out(study, seed, train_images, test, folder)
    shown = next(iter(test))[0][:SHOWN]
    files = {name: network_file(folder, name, seeds[0]) for name in (ORIGINAL, *WAYS)}
    rows = {name: outputs(load_network(file, device), shown) for name, file in files.items() if file.exists()}
    picture_rows({"image": shown.cpu(), **rows}).savefig(results.with_suffix(".png"), bbox_inches="tight")


if __name__ == "__main__":
    run_program(main)
