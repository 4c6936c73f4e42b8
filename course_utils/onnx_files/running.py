"""An ONNX file on images, by ONNX Runtime."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from course_utils.onnx_files.reading import OnnxFileError

MEMORISED = 0.15  # of accuracy lost on images that were changed: the baseline loses 0.01, a table nearly all
BRIGHTNESS, NOISE = 0.1, 0.05  # shares of the contrast, by which images are made brighter or darker, and blurred
UNSEEN = (
    0.10  # of accuracy lost on the validation images: a network that was trained on neither loses none but by chance
)


def moved_accuracy(path: str | Path, images: Any, secret: str = "") -> float:
    """Mirrored and moved by up to 4 pixels at random, as in training, a little brighter or darker, with a little noise.

    How follows from the file's own bytes and from a secret of who grades: nobody can know it before the file is
    written. Raises OnnxFileError.
    """
    seed = int(hashlib.sha256(secret.encode() + Path(path).read_bytes()).hexdigest()[:8], 16)
    return run_onnx(path, images, augment=True, seed=seed)[0]


def run_onnx(path: str | Path, images: Any, augment: bool = False, seed: int = 0) -> tuple[float, float]:
    """Accuracy (0 to 1) and mean cross-entropy of an ONNX file on a data set, by ONNX Runtime on the CPU.

    The images come mixed, in an order drawn from a seed, so that a batch's other images say nothing about an image's
    class. `augment`: on the images changed at random, see `moved_accuracy`; `seed`: of this and the order.
    Raises OnnxFileError.
    """
    import onnxruntime
    import torch

    from minicifar import Loader

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others may need the processor
    correct, loss, count = 0, 0.0, 0
    chance = np.random.default_rng(seed)
    try:
        session = onnxruntime.InferenceSession(Path(path).read_bytes(), options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        for batch, labels in Loader(images, batch_size=100, shuffle=True, augment=augment, seed=seed):
            given = batch.numpy()
            if augment:
                brightness = 1 + BRIGHTNESS * chance.uniform(-1, 1, (len(given), 1, 1, 1))
                given = given * brightness + NOISE * chance.standard_normal(given.shape)
            (logits,) = session.run(None, {name: np.ascontiguousarray(given, dtype=np.float32)})
            expected = (len(labels), len(images.classes))
            if getattr(logits, "shape", None) != expected:
                raise OnnxFileError(
                    f"For {expected[0]} images of {expected[1]} classes the output must have the shape {expected}; "
                    f"it has {getattr(logits, 'shape', None)}."
                )
            logits = logits.astype(np.float64)
            if not np.isfinite(logits).all():
                raise OnnxFileError("The network's outputs are not all finite numbers.")
            truth = labels.numpy()
            correct += int((logits.argmax(1) == truth).sum())
            logits -= logits.max(1, keepdims=True)
            log_sums = np.log(np.exp(logits).sum(1))
            loss += float((log_sums - logits[np.arange(len(truth)), truth]).sum())
            count += len(truth)
    except OnnxFileError:
        raise
    except Exception as error:
        raise OnnxFileError(f"ONNX Runtime cannot run the file: {str(error).splitlines()[0]}") from None
    return correct / count, loss / count
