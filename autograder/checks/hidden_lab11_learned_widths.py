"""Hidden tests of lab 11: other sizes, dtypes and budgets, against formulas and exhaustive search."""

import random

import pytest
import torch

from autograder.checks.test_lab11_learned_widths import (
    chain,
    compare_action,
    compare_gate,
    compare_importance,
    compare_reward,
    compare_step,
    drawn_gate,
)
from autograder.checks.test_lab11_learned_widths import numbers as fixed_numbers
from course_utils import expect

numbers = expect.in_course(fixed_numbers)


def chance(seed):
    """Python's random numbers, drawn for the course."""
    return random.Random(expect.drawn(seed))


@pytest.mark.points(1)
def test_gates_of_random_sizes(attention_gate):
    drawn = chance(1)
    for round_ in range(6):
        count, channels, inner = drawn.randrange(1, 6), drawn.randrange(1, 9), drawn.randrange(1, 4)
        down, up = drawn_gate(channels, inner, seed=round_)
        maps = numbers(count, channels, drawn.randrange(1, 5), drawn.randrange(1, 5), seed=round_)
        kind = torch.float64 if round_ % 2 else torch.float32
        hint = "sigmoid(up(relu(down(means)))), one gate for every image and channel"
        compare_gate(attention_gate, maps.to(kind), (down.to(kind), up.to(kind)), hint)
    layers = drawn_gate(3, 1)
    layers[1].bias.data = torch.tensor([300.0, -300.0, 0.0])
    compare_gate(attention_gate, numbers(2, 3, 2, 2), layers, "gates that are wide open and shut: 1 and 0, and no nan")


@pytest.mark.points(1)
def test_importance_of_random_batches(mean_importance):
    drawn = chance(2)
    for round_ in range(6):
        channels = drawn.randrange(1, 6)
        sizes = [drawn.randrange(1, 7) for _ in range(drawn.randrange(1, 6))]
        kind = torch.float64 if round_ % 2 else torch.float32
        gates = [numbers(size, channels, seed=10 * round_ + n).sigmoid().to(kind) for n, size in enumerate(sizes)]
        compare_importance(mean_importance, gates, "every image weighs the same")


@pytest.mark.points(1)
def test_actions_of_random_networks(clipped_action):
    drawn, hint = chance(3), "the largest width that the action wants and the budget allows, at least the least"
    for _ in range(40):
        count = drawn.randrange(1, 5)
        widths = [drawn.randrange(1, 30) for _ in range(count)]
        least = [max(1, width // drawn.choice([3, 8, 20])) for width in widths]
        macs = chain([drawn.randrange(1, 20) for _ in range(count + 1)])
        layer = drawn.randrange(count)
        decided = [drawn.randrange(low, width + 1) for low, width in zip(least, widths, strict=True)]
        given = [*decided[:layer], *widths[layer:]]
        low, high = macs([*given[:layer], *least[layer:]]), macs(given)
        budget = drawn.uniform(0.95 * low, 1.05 * high)
        compare_action(clipped_action, drawn.choice([1.0, drawn.random()]), layer, given, least, macs, budget, hint)


@pytest.mark.points(1)
def test_rewards_of_random_logits(reward):
    drawn = chance(4)
    for round_ in range(6):
        images, classes = drawn.randrange(1, 50), drawn.randrange(2, 11)
        kind = torch.float64 if round_ % 2 else torch.float32
        logits = (drawn.uniform(0.1, 20) * numbers(images, classes, seed=round_)).to(kind)
        labels = torch.tensor([drawn.randrange(classes) for _ in range(images)])
        macs = None if round_ < 3 else drawn.randrange(1, 10**8)
        compare_reward(reward, logits, labels, macs, "minus the loss, or minus the error times ln(macs)")


@pytest.mark.points(1)
def test_steps_of_random_problems(lasso_step):
    drawn = chance(5)
    for round_ in range(10):
        samples, channels = drawn.randrange(1, 25), drawn.randrange(1, 7)
        kind = torch.float64 if round_ % 2 else torch.float32
        x, y, beta = (
            numbers(*shape, seed=10 * round_ + n).to(kind)
            for n, shape in enumerate([(samples, channels), (samples,), (channels,)])
        )
        strength = drawn.choice([0.0, drawn.uniform(0, 1)])
        hint = "one coordinate of LASSO, the others held"
        compare_step(lasso_step, drawn.choice([0.1, 1, 7]) * x, y, beta, drawn.randrange(channels), strength, hint)
