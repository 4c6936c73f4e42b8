"""A tiny data set that a linear network classifies without a mistake, moved or not, and ONNX files of that network."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from minicifar import ImageSet, Source

CLASSES = ("red", "green", "blue", "dark")
SOURCE = Source("cifar10", "synthetic", "A few images made by the tests.", "few-images")


def colours(split: str, wrong: float = 0.0) -> ImageSet:
    """Ten images a class, all of one colour; `wrong`: the share of each class that shows the next colour."""
    images = np.full((4, 10, 3, 32, 32), 50, np.uint8)
    for label in range(4):
        for n in range(10):
            shown = (label + (n < round(10 * wrong))) % 4
            if shown < 3:
                images[label, n, shown] = 200
    return ImageSet(split, images, list(CLASSES), SOURCE, "few-images/4 classes")


def few_images(name: str, split: str = "train", **_: Any) -> ImageSet:
    """In place of `minicifar.load`: one in ten validation images is misleading, no other."""
    return colours(split, 0.1 if split == "val" else 0.0)


def weights() -> np.ndarray:
    """(3072, 4), float32: the sum over each colour, and 0."""
    weight = np.zeros((3, 32, 32, 4), np.float32)
    for label in range(3):
        weight[label, :, :, label] = 1
    return weight.reshape(3072, 4)


def linear_file(path: Path, weight: np.ndarray | None = None, nodes: Any = None, **changes: Any) -> Path:
    """An ONNX file: flatten, then multiply by "w". `changes`: shape of the input, classes, further constants."""
    constants = {"w": weights() if weight is None else weight} | changes.get("constants", {})
    usual = [helper.make_node("Flatten", ["images"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["logits"])]
    shape, classes = changes.get("shape", ("N", 3, 32, 32)), changes.get("classes", 4)
    graph = helper.make_graph(
        usual if nodes is None else nodes,
        "linear",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ("N", classes))],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return path


def entry(folder: Path, weight: np.ndarray | None = None, **card: Any) -> Path:
    """An entry's folder with a file and a card."""
    linear_file(folder / "network.onnx", weight)
    usual = {"team": folder.name, "name": "linear", "dataset": "minicifar", "method": "by hand", "seeds": [0]}
    usual |= {"date": "2026-11-02T10:00:00+00:00"}
    (folder / "card.json").write_text(json.dumps(usual | card), encoding="utf-8")
    return folder
