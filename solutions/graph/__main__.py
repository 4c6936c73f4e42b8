"""A picture of what can be pruned: `python -m solutions.graph resnet18 graph.svg`."""

from collections.abc import Sequence
from typing import Any

import torch

from solutions.graph.export import export_graph
from solutions.graph.groups import channel_groups


def main(arguments: Sequence[str] | None = None) -> None:
    """`python -m solutions.graph.groups MODEL FILE`: a picture of a network of the course or of torchvision."""
    import argparse

    from course_utils import networks
    from minicifar.files import atomic
    from solutions.graph.picture import draw_graph

    parser = argparse.ArgumentParser(prog="python -m solutions.graph.groups", description=main.__doc__)
    parser.add_argument("model", help="vgg_mini, resnet20 …, or a name of torchvision.models")
    parser.add_argument("file", nargs="?", help="an SVG, PNG or PDF file (MODEL.svg)")
    parser.add_argument("--pixels", type=int, help="side of the images (32 for the course's networks, 224 for others)")
    options = parser.parse_args(arguments)
    own = options.model in networks.names()
    try:
        network = networks.build({"builder": options.model} if own else _torchvision(options.model)).eval()
    except ValueError as error:
        parser.error(f"{error} Networks of the course: {', '.join(networks.names())}.")
    side = options.pixels or (32 if own else 224)
    model = export_graph(network, torch.zeros(1, 3, side, side))
    groups = channel_groups(model, list(network.state_dict()))
    path = options.file or f"{options.model}.svg"
    with atomic(path) as temporary:
        kind = path.rpartition(".")[2].lower()
        draw_graph(model, groups).savefig(temporary, format=kind, bbox_inches="tight", dpi=150)
    print(f"{path}: {len(groups)} groups, {sum(not group.free for group in groups)} of them frozen")
    for group in groups:
        why = f", frozen: {'; '.join(group.reasons)}" if group.frozen else ""
        print(f"  {group.name}: {group.channels} channels{why}")


def _torchvision(name: str) -> dict[str, Any]:
    return {"builder": "from_torchvision", "arguments": {"name": name}}


if __name__ == "__main__":
    main()
