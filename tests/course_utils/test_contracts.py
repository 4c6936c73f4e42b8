"""Contracts: each part is broken by an answer that is right but for that, and the sentence says so."""

import copy
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from course_utils.contracts import Contract
from course_utils.surroundings import seeded, surroundings

Function = Callable[..., Any]


def broken(contract: Contract, function: Function, *makes: Callable[[], dict[str, Any]]) -> str:
    """What is said of a function; "" if it holds its contract."""
    try:
        with seeded(5):
            contract.hold(function, *makes)
    except AssertionError as error:
        return str(error)
    return ""


# --- scores of a tensor


def weight() -> dict[str, Any]:
    return {"weight": torch.randn(4, 3, 2, 5)}


def scores(weight: Tensor) -> Tensor:
    return weight.abs().sum((1, 2, 3))


def in_place(weight: Tensor) -> Tensor:
    return scores(weight.detach().abs_())


def freezes(weight: Tensor) -> Tensor:
    return scores(weight.requires_grad_(False))


def forgets_gradients(weight: Tensor) -> Tensor:
    weight.grad = None
    return scores(weight)


def by_view(weight: Tensor) -> Tensor:
    return weight.abs().view(len(weight), -1).sum(1)


def by_numpy(weight: Tensor) -> Tensor:
    return torch.as_tensor(np.abs(weight.numpy()).sum((1, 2, 3)))


def by_memory(weight: Tensor, seen: list[Tensor] = []) -> Tensor:  # noqa: B006
    seen.append(scores(weight.detach()))
    return torch.stack(seen).sum(0)


def the_same_tensor(weight: Tensor, kept: dict[int, Tensor] = {}) -> Tensor:  # noqa: B006
    return kept.setdefault(0, torch.zeros(4)).copy_(scores(weight.detach()))


def float32_always(weight: Tensor) -> Tensor:
    return scores(weight).float()


def as_a_list(weight: Tensor) -> list[float]:
    return scores(weight).tolist()


def by_object(weight: Tensor, seen: dict[int, tuple[Tensor, Tensor]] = {}) -> Tensor:  # noqa: B006
    if id(weight) not in seen:
        seen[id(weight)] = weight, scores(weight)
    return seen[id(weight)][1].clone()


def switches_gradients_on(weight: Tensor) -> Tensor:
    torch.set_grad_enabled(False)
    result = scores(weight)
    torch.set_grad_enabled(True)
    return result


def seeds(what: Callable[[int], Any]) -> Function:
    def answer(weight: Tensor) -> Tensor:
        what(0)
        return scores(weight)

    return answer


def without_gradients(weight: Tensor) -> Tensor:
    torch.set_grad_enabled(False)
    return scores(weight)


def in_double(weight: Tensor) -> Tensor:
    torch.set_default_dtype(torch.float64)
    return scores(weight)


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (in_place, "`weight` was changed: its values are others afterwards"),
        (freezes, "`weight` was changed: its requires_grad is another one"),
        (forgets_gradients, "`weight` was changed: its gradient is another one"),
        (by_view, "with tensors in channels_last, as the course's training leaves them, it stops with RuntimeError"),
        (by_view, "use reshape or flatten in place of view"),
        (by_numpy, "take .detach() first"),
        (by_memory, "a later call with the same arguments gives something else"),
        (the_same_tensor, "two calls return the same memory"),
        (float32_always, "you return float32 where float64 was given"),
        (as_a_list, "return a tensor; yours is of type list"),
        (seeds(torch.manual_seed), "torch's global random numbers are others afterwards"),
        (seeds(np.random.seed), "numpy's global random numbers are others afterwards"),
        (seeds(random.seed), "Python's global random numbers are others afterwards"),
        (without_gradients, "gradients are switched on or off for the whole program"),
        (by_object, "come again with other numbers give the old result"),
        (switches_gradients_on, "with gradients switched off by who calls it: gradients are switched on or off"),
        (in_double, "torch's default dtype is another one"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_scores_that_break_it(function: Function, sentence: str) -> None:
    assert sentence in broken(Contract(gives=Tensor, dtype=True), function, weight)


@pytest.mark.parametrize("function", [scores, lambda weight: scores(weight.detach()), lambda weight: weight.clone().abs_().sum((1, 2, 3))])  # fmt: skip
def test_scores_that_hold_it(function: Function) -> None:
    assert broken(Contract(gives=Tensor, dtype=True), function, weight) == ""


def test_what_is_remembered_shows_after_other_arguments() -> None:
    def all_inputs_so_far(weight: Tensor, inputs: list[int], seen: set[int] = set()) -> Tensor:  # noqa: B006
        seen.update(inputs)
        return scores(weight[:, sorted(seen)])

    one, other = ({"weight": torch.ones(2, 3, 1, 1), "inputs": [number]} for number in (0, 2))
    assert broken(Contract(gives=Tensor), all_inputs_so_far, lambda: one) == ""
    assert "remember and draw nothing" in broken(Contract(gives=Tensor), all_inputs_so_far, lambda: one, lambda: other)  # fmt: skip


def test_surroundings_are_as_before() -> None:
    before = surroundings()
    broken(Contract(gives=Tensor), without_gradients, weight)
    assert surroundings() == before


def test_an_error_with_plain_arguments_is_raised_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        Contract(gives=Tensor).hold(lambda weight: 1 / 0, weight)


def test_a_nan_that_became_a_number_is_a_change() -> None:
    def fills_gaps(weight: Tensor) -> Tensor:
        return weight.nan_to_num_().sum()

    make = lambda: {"weight": torch.tensor([1.0, torch.nan, torch.inf])}  # noqa: E731
    assert "`weight` was changed" in broken(Contract(gives=Tensor), fills_gaps, make)
    assert broken(Contract(gives=Tensor), lambda weight: weight.nansum(), make) == ""


# --- a layer made of another


def layer() -> dict[str, Any]:
    return {"linear": nn.Linear(4, 3).train()}


def narrow(linear: nn.Linear, keep: int = 2) -> nn.Linear:
    new = nn.Linear(4, keep, dtype=linear.weight.dtype).train(linear.training)
    new.weight.data, new.bias.data = linear.weight.data[:keep].clone(), linear.bias.data[:keep].clone()
    return new


def shares(linear: nn.Linear) -> nn.Linear:
    new = narrow(linear)
    new.weight.data = linear.weight.data[:2]
    return new


def itself(linear: nn.Linear) -> nn.Linear:
    return linear


def frozen(linear: nn.Linear) -> nn.Linear:
    return narrow(linear).requires_grad_(False)


def stale(linear: nn.Linear) -> nn.Linear:
    new = copy.deepcopy(linear)
    new.weight.data, new.bias.data = new.weight.data[:2], new.bias.data[:2]
    return new


def without_its_mode(linear: nn.Linear) -> nn.Linear:
    return narrow(linear).eval()


def puts_into_eval(linear: nn.Linear) -> nn.Linear:
    return narrow(linear.eval())


def leaves_a_hook(linear: nn.Linear) -> nn.Linear:
    linear.register_forward_hook(lambda *_: None)
    return narrow(linear)


def with_a_buffer(linear: nn.Linear) -> nn.Linear:
    linear.register_buffer("kept", torch.arange(2))
    return narrow(linear)


def a_new_parameter(linear: nn.Linear) -> nn.Linear:
    linear.weight = nn.Parameter(linear.weight.detach().clone())
    return narrow(linear)


def by_a_hook(linear: nn.Linear) -> nn.Linear:
    new = narrow(linear)
    new.register_forward_hook(lambda *_: None)
    return new


def inference(linear: nn.Linear) -> nn.Linear:
    with torch.inference_mode():
        return narrow(linear)


def seeds_and_narrows(linear: nn.Linear) -> nn.Linear:
    torch.manual_seed(0)
    return narrow(linear)


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (shares, "what you return shares memory with `linear`"),
        (itself, "you return a layer that was given"),
        (frozen, "can no longer be trained: its weight has requires_grad=False"),
        (stale, "your Linear says out_features=3, but its tensors are for 2"),
        (without_its_mode, "the layer given is in training mode, yours is not"),
        (puts_into_eval, "it is in another mode (training or evaluation) afterwards"),
        (leaves_a_hook, "its hooks are others afterwards"),
        (with_a_buffer, "`linear` was changed: its attributes are others"),
        (a_new_parameter, "another object is in its place"),
        (by_a_hook, "your layer works by hooks"),
        (inference, "its weight was made in inference mode"),
        (seeds_and_narrows, "you seed torch's global random numbers"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_layers_that_break_it(function: Function, sentence: str) -> None:
    assert sentence in broken(Contract(gives=nn.Linear, dtype=True, mode=True, draws=True), function, layer)


def test_a_layer_that_holds_it() -> None:
    assert broken(Contract(gives=nn.Linear, dtype=True, mode=True, draws=True), narrow, layer) == ""


# --- changes in place


def arguments() -> dict[str, Any]:
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    return {"network": network, "factor": torch.tensor([2.0, 3.0])}


def scale(network: nn.Module, factor: Tensor) -> None:
    with torch.no_grad():
        network[0].weight.mul_(factor[:, None])


def scales_by_new_parameters(network: nn.Module, factor: Tensor) -> None:
    network[0].weight = nn.Parameter(network[0].weight.detach() * factor[:, None])


def scales_and_freezes(network: nn.Module, factor: Tensor) -> None:
    scale(network, factor)
    network[0].weight.requires_grad_(False)


def scales_the_factor(network: nn.Module, factor: Tensor) -> None:
    scale(network, factor.mul_(2) / 2)


def scales_and_returns(network: nn.Module, factor: Tensor) -> nn.Module:
    scale(network, factor)
    return network


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (scales_by_new_parameters, "another object is in its place afterwards, which an optimizer does not know"),
        (scales_and_freezes, "its requires_grad is another one"),
        (scales_the_factor, "`factor` was changed"),
        (scales_and_returns, "nothing is to be returned"),
        (lambda network, factor: network.eval() and scale(network, factor), "it is in another mode"),
    ],
)
def test_changes_that_break_it(function: Function, sentence: str) -> None:
    assert sentence in broken(Contract(changes=("network",)), function, arguments)


def test_changes_that_hold_it() -> None:
    assert broken(Contract(changes=("network",)), scale, arguments) == ""
