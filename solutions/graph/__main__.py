"""A picture of what can be pruned in a network of the course, of torchvision or of timm.

python -m solutions.graph torchvision:resnet18 graph.svg
"""

from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from course_utils import networks
from course_utils.command_line import run_program
from minicifar.files import atomic
from solutions.graph.export import export_graph
from solutions.graph.groups import PlanError, channel_groups
from solutions.graph.picture import draw_graph
from solutions.graph.remedies import remedies
from solutions.graph.tensors import tensors_of


def main(
    model: Annotated[str, typer.Argument(help="vgg_mini, resnet20 …, torchvision:NAME or timm:NAME.")],
    file: Annotated[Path | None, typer.Argument(help="An SVG, PNG or PDF file; MODEL.svg if not given.")] = None,
    pixels: Annotated[
        int | None, typer.Option(help="Side of the images; 32 for the course's networks, 224 for others.")
    ] = None,
) -> None:
    """Draw a network's graph with its channel groups, and list them."""
    own = model in networks.names()
    try:
        network = networks.build(recipe_of(model)).eval()
    except ValueError as error:
        raise typer.BadParameter(f"{error} Networks of the course: {', '.join(networks.names())}.") from None
    side = pixels or (32 if own else 224)
    try:
        graph = export_graph(network, torch.zeros(1, 3, side, side))
    except PlanError as error:
        raise typer.BadParameter(str(error)) from None
    groups = channel_groups(graph, list(tensors_of(network)))
    path = file or Path(f"{model.rpartition(':')[2]}.svg")
    with atomic(path) as temporary:
        kind = path.suffix[1:].lower()
        draw_graph(graph, groups).savefig(temporary, format=kind, bbox_inches="tight", dpi=150)
    print(f"{path}: {len(groups)} groups, {sum(not group.free for group in groups)} of them frozen")
    for group in groups:
        why = f", frozen: {'; '.join([*group.reasons, *remedies(group.reasons)])}" if group.frozen else ""
        print(f"  {group.name}: {group.channels} channels{why}")


def recipe_of(model: str) -> dict[str, Any]:
    """How `networks.build` makes the course's network of this name, or torchvision's or timm's ("timm:NAME")."""
    source, _, name = model.rpartition(":")
    if model in networks.names():
        return {"builder": model}
    if source not in ("", "torchvision", "timm"):
        raise ValueError(f"{source}: is not known; write torchvision:NAME or timm:NAME.")
    return {"builder": f"from_{source or 'torchvision'}", "arguments": {"name": name}}


if __name__ == "__main__":
    run_program(main)
