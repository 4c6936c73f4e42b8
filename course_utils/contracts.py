"""What every caller needs of an answer beside its numbers: what it leaves alone, what it returns, what it takes.

An exercise states its `Contract` once. The answer is called with the arguments as they are, once more, and with each
variation of them that fits (`VARIATIONS`): the same numbers in another layout, dtype or state. What is found is said in
sentences, all in one message.
"""

import contextlib
import copy
import operator
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from course_utils.expect import alike, of_the_machinery, show
from course_utils.observed import faults_of, floats_of, inside, layers_of, memory_of, state_of, tensors_of
from course_utils.surroundings import seeded, surroundings

Arguments = dict[str, Any]  # an argument's name → its value, in the order of the function's
Make = Callable[[], Arguments]  # gives the arguments, new ones with the same numbers each time
NUMBERS = "torch's global random numbers"
SEED = 1_870_643  # nobody else's


@dataclass(frozen=True)
class Variation:
    """The same numbers in another form: `of` gives a tensor in it (itself, if there is none) and brings a layer to it.

    `words` say what form it is; `advice`: a piece of an error's text → what to do about it. `layers`: whether layers
    have the form, too. `within`: what the call stands in, if that is all that is varied.
    """

    name: str
    words: str
    of: Callable[[Any], Any]
    advice: Mapping[str, str]
    layers: bool = True
    within: Callable[[], AbstractContextManager[Any]] | None = None

    def fits(self, arguments: Arguments) -> bool:
        """Whether the call is another one: within something, with a layer, or a tensor that is not in this form yet."""
        tensors = [item for item in inside(arguments) if isinstance(item, Tensor)]
        layers = self.layers and bool(layers_of(arguments))
        return layers or self.within is not None or any(self.of(tensor) is not tensor for tensor in tensors)


def in_channels_last(value: Any) -> Any:
    """A tensor of four axes, or a layer with such weights, whose channels lie side by side in memory."""
    if isinstance(value, nn.Module) or (isinstance(value, Tensor) and value.ndim == 4):
        return value.to(memory_format=torch.channels_last)
    return value


def strided(value: Any) -> Any:
    """A tensor that is every second column of a part of a larger one, so that no two axes can be viewed as one."""
    if isinstance(value, Tensor) and value.ndim:
        larger = torch.zeros([*(size + 1 for size in value.shape[:-1]), 2 * value.shape[-1] + 1], dtype=value.dtype)
        part = larger[tuple(slice(size) for size in value.shape[:-1])][..., : 2 * value.shape[-1] : 2]
        return part.copy_(value)
    return value


def with_gradient(value: Any) -> Any:
    """A layer's own Parameter, trained already; and a layer whose Parameters are."""
    if isinstance(value, nn.Module):
        for parameter in value.parameters():
            parameter.grad = torch.ones_like(parameter)
    elif isinstance(value, Tensor) and value.is_floating_point():
        value = nn.Parameter(value)
        value.grad = torch.ones_like(value)
    return value


def double(value: Any) -> Any:
    """Floats in double precision."""
    floats = isinstance(value, nn.Module) or (isinstance(value, Tensor) and value.is_floating_point())
    return value.double() if floats else value


def itself(value: Any) -> Any:
    """A value as it is."""
    return value


def mixed(value: Any) -> Any:
    """A network in training mode of which every second layer is in evaluation mode, as frozen batch norms are."""
    if isinstance(value, nn.Module):
        for number, layer in enumerate(value.modules()):
            layer.training = number % 2 == 0
    return value


def formed(value: Any, form: Callable[[Any], Any]) -> Any:
    """A value in another form, and what is inside lists, tuples and dicts."""
    if isinstance(value, Mapping):
        return {name: formed(item, form) for name, item in value.items()}
    if isinstance(value, (list, tuple)) and not isinstance(value, torch.Size):
        return type(value)(formed(item, form) for item in value)
    return form(value) if isinstance(value, (Tensor, nn.Module)) else value


RESHAPE = {"view size": "use reshape or flatten in place of view: these take tensors however they lie in memory"}
GRADIENTS = {"numpy": "take .detach() first", "in-place": "compute with .detach(), or within torch.no_grad()"}
DTYPE = {"dtype": "make new tensors with the dtype of those given"}
VARIATIONS = (
    Variation(
        "channels_last", "tensors in channels_last, as the course's training leaves them", in_channels_last, RESHAPE
    ),
    Variation("strided", "tensors that are not contiguous, such as a part of a larger one", strided, RESHAPE, False),
    Variation("gradients", "Parameters, which require grad and have gradients", with_gradient, GRADIENTS),
    Variation("float64", "float64 in place of float32", double, DTYPE),
    Variation("no_grad", "gradients switched off by who calls it", itself, GRADIENTS, within=torch.no_grad),
    Variation("modes", "networks of which some layers are in training and others in evaluation mode", mixed, {}),
)


@dataclass(frozen=True)
class Called:
    """One call: with what, what it gave (or its error), the random numbers' state afterwards, and what is wrong.

    `outcome`: copies of what was returned and of what was changed in place.
    """

    arguments: Arguments
    result: Any = None
    outcome: Any = None
    error: Exception | None = None
    numbers: Any = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contract:
    """What an exercise promises.

    Always: arguments are left alone, and the surroundings (gradients, random numbers); layers that are returned are
    new, can be trained, and their attributes fit their weights; a second call gives the same in other memory; so does
    each of `VARIATIONS`.

    gives: the type of what is returned; [type] for a list of it; None if nothing is.
    changes: arguments that are changed in place. Their Parameters stay the same objects, trained as before, and hooks
        stay; "mode" among these names allows another mode.
    dtype: floats that are returned have the arguments' dtype.
    mode: a layer that is returned has the mode, training or evaluation, of the first layer given.
    shares: what is returned may share memory with the arguments.
    draws: it may take global random numbers, as new layers do; "result": and gives others each time.
    without: names of variations that do not apply.
    """

    gives: Any = None
    changes: tuple[str, ...] = ()
    dtype: bool = False
    mode: bool = False
    shares: bool = False
    draws: bool | str = False
    without: tuple[str, ...] = ()

    def hold(self, function: Callable[..., Any], *makes: Make) -> None:
        """Raise AssertionError with a sentence for each part that `function` breaks, given the arguments of `make()`.

        Of several sets of arguments, the first is tried once more after the others, which may not change what it gives,
        and then varied. An error with the arguments as they are is raised as it is.
        """
        calls = [self.call(function, make) for make in makes]
        for called in calls:
            if called.error:
                raise called.error
        problems = [problem for called in calls for problem in called.problems]
        for look in () if problems else (self.again, self.forms):  # what follows may only be a consequence
            problems = problems or list(look(function, makes[0], calls[0]))
        if problems:
            raise AssertionError("\n".join(dict.fromkeys(problems)))

    def forms(self, function: Callable[..., Any], make: Make, first: Called) -> Iterator[str]:
        """Sentences on calls with the arguments in other forms, and with objects that were there before."""
        for variation in VARIATIONS:
            if variation.name not in self.without:
                yield from self.varied(function, make, variation, first)
        yield from self.reused(function, make)

    def call(
        self, function: Callable[..., Any], make: Make, variation: Variation | None = None, seed: int = SEED
    ) -> Called:
        """Call a function with the arguments in some form, and look around before and after."""
        form = variation.of if variation else itself
        within = (variation and variation.within) or contextlib.nullcontext
        with seeded(0):
            arguments = {name: formed(value, form) for name, value in make().items()}
        before = state_of(arguments)
        modes = [layer.training for value in arguments.values() for layer in layers_of(value)]
        with seeded(seed), within():
            torch.rand(1), np.random.rand(), random.random()  # so that seeding once more would not be the same
            around = surroundings()
            try:
                result = function(*arguments.values())
            except Exception as error:
                if of_the_machinery(error):
                    raise
                return Called(arguments, error=error)
            now = surroundings()
        allowed = {NUMBERS} if self.draws else set()
        changed = [name for name, value in now.items() if value != around[name] and name not in allowed]
        problems = [
            SURROUNDINGS.get(name, f"{name} are others afterwards: they are the whole program's") for name in changed
        ]
        problems += [*self.changed(before, arguments), *self.returned(result, arguments, modes)]
        drawn = now[NUMBERS] if now[NUMBERS] != around[NUMBERS] else None
        return Called(arguments, result, self.outcome(result, arguments), numbers=drawn, problems=tuple(problems))

    def changed(self, before: Mapping[str, Any], arguments: Arguments) -> Iterator[str]:
        """Sentences on arguments that were to be left alone."""
        after, found = state_of(arguments), []
        for place, fact in before.items():
            name, _, part = place.partition(" ")
            allowed = name.partition(".")[0].partition("[")[0] in self.changes
            if after.get(place, GONE) == fact or (allowed and part in IN_PLACE):
                continue
            if part == "mode" and "mode" in self.changes:
                continue
            gone = place not in after and part != "gradient"
            found.append((list(CHANGED).index(part), name, "it is gone afterwards" if gone else CHANGED[part]))
        if found:
            _, name, what = min(found, key=operator.itemgetter(0))
            yield f"`{name}` was changed: {what}"
            return
        more = sorted(
            place
            for place in after.keys() - before.keys()
            if place.partition(" ")[2] != "gradient" and place.partition(".")[0] not in self.changes
        )
        if more:
            name, _, part = more[0].partition(" ")
            yield f"`{name}` is new ({part}): the arguments hold what they held before"

    def returned(self, result: Any, arguments: Arguments, modes: list[bool]) -> Iterator[str]:
        """Sentences on what was returned: its type, memory, dtype, and whether its layers can be trained.

        `modes`: those that the layers given were in.
        """
        if wrong := of_type(result, self.gives):
            yield wrong
            return
        given = [layer for value in arguments.values() for layer in layers_of(value)]
        memory = {place: name for name, value in arguments.items() for place in memory_of(value)}
        for place in memory_of(result):
            if place in memory and not self.shares:
                shared = f"what you return shares memory with `{memory[place]}`"
                yield f"{shared}: who changes one changes the other; clone it"
                break
        for layer in layers_of(result):
            yield from faults_of(layer, given)
        dtypes = {tensor.dtype for value in arguments.values() for tensor in floats_of(value)}
        for tensor in floats_of(result):
            if self.dtype and len(dtypes) == 1 and tensor.dtype not in dtypes:
                yield f"you return {word(tensor.dtype)} where {word(*dtypes)} was given: keep the dtype"
                break
        if self.mode and modes and any(layer.training != modes[0] for layer in layers_of(result)):
            yield f"the layer given is in {MODES[modes[0]]} mode, yours is not: it keeps its mode"

    def again(self, function: Callable[..., Any], make: Make, first: Called) -> Iterator[str]:
        """Sentences on a later call with the same arguments, and other random numbers."""
        second = self.call(function, make, seed=SEED + 1)
        if second.error:
            yield f"a later call with the same arguments stops with {type(second.error).__name__}: {second.error}"
            return
        yield from (problem for problem in second.problems if problem not in first.problems)
        if self.draws and second.numbers is not None and second.numbers == first.numbers:
            yield f"you seed {NUMBERS}: all that the program draws afterwards is the same each time"
        if self.draws != "result" and not equal(first.outcome, second.outcome):
            yield "a later call with the same arguments gives something else: remember and draw nothing"
        same = isinstance(second.result, (list, dict)) and first.result is second.result
        if not self.shares and (same or memory_of(first.result) & memory_of(second.result)):
            yield "two calls return the same memory: who changes one result changes the other. Make it anew each time"

    def reused(self, function: Callable[..., Any], make: Make) -> Iterator[str]:
        """A sentence on a call with the very objects of an earlier one, whose numbers have changed in the meantime."""
        with seeded(SEED):
            arguments = make()
            if self.changes or self.draws == "result" or any(map(callable_inside, arguments.values())):
                return
            function(*arguments.values())
            with torch.no_grad():
                for tensor in tensors_of(list(arguments.values())):
                    tensor.copy_(tensor.roll(1, 0) if tensor.ndim else tensor)
            copies = copy.deepcopy(arguments)
            with contextlib.suppress(RuntimeError, ValueError, TypeError, IndexError):  # numbers may be illegal
                expected = function(*copies.values())
                if not equal(expected, function(*arguments.values())):
                    yield "objects that come again with other numbers give the old result: remember nothing"

    def varied(self, function: Callable[..., Any], make: Make, variation: Variation, first: Called) -> Iterator[str]:
        """Sentences on a call with the arguments in another form."""
        with seeded(0):
            if not variation.fits(make()):
                return
        called, words = self.call(function, make, variation), f"with {variation.words}"
        if called.error:
            text = f"{type(called.error).__name__}: {called.error}"
            advice = next((advice for piece, advice in variation.advice.items() if piece in text), "")
            yield f"{words}, it stops with {text}{advice and f' ({advice})'}"
            return
        yield from (f"{words}: {problem}" for problem in called.problems if problem not in first.problems)
        if self.draws != "result" and not equal(first.outcome, called.outcome):
            yield f"{words}, it gives other numbers, though the numbers given are the same"

    def outcome(self, result: Any, arguments: Arguments) -> list[Any]:
        """Copies of all that a call gave: what was returned and what was changed in place."""
        given = [result, *(value for name, value in arguments.items() if name in self.changes)]
        with contextlib.suppress(Exception):  # of what lives in another process there is no copy
            return copy.deepcopy(given)
        return given


GONE = object()
MODES = {True: "training", False: "evaluation"}
SURROUNDINGS = {
    "gradients": "gradients are switched on or off for the whole program afterwards: use `with torch.no_grad():`",
    "torch's default dtype": "torch's default dtype is another one afterwards: give each tensor the dtype it needs",
}
IN_PLACE = {"value", "gradient", "keys"}  # what "changed in place" allows
CHANGED = {  # the first that holds is said
    "object": "another object is in its place afterwards, which an optimizer does not know",
    "shape": "it has another shape or dtype afterwards",
    "value": "its values are others afterwards. Work on a copy, or with operations that return something new",
    "trained": "its requires_grad is another one afterwards",
    "inference": "its memory was made in inference mode, so that it cannot be trained: use torch.no_grad()",
    "gradient": "its gradient is another one afterwards",
    "mode": "it is in another mode (training or evaluation) afterwards",
    "hooks": "its hooks are others afterwards: remove your own, and leave those of others",
    "settings": "its attributes are others afterwards",
    "keys": "its keys are others afterwards",
}  # fmt: skip


# --- what is said of what came back


def word(dtype: torch.dtype) -> str:
    """A dtype's name without torch."""
    return str(dtype).removeprefix("torch.")


def of_type(result: Any, gives: Any) -> str:
    """A sentence if a result is not of the type that is to be returned; or ""."""
    if gives is None:
        return "" if result is None else f"nothing is to be returned; you return {show(result)}"
    if isinstance(gives, list):
        if not isinstance(result, list):
            return f"return a list; yours is a {type(result).__name__}"
        return next((wrong for item in result if (wrong := of_type(item, gives[0]))), "")
    real = (float, int) if gives is float else gives
    if (isinstance(result, bool) and gives is not bool) or not isinstance(result, real):
        return f"return {NAMES.get(gives, gives.__name__)}; yours is of type {type(result).__name__}"
    return ""


NAMES = {
    float: "Python numbers (float)",
    int: "whole numbers (int)",
    Tensor: "a tensor",
    nn.Module: "a layer or network",
}


def callable_inside(value: Any) -> bool:
    """Whether there is a function in a value, which may hold on to other arguments."""
    return any(callable(item) and not isinstance(item, (nn.Module, Tensor)) for item in inside(value))


def equal(ours: Any, theirs: Any) -> bool:
    """Whether two results are the same up to rounding, memory layout and dtype."""
    if isinstance(ours, nn.Module) and isinstance(theirs, nn.Module):
        return equal(dict(ours.state_dict()), dict(theirs.state_dict()))
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        return list(ours) == list(theirs) and all(equal(value, theirs[name]) for name, value in ours.items())
    if isinstance(ours, (list, tuple)) and isinstance(theirs, (list, tuple)):
        return len(ours) == len(theirs) and all(map(equal, ours, theirs))
    if isinstance(ours, (Tensor, float, np.ndarray)):
        return alike(theirs, ours)
    if isinstance(ours, torch.optim.Optimizer):
        return type(ours) is type(theirs)
    return bool(ours == theirs)
