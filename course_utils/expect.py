"""Comparisons for tests, with messages for people: what was expected, what came, and the likely mistake."""

import copy
import hashlib
import os
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from course_utils.checking import SECRET


def drawn(seed: int) -> int:
    """A seed for a hidden test: another one in each course, so that no answer can be written for the numbers.

    It follows from `seed` and the course's secret; without a secret it is `seed` itself.
    """
    secret = os.environ.get(SECRET, "")
    return int(hashlib.sha256(f"{secret} {seed}".encode()).hexdigest()[:8], 16) if secret else seed


def in_course(numbers: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`numbers(*shape, seed=…)` of the visible tests, with seeds that are drawn for the course."""

    def drawn_numbers(*shape: int, seed: int = 0, **options: Any) -> Tensor:
        return numbers(*shape, seed=drawn(seed), **options)

    return drawn_numbers


def copies(*arguments: Any) -> tuple[Any, ...]:
    """Copies for a function that may change what it is given: what is expected is worked out from the originals."""
    return copy.deepcopy(arguments)


def show(value: Any) -> str:
    """A short text of a value: small tensors in full, large ones by shape and first values."""
    if not isinstance(value, Tensor):
        text = repr(value)
        return text if len(text) <= 200 else text[:200] + " …"
    value = value.detach()
    flat = value.flatten()
    numbers = ", ".join(f"{number:.5g}" for number in flat[:8].tolist())
    if value.ndim <= 1 and flat.numel() <= 8:
        return f"[{numbers}]"
    return f"shape {tuple(value.shape)}, first values {numbers}{' …' if flat.numel() > 8 else ''}"


def say(hint: str, expected: Any, came: Any) -> str:
    """A hint with what was expected and what came."""
    return f"{hint}\n  expected: {show(expected)}\n  yours:    {show(came)}"


def tensor(answer: Any, hint: str) -> Tensor:
    """`answer` as a tensor; an AssertionError that says what came instead where that is impossible."""
    assert answer is not None, f"{hint}\n  your function returned None: is the `return` missing?"
    try:
        return answer.detach() if isinstance(answer, Tensor) else torch.as_tensor(answer)
    except (TypeError, ValueError, RuntimeError):
        raise AssertionError(f"{hint}\n  expected a tensor, yours is {type(answer).__name__}: {show(answer)}") from None


def same_shape(answer: Any, shape: Sequence[int], hint: str) -> Tensor:
    """`answer` as a tensor of exactly this shape."""
    came = tensor(answer, hint)
    message = f"{hint}\n  expected shape: {tuple(shape)}\n  your shape:     {tuple(came.shape)}"
    assert tuple(came.shape) == tuple(shape), message
    return came


def same(answer: Any, expected: Any, hint: str, tolerance: float | None = None) -> None:
    """Equal shape, and values equal within `tolerance` of the largest expected value.

    Without a tolerance it follows from what is expected: 0 for whole numbers, 1e-10 for float64, 1e-5 for float32, 1e-2
    for half precision. An answer may be float32 where float64 is expected (1e-5 then), but nothing coarser: who answers
    in half precision is not judged more mildly for it.
    """
    target = torch.as_tensor(expected).detach()
    came = same_shape(answer, target.shape, hint)
    if tolerance is None:
        exact = not (came.is_floating_point() or target.is_floating_point())
        tolerance = 0.0 if exact else max(rounding(target), min(rounding(came), ROUNDING[torch.float32]))
    scale = max(1.0, target.abs().max().item()) if target.numel() and target.is_floating_point() else 1.0
    coarse = rounding(came) > max(rounding(target), ROUNDING[torch.float32]) or came.is_complex()
    kind = f"\n  yours is of type {str(came.dtype).removeprefix('torch.')}" if coarse else ""
    values = came.to(torch.complex128 if came.is_complex() else torch.float64)
    difference = (values - target.to(torch.float64)).abs()
    assert bool((difference <= tolerance * scale).all()), say(hint, target, came) + kind


ROUNDING = {torch.float64: 1e-10, torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 2e-2}


def rounding(values: Tensor) -> float:
    """How far apart numbers of this dtype may lie, as a share of the largest; 0 for whole numbers."""
    return ROUNDING.get(values.dtype, 0.0)


def equal(answer: Any, expected: Any, hint: str) -> None:
    """Equal as Python sees it (numbers, strings, lists, tuples)."""
    assert answer == expected, say(hint, expected, answer)


def raises(error: type[Exception], hint: str, call: Callable[..., Any], *arguments: Any) -> None:
    """`call(*arguments)` must raise this kind of error; after another one (an `assert`, an index) the hint is said."""
    try:
        came = call(*arguments)
    except error:
        return
    except NotImplementedError:
        raise
    except Exception as other:
        if type(other).__module__ != "builtins":  # of the machinery around the answer
            raise
        said = f"{type(other).__name__}: {other}".removesuffix(": ")
        raise AssertionError(f"{hint}\n  expected: {error.__name__}\n  yours stopped with {said}") from None
    raise AssertionError(f"{hint}\n  expected: {error.__name__}\n  yours returned {show(came)}")


def unchanged(now: Tensor, before: Tensor, hint: str) -> None:
    """An argument that must not have been changed in place."""
    assert now.shape == before.shape and torch.equal(now.detach(), before.detach()), (
        f"{hint}\n  the argument was changed in place; work on a copy, or use operations that return a new tensor"
    )
