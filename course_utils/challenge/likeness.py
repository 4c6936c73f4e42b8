"""What two files have in common: their weights in parts, each known by the signs of its numbers.

One bit that was changed in a file, or all weights scaled, leaves most parts as they are; training on changes signs in
nearly all of them.
"""

import hashlib

import numpy as np
import onnx
from onnx import numpy_helper

PART = 256  # weights
LEAST = 64  # of them that are not zero, or the part tells nothing
MOST_PARTS = 4_000


def parts_of(model: onnx.ModelProto) -> list[str]:
    """A short hash of the signs of every 256 weights of a file, of at most a million weights."""
    parts: list[str] = []
    tensors = [*model.graph.initializer, *(a.t for node in model.graph.node for a in node.attribute if a.HasField("t"))]
    for tensor in tensors:
        values = np.asarray(numpy_helper.to_array(tensor), dtype=np.float64).ravel()
        for start in range(0, values.size - PART + 1, PART):
            signs = np.sign(values[start : start + PART]).astype(np.int8)
            if np.count_nonzero(signs) >= LEAST:
                parts.append(hashlib.sha256(signs.tobytes()).hexdigest()[:16])
    return parts[:MOST_PARTS]
