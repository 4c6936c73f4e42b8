"""How each operator of ONNX hands channels on: one rule an operator."""

from solutions.graph.reading import Rule
from solutions.graph.rules.joins import concat, elementwise, reduction
from solutions.graph.rules.layers import (
    along_axis,
    batch_norm,
    conv,
    einsum,
    gemm,
    grid_sample,
    group_norm,
    layer_norm,
    matmul,
    over_channels,
    recurrent,
    same_shape,
    spatial,
)
from solutions.graph.rules.shapes import (
    depth_to_space,
    expand,
    gather,
    gather_nd,
    pad,
    reshape,
    sequence_at,
    slice_,
    split,
    tile,
    transpose,
)

SAME_SHAPE = {
    *("Relu", "LeakyRelu", "Elu", "Selu", "Celu", "Gelu", "HardSwish", "HardSigmoid", "Sigmoid", "Tanh", "Softplus"),
    *("Softsign", "Mish", "Erf", "Exp", "Log", "Sqrt", "Reciprocal", "Abs", "Neg", "Sign", "Floor", "Ceil", "Round"),
    *("Clip", "ThresholdedRelu", "Identity", "Cast", "CastLike", "Dropout", "Not", "IsNaN", "Sin", "Cos"),
}
ELEMENTWISE = {
    *("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Mean", "Sum", "PRelu", "Where", "Mod", "And", "Or"),
    *("Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual"),
}
SPATIAL = {"MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "Resize", "Upsample"}
REDUCTION = {
    *("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare"),
    *("ReduceLogSumExp", "ArgMax", "ArgMin"),
}

RULES: dict[str, Rule] = {
    **dict.fromkeys(SAME_SHAPE, same_shape),
    **dict.fromkeys(ELEMENTWISE, elementwise),
    **dict.fromkeys(SPATIAL, spatial),
    **dict.fromkeys(REDUCTION, reduction),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), reshape),
    **dict.fromkeys(("Conv", "ConvTranspose"), conv),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax", "CumSum"), along_axis),
    **dict.fromkeys(("Split", "SplitToSequence"), split),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), recurrent),
    "MatMul": matmul,
    "Einsum": einsum,
    "GridSample": grid_sample,
    "Gemm": gemm,
    "BatchNormalization": batch_norm,
    "InstanceNormalization": batch_norm,
    "GroupNormalization": group_norm,
    "LayerNormalization": layer_norm,
    "LRN": over_channels,
    "Transpose": transpose,
    "Expand": expand,
    "Tile": tile,
    "DepthToSpace": depth_to_space,
    "Concat": concat,
    "SequenceAt": sequence_at,
    "Slice": slice_,
    "Gather": gather,
    "GatherND": gather_nd,
    "Pad": pad,
}
