"""The fast ablation oracle beside the plain loop, on `vgg_mini`, in one run.

    python benchmarks/oracle.py [IMAGES]

The plain loop makes a network without each channel (its readers' input slices zeroed) and runs all images through the
whole of it. Layer by layer the two take turns, in batches of 64; both must give the same losses. Medians of three
rounds; the last line is JSON.

Of `vgg_mini` no more than 5.39 times can be expected: that is the ratio of the MACs. Without a channel of layer i,
layer i + 1 costs 1 / C_i of its MACs (only the channel's own share is subtracted), and all layers behind it have to
run again.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table

from course_utils.networks import vgg_mini
from solutions.oracle import Ablations, naive_losses
from solutions.prunable import prunable_groups

ROUNDS = 3


def seconds(call: Callable[[], list[float]]) -> tuple[float, list[float]]:
    start = time.perf_counter()
    losses = call()
    return time.perf_counter() - start, losses


def main(count: int) -> None:
    chance = torch.Generator().manual_seed(0)
    images = torch.randn(count, 3, 32, 32, generator=chance).contiguous(memory_format=torch.channels_last)
    batches = list(zip(images.split(64), (torch.arange(count) % 4).split(64), strict=True))
    network = vgg_mini().to(memory_format=torch.channels_last).train()
    for part, _ in batches:  # running statistics, so that the maps look like those of a network in use
        network(part)
    network.eval()
    groups = [group for group in prunable_groups(network, torch.zeros(2, 3, 32, 32)) if group.free]
    times: dict[str, list[tuple[float, float]]] = {group.name: [] for group in groups}
    largest = 0.0
    for _ in range(ROUNDS):
        for group in groups:
            channels = range(group.channels)
            plain, plain_losses = seconds(lambda: naive_losses(network, batches, group, channels))  # noqa: B023
            fast, losses = seconds(lambda: Ablations(network, batches).losses_without(group, channels))  # noqa: B023
            times[group.name].append((plain, fast))
            largest = max(
                largest, *(abs(loss - plain_loss) for loss, plain_loss in zip(losses, plain_losses, strict=True))
            )
    table = Table("layer", "channels", "plain, s", "fast, s", "ratio", "of the rounds")
    for group in groups:
        ratios = [plain / fast for plain, fast in times[group.name]]
        middle = [statistics.median(column) for column in zip(*times[group.name], strict=True)]
        spread = f"{min(ratios):.1f} … {max(ratios):.1f}"
        table.add_row(
            group.name,
            str(group.channels),
            f"{middle[0]:.1f}",
            f"{middle[1]:.1f}",
            f"{middle[0] / middle[1]:.1f}",
            spread,
        )
    Console().print(table)
    whole = [[sum(times[group.name][turn][way] for group in groups) for way in (0, 1)] for turn in range(ROUNDS)]
    ratios = [plain / fast for plain, fast in whole]
    print(f"{count} images, {torch.get_num_threads()} threads; largest difference of a loss: {largest:.1e}")
    print(f"whole network: {min(ratios):.2f} … {max(ratios):.2f} times")
    print(json.dumps({"ratio_to_naive": round(statistics.median(ratios), 2), "largest_difference": largest}))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 128)
