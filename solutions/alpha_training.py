"""Around alpha-branch pruning: which widths, where the branches begin, and the training while alpha falls.

`network` is an `AlphaNetwork`, the intermediate one, but in `kept_widths`, where it is the original.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.modes import evaluating
from course_utils.training import Diverged, OnStop, Stopped, train
from minicifar import BatchLoader
from solutions.graph.chains import NORMS, chain, outputs
from solutions.rounding import channels_removed


def kept_widths(
    network: nn.Module, keep_ratio: float, among: Callable[[str], bool] = lambda name: True
) -> dict[str, int]:
    """`kept` for an `AlphaNetwork`: what `channels_removed` leaves of each layer but the last, of those `among`."""
    widths = {link.layer: outputs(network.get_submodule(link.layer)) for link in chain(network)[:-1]}
    return {name: max(1, width - channels_removed(width, keep_ratio)) for name, width in widths.items() if among(name)}


def start_from_ranking(network: Any, images: Tensor, samples: int = 4000, seed: int = 0) -> None:
    """Let the branches begin as the best narrow version of the original: both merge away, so any linear choice is free.

    ConvA picks the filters with the largest L1 norms, the narrow batch norm has their entries, and ConvB rebuilds the
    wide feature maps from the narrow ones by least squares, min_B ||wide - B narrow||², over `samples` random pixels of
    what `images` (N, 3, H, W) give in the original.
    """
    chance = torch.Generator().manual_seed(seed)
    with evaluating(network):
        maps = images
        for link in network.links[:-1]:
            layer = network.original.get_submodule(link.layer)
            maps = layer(maps)
            wide = network.wide(link, maps)
            if (branch := network.branch(link.layer)) is not None:
                channels = strongest(layer, outputs(branch[0]))
                selection = torch.eye(outputs(layer)).to(maps)[channels]
                branch[0].weight.copy_(selection.view_as(branch[0].weight))
                for name, module in zip(link.behind, branch[1:-1], strict=True):
                    if isinstance(module, NORMS):
                        norm = network.original.get_submodule(name).state_dict()
                        module.load_state_dict({k: v[channels] if v.ndim else v for k, v in norm.items()})
                target, narrow = as_rows(wide), as_rows(branch[:-1](maps))
                rows = torch.randperm(len(target), generator=chance)[:samples]
                target, narrow = target[rows].cpu().double(), narrow[rows].cpu().double()
                solution = torch.linalg.lstsq(narrow, target, driver="gelsd").solution
                branch[-1].weight.copy_(solution.T.reshape_as(branch[-1].weight))
            maps = wide.flatten(1) if link.flattens else wide


def train_through(  # noqa: PLR0913
    network: Any,
    loader: BatchLoader,
    levels: Iterable[float],
    epochs: int,
    restarts: Sequence[tuple[int, float]],
    *,
    lr: float = 0.01,
    after_level: Callable[[float], None] | None = None,
    resume: str | Path | None = None,
    on_stop: OnStop = "return",
    **options: Any,
) -> list[dict[str, Any]]:
    """Train while alpha falls: `epochs` at each of the `levels` between 1 and 0, then at 0 once for each of `restarts`.

    `restarts`: (epochs, lr) each; the learning rate begins anew. Returns one history with `alpha` in every entry.
    `resume`: a folder in which every stage is kept, so that the same call goes on where it was stopped. `options`: for
    `train`. A stop ends the whole run: the epochs so far are returned or, with `on_stop="raise"`, `Stopped` or
    `Diverged` carries them, as in `train`.
    """
    stages = [(level, epochs, lr) for level in levels if 0 < level < 1]
    stages += [(0.0, *restart) for restart in restarts]
    history: list[dict[str, Any]] = []
    for number, (level, count, rate) in enumerate(stages):
        network.alpha = level
        path = None if resume is None else Path(resume) / f"stage{number}.resume"
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            stage = train(network, loader, count, lr=rate, resume=path, on_stop="raise", **options)
        except (Stopped, Diverged) as end:
            end.history = history + with_alpha(end.history, level, len(history))
            if on_stop == "raise":
                raise
            return end.history
        history += with_alpha(stage, level, len(history))
        if after_level is not None:
            after_level(level)
    return history


def with_alpha(stage: Sequence[dict[str, Any]], alpha: float, before: int) -> list[dict[str, Any]]:
    """The entries of one stage as those of the whole run: with its alpha, epochs counted after `before` others."""
    return [{**entry, "epoch": before + entry["epoch"], "alpha": alpha} for entry in stage]


def strongest(layer: nn.Module, count: int) -> Tensor:
    """The `count` outputs of a layer with the largest L1 norms, in increasing order."""
    axis = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
    norms = layer.weight.detach().abs().transpose(0, axis).flatten(1).sum(1)
    return norms.topk(count).indices.sort().values


def as_rows(maps: Tensor) -> Tensor:
    """(N, C, H, W) or (N, C) → one row of C numbers a pixel."""
    return maps.movedim(1, -1).reshape(-1, maps.shape[1])
