"""The challenge's score of an ONNX file, and the rules of its divisions. The lower score is the better one.

    score = sum_t nonzero(t) * bits(t) / 32 / 5.6e6  +  sum_op macs(op) * max(q_w, q_a)(op) / 32 / 2.8e8

over tensors and operators, as they are in the file, after the MicroNet challenge (2019).

Tensors: every constant that meets the images at a convolution, linear layer or normalisation, and whatever else
`onnx_files.counted_operators` finds. It is counted as it is stored, also where it arrives through DequantizeLinear,
Transpose, Cast, Identity or Reshape; what the file works out from other constants counts in full, with the bits of
its type. Bits are those of the type, or ceil(log2(distinct non-zero values)), at least 1, where that is smaller and
there are at most 256 distinct values. Then the values themselves must be known too: their magnitudes are a tensor of
their own (BinaryConnect: 1 bit a weight, and one value a tensor). So are the scales and zero points of quantised
weights. A tensor that would not get smaller keeps the bits of its type, so that it never helps to cut one to pieces.
A zero costs nothing; in a quantised tensor that is what equals the zero point. Single numbers that are computed with
(scales of activations, limits of Clip) count too, but for 0, 1 and -1; those that only give shapes do not.

Operators: those of `counted_operators`, with the bits of their weights and of the activations that reach them. These
are the bits of a quantised tensor where its DequantizeLinear has a constant scale, or one scale for all; else
those of the input's type. A convolution can be written as products and sums: so every product, sum, comparison or
concatenation of two tensors, and every choice by a table, counts one multiply-add for each number that it gives. Free
are only biases, shortcuts and batch norms right behind a convolution or linear layer, which could be a part of it.
Shapes are those of a batch of 100 images, as it is run; a file whose multiply-adds for it are not 100 times those for
one image is refused.
"""

from pathlib import Path
from typing import NamedTuple

from course_utils.challenge.computation import ComputedOperator, computed_operators
from course_utils.challenge.graph import BATCH, check, graph_of
from course_utils.challenge.storage import Storage, StoredTensor
from course_utils.onnx_files.reading import OnnxFileError, check_shapes, counted_operators, read_onnx

WEIGHTS_UNIT = 5.6e6  # the course's yardsticks: weights and MACs of 32 bits
MACS_UNIT = 2.8e8
MOST_WIRES = 5_000  # inputs of all operators that the images reach; weights could hide in what is wired to what


class Rules(NamedTuple):
    """What an entry must reach on the test images to count (a share), and who can take part with what."""

    threshold: float
    division: str


RULES = {
    "minicifar": Rules(0.84, "a laptop is enough: everybody takes part"),
    "cifar10": Rules(0.90, "a GPU helps; patience on a laptop does too"),
    "cifar100": Rules(0.80, "needs a GPU: MicroNet's threshold, out of reach of a laptop"),
}


class Scored(NamedTuple):
    """What `score_onnx` found; the same file always gives the same numbers.

    weights, nonzero: elements of the weight tensors, and how many of them are not zero. weight_bits: mean bits of
    one that is not. weight_bytes: of all tensors, scales and values included, zeros left out. macs: for one image.
    """

    score: float
    weights: int
    nonzero: int
    weight_bits: float
    weight_bytes: float
    macs: int
    tensors: list[StoredTensor]
    operators: list[ComputedOperator]


def score_onnx(path: str | Path) -> Scored:
    """The score of an ONNX file, and all that it adds up. Raises FileNotFoundError or OnnxFileError."""
    path = Path(path)
    model = read_onnx(path, whole_numbers=True)
    check(model, path.name)
    try:
        graph = graph_of(model)
        storage = Storage(graph)
        operators = computed_operators(graph, storage.weight_bits)
        once = sum(operator.macs for operator in counted_operators(model))
    except KeyError as error:
        raise OnnxFileError(f"The shape or type of {error} cannot be worked out from the file.") from None
    if sum(operator.macs for operator in graph.counted) != BATCH * once:
        raise OnnxFileError(
            f"{path.name} does not compute {BATCH} times as much for {BATCH} images as for one: every image must be "
            "classified by itself."
        )
    if graph.wires > MOST_WIRES:
        raise OnnxFileError(
            f"The operators of {path.name} have {graph.wires:,} inputs, in which weights could hide: at most "
            f"{MOST_WIRES:,} are measured."
        )
    check_shapes(model, BATCH)
    return added_up(storage.rows, operators)


def added_up(tensors: list[StoredTensor], operators: list[ComputedOperator]) -> Scored:
    """The score of these rows: the formula above."""
    stored_bits = sum(row.nonzero * row.bits for row in tensors)
    computed_bits = sum(row.macs * max(row.q_w, row.q_a) for row in operators)
    weights = [row for row in tensors if row.kind == "weight"]
    nonzero = sum(row.nonzero for row in weights)
    return Scored(
        score=stored_bits / 32 / WEIGHTS_UNIT + computed_bits / 32 / MACS_UNIT,
        weights=sum(row.elements for row in weights),
        nonzero=nonzero,
        weight_bits=sum(row.nonzero * row.bits for row in weights) / max(nonzero, 1),
        weight_bytes=stored_bits / 8,
        macs=sum(row.macs for row in operators),
        tensors=tensors,
        operators=operators,
    )
