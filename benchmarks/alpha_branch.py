"""Original against pruned by alpha-branch, in the form of the report's tables: time per image and memory.

    python benchmarks/alpha_branch.py

VGG-16 on 32×32 images and the RGB autoencoder on 128×128, 65.625 % of the channels of every layer removed at once,
merged (untrained: weights do not matter here). Original and pruned run in turn. Beside our ratios stand those of
Gschossmann 2021 (tables 1 and 5): other machines, so only ratios can be compared. The last line is JSON.
"""

import json
import statistics

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from course_utils.networks import parameter_count, rgb_autoencoder, vgg16
from solutions.alpha_branch import AlphaNetwork, shrink
from solutions.alpha_training import kept_widths
from solutions.costs import count_macs
from solutions.speedup import compare, peak_cuda_megabytes, peak_megabytes

KEEP_RATIO = 0.34375
NETWORKS = {"VGG-16": (vgg16, (3, 32, 32)), "autoencoder": (rgb_autoencoder, (3, 128, 128))}
REPORT = {
    ("VGG-16", "CPU"): (19.3, 6.0),
    ("VGG-16", "GPU"): (42.0, 41.6),
    ("autoencoder", "CPU"): (87.6, 52.2),
    ("autoencoder", "GPU"): (53.1, 53.1),
}
"""Milliseconds for an image, original and pruned (encoder and decoder together)."""


def pruned(network: nn.Module) -> nn.Module:
    branched = AlphaNetwork(network, kept_widths(network, KEEP_RATIO)).eval()
    branched.alpha = 0.0
    return shrink(branched)


def main() -> None:
    table = Table("network", "what", "original", "pruned", "ratio", "in the report")
    figures: dict[str, float] = {}
    settings = ["torch", "channels_last", "onnxruntime", *(["cuda"] if torch.cuda.is_available() else [])]
    for name, (make, size) in NETWORKS.items():
        original = make().eval()
        narrow = pruned(original)
        for what, count in (("parameters", parameter_count), ("MACs", lambda network: count_macs(network, size))):  # noqa: B023
            whole, left = count(original), count(narrow)
            figures[f"{name} {what}"] = round(whole / left, 2)
            table.add_row(name, what, f"{whole:,}", f"{left:,}", f"{whole / left:.2f}", "")
        for setting in settings:
            timing = compare(original, narrow, batch=1, setting=setting, image_size=size, rounds=7)
            place = "GPU" if setting == "cuda" else "CPU"
            theirs = REPORT[name, place]
            first, second = (1000 * statistics.median(times) for times in (timing.original, timing.pruned))
            report = f"{theirs[0]} → {theirs[1]} ms, {theirs[0] / theirs[1]:.1f}"
            table.add_row(
                name, f"ms an image, {setting}", f"{first:.2f}", f"{second:.2f}", f"{timing.speedup:.2f}", report
            )
            figures[f"{name} {setting}"] = round(timing.speedup, 2)
        batch = 64 if size[1] == 32 else 16
        memory = [peak_megabytes(network, batch, size) for network in (original, narrow)]
        label = f"MB more for a batch of {batch}, CPU"
        table.add_row(name, label, *(f"{value:.0f}" for value in memory), f"{memory[0] / memory[1]:.2f}", "")
        figures[f"{name} memory"] = round(memory[0] / memory[1], 2)
        if "cuda" in settings:
            images = torch.zeros(batch, *size)
            memory = [peak_cuda_megabytes(network, images) for network in (original, narrow)]
            label = f"MB for a batch of {batch}, GPU"
            table.add_row(name, label, *(f"{value:.0f}" for value in memory), f"{memory[0] / memory[1]:.2f}", "")
            figures[f"{name} GPU memory"] = round(memory[0] / memory[1], 2)
    Console(width=140).print(table)
    print(f"{torch.get_num_threads()} threads, PyTorch {torch.__version__}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
