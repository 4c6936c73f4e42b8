"""Judge a network that was handed in as an ONNX file: measured beside the baseline, on the same images."""

import functools
import hashlib
import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from course_utils.baseline import baseline, cache_folder, image_kind
from course_utils.expect import SECRET
from course_utils.explaining import NotComparable
from course_utils.onnx_files.export import export_onnx
from course_utils.onnx_files.measuring import Measured, measure_onnx
from course_utils.onnx_files.running import MEMORISED, UNSEEN, moved_accuracy, run_onnx
from course_utils.recorded import RECORDED
from minicifar import MiniCIFAR
from minicifar.files import atomic

THRESHOLDS = RECORDED / "thresholds.json"
RAMP = 0.15  # from full marks down to none, as a share of the test images


@functools.cache
def test_images() -> MiniCIFAR:
    """The images that files are measured on, read once."""
    return MiniCIFAR("test")


@functools.cache
def measured_at(path: Path, _changed: float) -> Measured:
    """What a file is worth, measured once for each time that it was written."""
    return measure_onnx(path, test_images())


@functools.cache
def accuracy_when_moved(path: Path, _changed: float) -> float:
    """A file's accuracy on images changed by the secret of who grades, measured once for each time it was written."""
    return moved_accuracy(path, test_images(), os.environ.get(SECRET, ""))


@functools.cache
def accuracy_unseen(path: Path, _changed: float) -> float:
    """A file's accuracy on the validation images, measured once for each time that it was written."""
    return run_onnx(path, MiniCIFAR("val"))[0]


def measured(path: Path | str) -> Measured:
    """What the file is worth on the test images at hand.

    Raises NotComparable when the file says that it was made with images of another source, and when it knows the
    test images by heart.
    """
    path = Path(path)
    which = path.resolve(), path.stat().st_mtime
    result = measured_at(*which)
    if result.fingerprint != test_images().fingerprint:
        raise NotComparable(
            f"{path.name} was made with other images ({result.fingerprint}) than those at hand "
            f"({test_images().fingerprint}), so its accuracy is not comparable. This is not a 0: "
            "it is graded by hand, or again with the same images."
        )
    assert result.accuracy is not None
    moved = accuracy_when_moved(*which)
    if moved < result.accuracy - MEMORISED:
        raise NotComparable(
            f"{path.name} classifies {result.accuracy:.1%} of the test images, and {moved:.1%} when they are moved by "
            "a few pixels: it seems to know these images by heart. It is "
            "graded by hand. (Trained without augment=True?)"
        )
    unseen = accuracy_unseen(*which)
    if unseen < result.accuracy - UNSEEN:
        raise NotComparable(
            f"{path.name} classifies {result.accuracy:.1%} of the test images, and {unseen:.1%} of the validation "
            "images: it seems to know the test images. It is graded by hand. (Trained on the test images?)"
        )
    return result


@functools.cache
def measured_baseline() -> Measured:
    """The unpruned baseline, exported and measured in the same way; kept in the user's cache folder."""
    network = baseline(MiniCIFAR("train"))
    key = hashlib.sha256(f"{test_images().fingerprint} {Measured._fields}".encode())
    for tensor in network.state_dict().values():
        key.update(tensor.numpy().tobytes())
    path = cache_folder() / f"measured-{key.hexdigest()[:16]}.json"
    if path.is_file():
        return Measured(**json.loads(path.read_text(encoding="utf-8")))
    with TemporaryDirectory() as folder:
        exported = export_onnx(network, Path(folder) / "baseline.onnx", images=test_images())
        result = measure_onnx(exported, test_images())
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(result._asdict()), encoding="utf-8")
    return result


def full_marks_drop(name: str) -> float:
    """The largest loss of accuracy (a share) that still gets full marks: the reference's mean plus three σ.

    Recorded over at least 20 seeds by `python -m autograder.authoring.thresholds`, for synthetic images and for
    CIFAR-10 (the official images or a copy of them). Raises NotComparable where nothing is recorded.
    """
    kind = image_kind(test_images())
    entry = json.loads(THRESHOLDS.read_text(encoding="utf-8")).get(name, {}).get(kind)
    if entry is None:
        raise NotComparable(f"No threshold is recorded for {name} on {kind} images, so a person grades its accuracy.")
    return float(entry["mean_drop"] + 3 * entry["std_drop"])


def ramp(name: str, result: Measured, original: Measured) -> tuple[float, str]:
    """The share of the points for an accuracy, 1 down to 0 on a line, and the sentence that says so."""
    assert result.accuracy is not None and original.accuracy is not None
    full = original.accuracy - full_marks_drop(name)
    share = min(max((result.accuracy - (full - RAMP)) / RAMP, 0.0), 1.0)
    message = (
        f"accuracy {result.accuracy:.1%} (the course's baseline: {original.accuracy:.1%}); "
        f"full marks from {full:.1%}, none below {full - RAMP:.1%}: {share:.0%} of the points"
    )
    if test_images().source.synthetic:
        message += "\n(measured on synthetic images, not on CIFAR-10)"
    return share, message
