"""The operators that a measured file may use, and what may stand in their settings: an allow-list.

It holds what the exporter makes of the course's networks, of torchvision's, and of quantised ones. Whatever else an
operator could do (hold a table of strings, a program, a network inside it), a file with it is refused.
"""

from collections.abc import Iterator
from typing import Any

from onnx import AttributeProto, TensorProto

ALLOWED = {
    *("Conv", "ConvTranspose", "Gemm", "MatMul", "ConvInteger", "MatMulInteger"),
    *("BatchNormalization", "InstanceNormalization", "LayerNormalization", "GroupNormalization"),
    *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Cast", "Clip", "Round", "Floor", "Ceil"),
    *("Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "Sigmoid", "HardSigmoid", "HardSwish", "Swish", "Tanh"),
    *("Softplus", "Softsign", "Mish", "Gelu", "Erf", "Softmax", "LogSoftmax"),
    *("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "Sqrt", "Reciprocal", "Neg", "Abs", "Sign", "Exp", "Sum"),
    *("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceSum", "ReduceMax"),
    *("Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Identity", "Concat", "Split", "Slice", "Pad"),
    *("Expand", "Tile", "Resize", "DepthToSpace", "SpaceToDepth", "Dropout", "Constant", "ConstantOfShape"),
    *("Shape", "Size", "Gather", "Range", "Where", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"),
}
# In torchvision's networks; the challenge, which says what each operator costs, does without them
ALLOWED_IN_LABS = {"CastLike", "GatherND", "SplitToSequence", "SequenceAt", "ReduceL2", "Mod", "Not"}
SHAPING = {  # inputs that say where, and of what size, but bring no number to what is computed
    "Reshape": (1,),
    "Slice": (1, 2, 3, 4),
    "Pad": (1, 3),
    "Squeeze": (1,),
    "Unsqueeze": (1,),
    "Expand": (1,),
    "Tile": (1,),
    "Resize": (1, 2, 3),
    "Split": (1,),
    "ReduceMean": (1,),
    "ReduceSum": (1,),
    "ReduceMax": (1,),
    "Dropout": (1, 2),
}
LARGEST_ATTRIBUTE = 16  # numbers
LONGEST_WORD = 32  # letters
MOST_ATTRIBUTES = 300  # numbers that are no whole ones, of all operators together
TENSORS = {"Constant": 0, "ConstantOfShape": 1}  # may have one as an attribute, of so many elements (0: counted)


def refused_because(nodes: Any) -> str:
    """Why a graph with these nodes is not measured, as the end of a sentence; empty where it is."""
    reals = 0
    for node in nodes:
        name = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
        if node.domain not in ("", "ai.onnx") or node.op_type not in ALLOWED | ALLOWED_IN_LABS:
            return f"uses the operator {name}, which the course does not count"
        for attribute in node.attribute:
            if not is_plain(node.op_type, attribute):
                return f"keeps more in the setting {attribute.name} of {name} than a setting needs"
            reals += attribute.type == AttributeProto.FLOAT and attribute.f not in (0, 1, -1)
            reals += sum(value not in (0, 1, -1) for value in attribute.floats)
    if reals > MOST_ATTRIBUTES:
        return f"has {reals:,} numbers in its operators' settings, in which weights could hide"
    return ""


def is_plain(operator: str, attribute: Any) -> bool:
    """Whether an attribute holds no more than a few numbers or a word; or the tensor of a constant."""
    if attribute.type == AttributeProto.TENSOR:
        most = TENSORS.get(operator)
        sizes = list(attribute.t.dims)
        small = most == 0 or (most is not None and all(size == 1 for size in sizes))
        return small and attribute.name == "value" and attribute.t.data_type != TensorProto.STRING
    if attribute.type == AttributeProto.STRING:
        return operator != "Constant" and len(attribute.s) <= LONGEST_WORD
    kinds = (AttributeProto.FLOAT, AttributeProto.INT, AttributeProto.FLOATS, AttributeProto.INTS)
    return attribute.type in kinds and len(attribute.floats) + len(attribute.ints) <= LARGEST_ATTRIBUTE


def shaping(node: Any) -> Iterator[str]:
    """The names of a node's inputs that only say where and of what size."""
    for place in SHAPING.get(node.op_type, ()):
        if place < len(node.input) and node.input[place]:
            yield node.input[place]
