"""A network as one ONNX file."""

import contextlib
import copy
import io
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import onnx
import onnx.numpy_helper

from minicifar.files import atomic

OPSET = 18
INPUT_SHAPE = (3, 32, 32)


def export_onnx(network: Any, path: str | Path, images: Any = None, image_size: Sequence[int] = INPUT_SHAPE) -> Path:
    """Write `network` as one ONNX file with input "images" (N, 3, 32, 32) and output "logits" (N, classes).

    Any batch size N; float32, normalised as the loaders do; batch norms are folded into the convolutions before them.
    `image_size` (C, H, W): other images than 32×32. `images` is the data set that the network was trained on: the
    file carries its fingerprint. The network itself is left alone. Returns the path.
    """
    import torch

    network = copy.deepcopy(network).cpu().float().eval()
    network.to(memory_format=torch.contiguous_format)  # in the one that training uses, pooling is exported as indexing
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            network,
            (torch.zeros(2, *image_size),),
            dynamo=True,
            opset_version=OPSET,
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            external_data=False,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    for node in model.graph.node:
        del node.metadata_props[:]
    entries = {"made_by": "pruning-labs", "recipe": json.dumps(getattr(network, "recipe", None))}
    if images is not None:
        entries |= {"fingerprint": images.fingerprint, "images": images.source.description}
    onnx.helper.set_model_props(model, entries)
    with atomic(path) as temporary:
        temporary.write_bytes(model.SerializeToString())
    return Path(path)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the exporter's warnings, log lines and prints away from a student's notebook."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            with contextlib.redirect_stderr(io.StringIO()):
                yield
    finally:
        logging.disable(before)
