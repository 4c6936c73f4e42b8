"""Zeros in the weights: masks after training, masks with feedback, and thresholds and masks that are learned.

    python -m studies.sparsity course_utils/recorded/sparsity.jsonl

`magnitude`: one threshold over all layers, once after training, and retraining under the masks (lab 2); `feedback`:
masks drawn anew every 16 steps while all weights learn; both at 80, 90, 95 and 98 % zeros. `soft thresholds` (STR) and
`AutoPrune` have no target: they are plotted where a few settings land. Every way has the same epochs: `epochs` before
any pruning, the same network for all, and `retraining` from there on. Each result is written as it comes, so that a
study that was stopped goes on where it was. Beside the results a table (Markdown) and a picture (PNG) are written.
"""

import copy
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from tqdm.auto import tqdm

from course_utils.command_line import run_program
from course_utils.pictures.sparsity_plots import sparsity_curves, sparsity_table
from course_utils.records import SparsityResult, SparsityStudy, Study
from course_utils.training import evaluate
from minicifar import ImageSet, Loader, load
from solutions.autoprune import autoprune
from solutions.drivers import FINETUNING
from solutions.feedback import train_with_feedback
from solutions.layer_sparsity import layer_sparsities
from solutions.masks import global_masks, sparsity, train_masked
from solutions.soft_threshold import Thresholding, train_softened
from solutions.while_training import auxiliary_step, dense_update, soft_threshold, soft_threshold_gradient
from studies import cli
from studies.pages import Pages, markdown_table, write_page
from studies.runs import trained, versions

SETTINGS: dict[str, tuple[float, ...]] = {
    "magnitude": (0.8, 0.9, 0.95, 0.98),  # the share of zeros
    "feedback": (0.8, 0.9, 0.95, 0.98),
    "soft thresholds": (4e-3, 8e-3, 1.6e-2),  # the weight decay of s
    "AutoPrune": (2e-4, 5e-4, 1e-3),  # the strength of its penalty
}
HALF_DONE = Path("build/results/sparsity")
Done = tuple[nn.Module, list[dict[str, Any]]]  # the network with zeros, and the epochs in which weights could come back


def made(method: str, setting: float, network: nn.Module, loader: Loader, epochs: int, seed: int, folder: Path) -> Done:
    """One method with one setting, carried out; stopped, it goes on from its folder."""
    options: dict[str, Any] = {"seed": seed, "resume": folder, "progress": False}
    if method == "magnitude":
        masked, file = copy.deepcopy(network), folder / "training.resume"
        folder.mkdir(parents=True, exist_ok=True)
        masks, settings = global_masks(masked, setting), {**FINETUNING, "resume": file, "progress": False}
        train_masked(masked, masks, loader, epochs, on_stop="raise", **settings)
        return masked, []
    if method == "feedback":
        masked, history = train_with_feedback(network, loader, setting, epochs, dense_update=dense_update, **options)
        return masked, history["training"]
    if method == "soft thresholds":
        thresholding = Thresholding(soft_threshold, soft_threshold_gradient)
        return train_softened(network, loader, epochs, decay=setting, thresholding=thresholding, **options)[0], []
    masked, history = autoprune(network, loader, epochs, strength=setting, auxiliary_step=auxiliary_step, **options)
    return masked, history["searching"]


def carry_out(study: Study[SparsityStudy], seed: int, images: ImageSet, test: Iterable[tuple[Tensor, Tensor]]) -> None:
    """All results of one seed that are not in the study yet."""
    about = study.about
    done = {(result.method, result.setting) for result in study.of(SparsityResult) if result.seed == seed}
    planned = [(method, setting) for method, settings in SETTINGS.items() for setting in settings]
    planned = [(method, setting) for method, setting in planned if (method, setting) not in done]
    if not planned:
        return
    network = trained(about.network, images, seed, about.epochs, "cpu", HALF_DONE)
    for method, setting in tqdm(planned, desc=f"{about.network}, seed {seed}"):
        loader = Loader(images, batch_size=64, shuffle=True, augment=True, seed=seed)
        folder = HALF_DONE / about.network / f"seed{seed}" / f"{method.replace(' ', '-')}-{setting:g}"
        masked, coming_back = made(method, setting, network, loader, about.retraining, seed, folder)
        result = SparsityResult(
            method,
            setting,
            seed,
            sparsity=round(sparsity(masked), 5),
            accuracy=round(evaluate(masked, test).accuracy, 5),
            by_layer=tuple((name, round(share, 5)) for name, share in layer_sparsities(masked).items()),
            returned=sum(epoch["returned"] for epoch in coming_back) if coming_back else None,
        )
        study.add(result)
        shutil.rmtree(folder)
        print(f"{method}, {setting:g}, seed {seed}: {result.sparsity:.1%} zeros, {result.accuracy:.1%}", flush=True)


def main(
    results: cli.Results,
    network: cli.Network = "vgg_mini",
    seeds: cli.Seeds = cli.SEEDS,
    epochs: cli.Epochs = 25,
    retraining: cli.Retraining = 30,
    pages: Pages = None,
) -> None:
    """Carry out the study on MiniCIFAR, and write its table and its picture, also when it is stopped."""
    images = load("minicifar", "train")
    test = Loader(load("minicifar", "test"), batch_size=500)
    about = SparsityStudy(
        images=images.fingerprint,
        network=network,
        epochs=epochs,
        retraining=retraining,
        description=images.source.description,
        made_with=versions(),
    )
    study = cli.opened(results, about)
    try:
        for seed in seeds:
            carry_out(study, seed, images, test)
    except KeyboardInterrupt:
        print(cli.STOPPED)
    if study.of(SparsityResult):
        write_page(results, pages, page(study), sparsity_curves(study, images))


def page(study: Study[SparsityStudy]) -> list[str]:
    """The table with a heading that says what was measured."""
    about, table = study.about, sparsity_table(study)
    text = (
        f"Images: {about.description.rstrip('.')}. {about.made_with}. {about.epochs} epochs, then {about.retraining} "
        "more for every method. Accuracy on the test images and zeros in percent, mean and standard deviation of the "
        "seeds. Setting: the zeros that were asked for; of soft thresholds the weight decay of s, of AutoPrune the "
        "strength of its penalty."
    )
    lines = markdown_table([table.header, *table.rows])
    return [f"# Zeros in {about.network}, on MiniCIFAR", "", text, "", *lines]


if __name__ == "__main__":
    run_program(main)
