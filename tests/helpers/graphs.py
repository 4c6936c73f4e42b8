"""Channel groups of the course's networks, read from a graph once for each recipe and size of images."""

import ast
import functools

import torch
from torch import nn

from course_utils.networks import build
from solutions.graph.groups import Group
from solutions.prunable import prunable_groups


def groups_of(network: nn.Module, side: int = 32) -> list[Group]:
    """`prunable_groups` of a network of the course: they follow from its recipe, whatever its weights are."""
    return list(_groups(str(network.recipe), side))


@functools.cache
def _groups(recipe: str, side: int) -> list[Group]:
    return prunable_groups(build(ast.literal_eval(recipe)), torch.zeros(2, 3, side, side))
