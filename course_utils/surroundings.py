"""What a function can change around itself, in the whole process: gradients, the default dtype, random numbers."""

import contextlib
import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

Surroundings = Mapping[str, Any]  # what it is, in words → its state: bools, numbers, dtypes, bytes and tuples


def surroundings() -> Surroundings:
    """The state of the surroundings now."""
    kind, key, *rest = np.random.get_state()
    return {
        "gradients": torch.is_grad_enabled(),
        "torch's default dtype": torch.get_default_dtype(),
        "torch's global random numbers": torch.get_rng_state().numpy().tobytes(),
        "numpy's global random numbers": (kind, np.asarray(key).tobytes(), *rest),
        "Python's global random numbers": random.getstate(),
    }


def surround(state: Surroundings) -> None:
    """Bring the surroundings to a `state` that was read before. Raises what Python and torch raise for a forged one."""
    torch.set_grad_enabled(bool(state["gradients"]))
    torch.set_default_dtype(state["torch's default dtype"])
    numbers = bytearray(state["torch's global random numbers"])
    torch.set_rng_state(torch.frombuffer(numbers, dtype=torch.uint8))
    kind, key, *rest = state["numpy's global random numbers"]
    np.random.set_state((kind, np.frombuffer(key, dtype=np.uint32), *rest))
    random.setstate(state["Python's global random numbers"])


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Random numbers from `seed` on, and afterwards all surroundings as they were before."""
    before = surroundings()
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)
    try:
        yield
    finally:
        surround(before)
