"""Eight entries from which the challenge's leaderboard starts, made by a script that anyone can run again.

    python -m studies.starter                    (writes course/challenge/the_course-…/)
    autograder leaderboard course/challenge

Three networks trained on MiniCIFAR, each with half of its channels cut out by two methods and retrained; one of them
in int8, and one trained with binary weights. Half an hour to an hour. Stopped, the same call goes on where it was:
networks stay in build/starter, and entries that are there already are left alone. Each has a train.py, for
`autograder rerun`.
"""

import json
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
import typer
from torch import nn

from course_utils import challenge
from course_utils.challenge.entry import entry_folder
from course_utils.challenge.score import RULES
from course_utils.checkpoints import load_network, save_network
from course_utils.command_line import run_program
from course_utils.onnx_files.export import export_onnx
from minicifar import ImageSet, Loader, load
from minicifar.files import atomic
from solutions.binary import binarized, clip_weights, with_binary_weights
from solutions.iterative import plan_step
from solutions.prunable import prunable_groups
from solutions.scoring import ranking
from solutions.surgery import prune
from studies import cli
from studies.runs import fully_trained, network_path, scoring_batches, trained

TEAM = "the course"
FOLDER = Path("course/challenge")
CACHE = Path("build/starter")
KEEP_RATIO = 0.5
RATE = 0.05
LONGER = {"mobile_mini": 3}  # times as many epochs: depthwise convolutions learn more slowly


class Recipe(NamedTuple):
    """How an entry is made: a network, what its channels are ranked by, and the numbers in which it is handed in."""

    network: str
    criterion: str
    numbers: str = "float32"

    def epochs(self, usual: int) -> int:
        """How many epochs this entry gets where the others get so many."""
        return LONGER.get(self.network, 1) * usual

    @property
    def method(self) -> str:
        """What the entry's card says."""
        half = f"{KEEP_RATIO:.0%} of the channels, chosen by {self.criterion} through the channel groups"
        how = {
            "float32": "retrained",
            "int8": "retrained, then weights and activations in int8",
            "binary": "retrained with binary weights (BinaryConnect)",
        }
        return f"{self.network}: {half}, {how[self.numbers]}"


ENTRIES = {
    **{
        f"{network}, half, {criterion}": Recipe(network, criterion)
        for network in ("vgg_mini", "resnet20", "mobile_mini")
        for criterion in ("L1", "Taylor")
    },
    "vgg_mini, half, L1, int8": Recipe("vgg_mini", "L1", "int8"),
    "vgg_mini, half, Taylor, binary weights": Recipe("vgg_mini", "Taylor", "binary"),
}


def make(
    name: str,
    output: str | Path = "network.onnx",
    *,
    seed: int = 0,
    epochs: int = 25,
    retraining: int = 12,
    cache: str | Path = CACHE,
) -> Path:
    """Train, prune and retrain the entry of this name, and write its ONNX file → the file.

    `cache`: a folder for networks, of which several entries share some; what is half done is there too.
    """
    recipe, images, output = ENTRIES[name], load("minicifar", "train"), Path(output)
    options: Any = {"seed": seed, "epochs": epochs, "retraining": retraining, "cache": Path(cache)}
    network = pruned(recipe, images, **options)
    if recipe.numbers == "float32":
        return export_onnx(network, output, images)
    real = export_onnx(network, output.with_suffix(".float32.onnx"), images)
    if recipe.numbers == "binary":
        challenge.quantize_weights(real, 1, output)  # exact: every tensor has two values
    else:
        challenge.quantize_static(real, images, output)
    real.unlink()
    return output


def pruned(recipe: Recipe, images: ImageSet, *, seed: int, epochs: int, retraining: int, cache: Path) -> nn.Module:
    """The network with half of its channels, retrained, with binary weights if the recipe says so.

    It stays in `cache`, and a stopped retraining goes on there.
    """
    epochs, retraining = recipe.epochs(epochs), recipe.epochs(retraining)
    ending = "-binary" if recipe.numbers == "binary" else ""
    name = f"{recipe.network}-{epochs}epochs-seed{seed}-{recipe.criterion}-{KEEP_RATIO:g}-{retraining}epochs{ending}"
    path = network_path(cache, name, images)
    if path.exists():
        return load_network(path)
    network = trained(recipe.network, images, seed, epochs, "cpu", cache)
    groups = [group for group in prunable_groups(network, torch.zeros(2, 3, 32, 32)) if group.free]
    rank = ranking(recipe.criterion, scoring_batches(images, 8, seed, "cpu"), seed=seed)
    widths = {group.name: group.channels for group in groups}
    network = prune(network, groups, plan_step(groups, rank(network, groups), widths, KEEP_RATIO))
    loader = Loader(images, batch_size=64, shuffle=True, augment=True, seed=seed)
    retrain = partial(fully_trained, loader=loader, epochs=retraining, lr=RATE, resume=path.with_suffix(".resume"))
    if recipe.numbers == "binary":
        network = with_binary_weights(retrain(binarized(network), after_step=clip_weights))
    else:
        network = retrain(network)
    save_network(network, path, images=images)
    path.with_suffix(".resume").unlink(missing_ok=True)
    return network


SCRIPT = '''"""{method}. Again: python train.py SEED, in the course's project."""

import sys

from studies.starter import make

make({name!r}, "network.onnx", seed=int(sys.argv[1]), epochs={epochs}, retraining={retraining}, cache="cache")
'''


def submit(name: str, folder: Path, *, seed: int, epochs: int, retraining: int) -> dict[str, Any]:
    """Make an entry and write it to `folder`, unless it is there already → what its card claims."""
    recipe = ENTRIES[name]
    method = f"{recipe.method}; {recipe.epochs(epochs)} epochs, then {recipe.epochs(retraining)}"
    about = {"method": method, "seeds": [seed], "images": load("minicifar", "test").fingerprint}
    card = read_card(folder / entry_folder(TEAM, name))
    if all(card.get(field) == value for field, value in about.items()):
        return card["claims"]
    network = make(name, CACHE / f"{entry_folder(TEAM, name)}.onnx", seed=seed, epochs=epochs, retraining=retraining)
    script = CACHE / "train.py"
    with atomic(script) as temporary:
        text = SCRIPT.format(name=name, method=method, epochs=epochs, retraining=retraining)
        temporary.write_text(text, encoding="utf-8")
    challenge.submit(
        network, name=name, team=TEAM, method=method, seeds=[seed], folder=folder, code=script, replace=bool(card)
    )
    return read_card(folder / entry_folder(TEAM, name))["claims"]


def read_card(entry: Path) -> dict[str, Any]:
    """An entry's card; empty where there is none."""
    path = entry / "card.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def line(name: str, claims: Mapping[str, Any]) -> str:
    """What is printed of an entry."""
    short = "" if claims["accuracy"] >= RULES["minicifar"].threshold else ", not qualified"
    return f"{name}: {claims['accuracy']:.1%} of the test images, score {claims['score']:.4f}{short}"


def main(
    folder: Annotated[Path, typer.Argument(help="Where the entries go.")] = FOLDER,
    seed: Annotated[int, typer.Option(help="Of every training.")] = 0,
    epochs: Annotated[
        int, typer.Option(help="Of training before any pruning (mobile_mini: three times as many).")
    ] = 25,
    retraining: Annotated[int, typer.Option(help="Epochs afterwards (mobile_mini: three times as many).")] = 12,
) -> None:
    """Make all entries that are not there yet."""
    print(f"Images: {load('minicifar', 'train').source.description}")
    CACHE.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    with cli.stoppable():
        for number, name in enumerate(ENTRIES, start=1):
            print(f"{number} of {len(ENTRIES)}: {name}", flush=True)
            claims = submit(name, folder, seed=seed, epochs=epochs, retraining=retraining)
            print(line(name, claims), f"({(time.perf_counter() - began) / 60:.0f} min so far)", flush=True)
    print(f"All {len(ENTRIES)} entries are in {folder}. The board: autograder leaderboard {folder}")


if __name__ == "__main__":
    run_program(main)
