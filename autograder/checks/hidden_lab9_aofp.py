"""Hidden tests of lab 9: random inputs against the formulas, of other sizes and dtypes."""

import math
import random

import pytest
import torch

from autograder.checks.test_lab9_aofp import (
    a_half,
    all_as_likely,
    compare_accounts,
    compare_damage,
    compare_move,
    shares,
)
from autograder.checks.test_lab9_aofp import numbers as fixed_numbers
from course_utils import expect

numbers = expect.in_course(fixed_numbers)


def chance(seed):
    """Python's random numbers, drawn for the course."""
    return random.Random(expect.drawn(seed))


@pytest.mark.points(1)
def test_halves_of_other_spaces(random_half):
    drawn, hint = chance(0), "floor(|S| / 2) different filters of the search space, in increasing order"
    for size in (128, 3, 2, 1, 17):
        a_half(random_half, drawn.sample(range(300), size), drawn.randrange(2**31), hint)
    space, seeds = drawn.sample(range(50), 5), [drawn.randrange(2**40) for _ in range(300)]
    likely, halves = shares(random_half, space, seeds, hint)
    hint = f"every filter is as likely as any other: of {space} with 300 seeds each in about 40 % of the halves"
    all_as_likely(likely, 0.4, hint)
    assert len(halves) == 10, f"of five filters there are 10 halves, and all come; of yours only {len(halves)} do"


@pytest.mark.points(1)
def test_damage_of_random_outputs(damage):
    for seed, (shape, kind) in enumerate(
        [((3, 5, 4, 2), torch.float64), ((1, 6, 1, 1), torch.float32), ((7, 4), torch.float32), ((2, 1, 3, 3), None)]
    ):
        base, ablated = numbers(*shape, seed=seed), numbers(*shape, seed=seed + 10)
        base, ablated = base.to(kind or torch.float32), ablated.to(kind or torch.float32)
        mask = (numbers(shape[1], seed=seed + 20) > -0.5).to(base)
        mask[0], mask[1:2] = 1, 0
        hint = f"the damage of outputs {shape}, the mask {mask.int().tolist()}"
        compare_damage(damage, base, ablated, mask, hint)


@pytest.mark.points(1)
def test_damage_behind_a_real_follower(damage):
    """Twice the maps have the same share missing."""
    follower = torch.nn.Conv2d(6, 5, 3, padding=1, bias=False).double()
    follower.weight.data = numbers(5, 6, 3, 3, seed=1).double()
    maps, half = numbers(3, 6, 4, 5, seed=2).double().relu(), chance(3).sample(range(6), 3)
    without = maps.clone()
    without[:, half] = 0
    mask = torch.tensor([1.0, 1, 0, 1, 1]).double()
    with torch.no_grad():
        for factor in (1, 1000, 1e-4):
            hint = f"the damage behind a convolution, its inputs times {factor:g}: it is relative, so always the same"
            compare_damage(damage, follower(factor * maps), follower(factor * without), mask, hint)


@pytest.mark.points(1)
def test_accounts_of_many_batches(credit):
    drawn, hint = chance(4), "batch after batch, each damage to the filters that were ablated in it"
    batches = [(drawn.sample(range(9), size), drawn.random()) for size in (4, 1, 9, 0, 4, 2)]
    compare_accounts(credit, torch.zeros(9, dtype=torch.float64), torch.zeros(9, dtype=torch.int64), batches, hint)
    compare_accounts(credit, numbers(9, seed=5).abs(), torch.arange(9.0), batches[:3], f"{hint}, counts of float32")


@pytest.mark.points(2)
def test_random_moves(next_move):
    drawn = chance(6)
    hint = "g = floor(|S| / 2), v the g-th smallest score in the space: v < threshold prunes, else look closer"
    for round_ in range(24):
        filters = drawn.randrange(4, 14)
        scores = torch.tensor([drawn.choice([drawn.random(), 0.5, math.inf]) for _ in range(filters)]).double()
        alive = drawn.sample(range(filters), drawn.randrange(2, filters + 1))
        space = drawn.sample(alive, drawn.randrange(1, len(alive) + 1)) if round_ % 3 else list(alive)
        compare_move(next_move, scores, alive, space, drawn.choice([0.25, 0.5, 0.6, 0.9]), hint)
