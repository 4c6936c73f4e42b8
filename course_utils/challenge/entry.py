"""An entry of the challenge: measured, and written as one small folder to hand in.

`submit` exports the network, measures it as the leaderboard will (accuracy by running the file, score from what is in
it) and shows where it would stand. An ONNX file can be submitted as well: one that `quantize_static`,
`quantize_dynamic` or `quantize_weights` made here, or another tool.
"""

import copy
import hashlib
import json
import math
import numbers
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from torch import nn

from course_utils import artifacts
from course_utils.challenge.score import MACS_UNIT, RULES, WEIGHTS_UNIT, Rules, score_onnx
from course_utils.files import atomic
from course_utils.networks import vgg_mini
from course_utils.onnx_files.measuring import MEMORISED, OnnxFileError, export_onnx, moved_accuracy, quiet, run_onnx
from course_utils.pictures.tables import Table
from minicifar import load

FORMAT = 1
LONGEST_NAME = 60  # characters of a team's or an entry's name
LARGEST_CODE = 1_000_000  # bytes
STATUSES = ("qualified", "not qualified", "refused")
AROUND = 5  # lines of the leaderboard shown before and after one's own
NO_TRAIN = 'With code="train.py" your training goes along: whoever wants to can repeat it.'


class ChallengeError(ValueError):
    """Something about an entry that is not right; the message says what to do. Nothing was written."""


def submit(
    model: nn.Module | str | Path,
    *,
    name: str,
    team: str,
    dataset: str = "minicifar",
    method: str = "",
    seeds: int | Iterable[int] = (),
    folder: str | Path = "challenge",
    code: str | Path | None = None,
    board: str | Path | None = None,
    replace: bool = False,
) -> Table:
    """Measure a network, write it to `<folder>/<team>-<name>/`, ready to hand in → where it would stand.

    model: a network, or the path of an ONNX file. method: how it was made, in a sentence. seeds: all that its
    training started from. code: a script that trains it again: `python train.py SEED` writes network.onnx where
    it runs; it is handed in as train.py. board: a leaderboard's JSON file; without one the first of
    `<folder>/leaderboard.json` and `<folder>/<dataset>/leaderboard.json` that is there and for these images' data set;
    else the comparison is with the course's unpruned vgg_mini. replace: put it in the place of the entry that this
    team wrote under this name.

    Raises ChallengeError, OnnxFileError for a network that cannot be measured, and minicifar's errors when the images
    are missing.
    """
    rules = rules_of(dataset)
    target = Path(folder) / entry_folder(team, name)
    chosen = seeds_of(seeds)
    if not isinstance(method, str):
        raise ChallengeError(f"method= is a sentence on how it was made, not {method!r}.")
    script = read_code(code)
    _may_write(target, team, name, replace)
    test, validation = load(dataset, "test"), load(dataset, "val")
    Path(folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".entry-") as temporary:
        place = Path(temporary) / target.name
        place.mkdir()
        write_network(model, place / "network.onnx", test)
        found = measure(place / "network.onnx", test, validation)
        card = {
            "format": FORMAT,
            "team": team,
            "name": name,
            "dataset": dataset,
            "method": method,
            "seeds": chosen,
            "date": datetime.now().astimezone().isoformat(timespec="seconds"),
            "code": None if script is None else "train.py",
            "claims": {what: found[what] for what in ("accuracy", "val_accuracy", "score")},
            "images": test.fingerprint,
            "images_description": test.source.description,
            "hash": file_hash((place / "network.onnx").read_bytes()),
        }
        if script is not None:
            (place / "train.py").write_bytes(script)
        text = json.dumps(card, ensure_ascii=False, indent=1) + "\n"
        (place / "card.json").write_text(text, encoding="utf-8")
        _put(place, target)
    status = STATUSES[found["accuracy"] < rules.threshold]
    mine = {"team": team, "name": name, **found, "status": status}
    others = read_board(board, Path(folder), dataset)
    table = standing(mine, baseline_entry(dataset, test) if others is None else others, rules.threshold)
    notes = [table.note, f"{target} is ready to hand in.", "" if script else NO_TRAIN]
    if test.source.synthetic:
        notes.append("Measured on synthetic images, not on CIFAR.")
    table.note = " ".join(filter(None, notes))
    return table


def measure(path: str | Path, test: Any, validation: Any) -> dict[str, Any]:
    """What the leaderboard knows of an ONNX file: accuracy on both sets of images, score, and what is in it.

    The same file and images give the same numbers. Raises FileNotFoundError and OnnxFileError.
    """
    scored = score_onnx(path)
    accuracy, moved = run_onnx(path, test)[0], moved_accuracy(path, test)
    if moved < accuracy - MEMORISED:
        raise OnnxFileError(
            f"{Path(path).name} classifies {accuracy:.1%} of the test images, and {moved:.1%} when they are moved by a "
            "few pixels: it seems to know these images by heart. (Trained without augment=True?)"
        )
    return {
        "accuracy": accuracy,
        "val_accuracy": run_onnx(path, validation)[0],
        "score": scored.score,
        "parameters": scored.weights,
        "nonzero": scored.nonzero,
        "weight_bits": scored.weight_bits,
        "macs": scored.macs,
        "megabytes": Path(path).stat().st_size / 1e6,
    }


def standing(mine: Mapping[str, Any], others: Iterable[Mapping[str, Any]], threshold: float) -> Table:
    """Where an entry stands among others: a line each, this one marked, and the closest before and after it."""
    who = (mine["team"], mine["name"])
    lines = sorted([mine, *(one for one in others if (one.get("team"), one.get("name")) != who)], key=order)
    at = next(n for n, line in enumerate(lines) if line is mine)
    rows: list[tuple[str, ...]] = []
    for n, line in enumerate(lines):
        if n < 3 or abs(n - at) <= AROUND:
            place = f"{n + 1}" if line.get("status") == STATUSES[0] else "–"
            score = "–" if number(line.get("score")) is None else f"{line['score']:.4f}"
            accuracy = "–" if number(line.get("accuracy")) is None else f"{line['accuracy']:.1%}"
            title = f"{line.get('team', '')}: {line.get('name', '')}"
            rows.append((f"→ {title}" if n == at else title, place, score, accuracy))
    note = ""
    if mine["status"] != STATUSES[0]:
        note = f"Not qualified yet: {mine['accuracy']:.2%} of the test images, and {threshold:.0%} are asked for."
    return Table(("", "place", "score", "accuracy"), rows, note)


def order(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """Qualified entries first, the lowest score leading; then the others, the most accurate leading; then the refused."""
    status = entry.get("status")
    rank = STATUSES.index(status) if status in STATUSES else len(STATUSES)
    score, accuracy = number(entry.get("score")), number(entry.get("accuracy"))
    by_score = score if rank == 0 and score is not None else math.inf
    by_accuracy = math.inf if accuracy is None else -accuracy
    return rank, by_score, by_accuracy, *(str(entry.get(what, "")) for what in ("date", "team", "name"))


def number(value: Any) -> float | None:
    """A finite number, anything else as None."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def rules_of(dataset: str) -> Rules:
    """The rules of a division. Raises ChallengeError."""
    if not isinstance(dataset, str) or dataset not in RULES:
        known = "; ".join(f'"{name}" ({rules.division})' for name, rules in RULES.items())
        raise ChallengeError(f"There is no division {dataset!r}. Choose dataset={known}.")
    return RULES[dataset]


def entry_folder(team: str, name: str) -> str:
    """The name of an entry's folder. Raises ChallengeError for names that are no good."""
    parts = []
    for what, text in (("team", team), ("name", name)):
        if not isinstance(text, str) or not text.strip() or len(text) > LONGEST_NAME or not text.isprintable():
            raise ChallengeError(f"{what}= must be a name of 1 to {LONGEST_NAME} characters in one line, not {text!r}.")
        part = re.sub(r"\W+", "_", text.strip()).strip("_").lower()
        if not part:
            raise ChallengeError(f"{what}={text!r} has no letter and no digit: choose another name.")
        parts.append(part)
    return "-".join(parts)


def seeds_of(seeds: int | Iterable[int]) -> list[int]:
    """Seeds as a list of whole numbers. Raises ChallengeError."""
    found = list(seeds) if isinstance(seeds, Iterable) else [seeds]
    if any(isinstance(seed, bool) or not isinstance(seed, numbers.Integral) for seed in found):
        raise ChallengeError(f"seeds= must be whole numbers, such as [0, 1, 2], not {seeds!r}.")
    return [int(seed) for seed in found]


def read_code(code: str | Path | None) -> bytes | None:
    """The script that goes along. Raises ChallengeError."""
    if code is None:
        return None
    path = Path(code)
    if not path.is_file() or path.suffix != ".py":
        raise ChallengeError(f"code= must be the path of a Python script that is there; {path} is not.")
    if path.stat().st_size > LARGEST_CODE:
        raise ChallengeError(f"{path} has more than {LARGEST_CODE // 1000:,} kB: hand in the script without data.")
    return path.read_bytes()


def write_network(model: nn.Module | str | Path, path: Path, images: Any) -> None:
    """The ONNX file of an entry, exported or copied. Raises ChallengeError."""
    if isinstance(model, nn.Module):
        try:
            export_onnx(model, path, images)
        except Exception as error:
            raise ChallengeError(
                f"This network cannot be exported to ONNX: {str(error).strip().splitlines()[0] or type(error).__name__} "
                "(Export it yourself and submit the path of the file.)"
            ) from error
        return
    if not isinstance(model, str | Path):
        raise ChallengeError(f"model is a network or the path of an ONNX file, not a {type(model).__name__}.")
    if not Path(model).is_file():
        raise ChallengeError(f"There is no file {model}: give the path of an ONNX file, or the network itself.")
    shutil.copyfile(model, path)


def file_hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def read_board(board: str | Path | None, folder: Path, dataset: str) -> list[dict[str, Any]] | None:
    """The entries of a leaderboard for this data set; None where there is none. Raises ChallengeError for one named."""
    named = board is not None
    for path in [Path(board or "")] if named else [folder / "leaderboard.json", folder / dataset / "leaderboard.json"]:
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            entries = [entry for entry in found["entries"] if isinstance(entry, dict)]
            if found["dataset"] == dataset:
                return entries
            problem = f"is for {found['dataset']}, not for {dataset}"
        except (OSError, ValueError, KeyError, TypeError) as error:
            problem = f"cannot be read ({type(error).__name__})"
        if named:
            raise ChallengeError(f"The leaderboard {path} {problem}: give another, or leave board= out.")
    return None


def baseline_entry(dataset: str, test: Any) -> list[dict[str, Any]]:
    """The unpruned vgg_mini as an entry. Its accuracy is known on MiniCIFAR only, where the course has it trained."""
    entry: dict[str, Any] = {"team": "the course", "name": "vgg_mini, unpruned"}
    if dataset == "minicifar":
        found = artifacts.measured_baseline()
        entry |= {"accuracy": found.accuracy, "score": found.nonzero / WEIGHTS_UNIT + found.macs / MACS_UNIT}
        qualified = found.accuracy is not None and found.accuracy >= RULES[dataset].threshold
        return [entry | {"status": STATUSES[0 if qualified else 1]}]
    with tempfile.TemporaryDirectory() as folder:
        network = vgg_mini(classes=len(test.classes))
        scored = score_onnx(export_onnx(network, Path(folder) / "vgg_mini.onnx", test))
    return [entry | {"accuracy": None, "score": scored.score, "status": STATUSES[1]}]


# quantisation


def quantize_static(
    path: str | Path, images: Any, output: str | Path | None = None, per_channel: bool = False, count: int = 200
) -> Path:
    """Weights and activations in int8 (QuantizeLinear and DequantizeLinear, by ONNX Runtime) → the new file.

    `images` are training images: `count` of them, from all classes, show how large the activations get. `output`: by
    default beside the file, with "-int8" in its name. Jacob et al. 2018.
    """
    from onnxruntime import quantization

    from minicifar import Loader

    sample = copy.copy(images)
    step = max(1, len(images.labels) // count)
    sample.images, sample.labels = images.images[::step], images.labels[::step]

    class Reader(quantization.CalibrationDataReader):
        def __init__(self, name: str) -> None:
            self.name, self.batches = name, iter(Loader(sample, batch_size=50))

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self.batches, None)
            return None if batch is None else {self.name: np.ascontiguousarray(batch[0].numpy(), np.float32)}

    def run(model: onnx.ModelProto, temporary: str) -> None:
        reader = Reader(model.graph.input[0].name)
        quantization.quantize_static(model, temporary, reader, per_channel=per_channel)

    return _quantized(path, output, "int8", run)


def quantize_dynamic(path: str | Path, output: str | Path | None = None, per_channel: bool = False) -> Path:
    """Weights in int8, activations in 8 bits with a scale found anew for every batch (by ONNX Runtime) → the new file.

    `output`: by default beside the file, with "-dynamic" in its name.
    """
    from onnxruntime import quantization

    def run(model: onnx.ModelProto, temporary: str) -> None:
        quantization.quantize_dynamic(model, temporary, per_channel=per_channel)

    return _quantized(path, output, "dynamic", run)


def quantize_weights(
    path: str | Path, bits: int, output: str | Path | None = None, leave: Sequence[str] = (), per_channel: bool = True
) -> Path:
    """Only the weights, in at most 2^bits - 1 levels (with bits=1 two, and 0) and one scale a filter (or a tensor) → the new file.

    bits=1 is BinaryConnect's form: sign(w) times the mean of |w|; zeros stay zeros. More bits: the multiples of
    max|w| / (2^(bits-1) - 1). They are stored as int8 and computed with in float32. `leave` names weights that stay
    as they are; `output`: by default beside the file, with "-w1" (the bits) in its name. Biases and normalisations
    stay float32. A network that was not trained for it loses much accuracy below 4 bits. Courbariaux et al. 2015.
    """
    if bits not in range(1, 9):
        raise ChallengeError(f"bits= is a whole number from 1 to 8, not {bits!r}.")

    def run(model: onnx.ModelProto, temporary: str) -> None:
        stored = {tensor.name: tensor for tensor in model.graph.initializer}
        axes = {name: axis for name, axis in _weight_axes(model.graph.node) if name in stored and name not in leave}
        axes = {name: axis for name, axis in axes.items() if axis < len(stored[name].dims)}
        nodes = []
        for name, axis in axes.items():
            weight = numpy_helper.to_array(stored[name]).astype(np.float32)
            levels, scale = levels_and_scale(weight, bits, axis if per_channel else None)
            model.graph.initializer.remove(stored[name])
            parts = [(levels, f"{name}_levels"), (scale, f"{name}_scale")]
            model.graph.initializer.extend(numpy_helper.from_array(array, part) for array, part in parts)
            settings: dict[str, Any] = {"axis": axis} if scale.ndim else {}
            nodes.append(helper.make_node("DequantizeLinear", [part for _, part in parts], [name], **settings))
        rest = list(model.graph.node)
        del model.graph.node[:]
        model.graph.node.extend([*nodes, *rest])
        Path(temporary).write_bytes(model.SerializeToString())

    return _quantized(path, output, f"w{bits}", run)


def levels_and_scale(weight: np.ndarray, bits: int, axis: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers of weight's shape (int8), and the scale by which they are multiplied: (C,) along `axis`, or ()."""
    others = None if axis is None else tuple(n for n in range(weight.ndim) if n != axis)
    size = np.abs(weight)
    if bits == 1:
        scale = size.sum(others, keepdims=True) / np.maximum((size > 0).sum(others, keepdims=True), 1)
        levels = np.sign(weight)
    else:
        most = 2 ** (bits - 1) - 1
        scale = size.max(others, keepdims=True) / most
        levels = np.round(weight / np.where(scale > 0, scale, 1)).clip(-most, most)
    scale = np.where(scale > 0, scale, 1).astype(np.float32)
    return levels.astype(np.int8), scale.reshape(() if axis is None else -1)


def _weight_axes(nodes: Iterable[Any]) -> Iterator[tuple[str, int]]:
    """Names of what convolutions and linear layers multiply by, and the axis of a weight that counts its outputs."""
    for node in nodes:
        transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
        if node.op_type in ("Conv", "ConvTranspose", "MatMul", "Gemm"):
            yield node.input[1], {"Conv": 0, "Gemm": 0 if transposed else 1}.get(node.op_type, 1)


def _quantized(
    path: str | Path, output: str | Path | None, suffix: str, run: Callable[[onnx.ModelProto, str], None]
) -> Path:
    """Load a float file, let `run(model, path)` write its quantised form, and put that in its place."""
    path = Path(path)
    if not path.is_file():
        raise ChallengeError(f"There is no file {path}: export the network first, with course_utils.onnx_files.")
    output = path.with_name(f"{path.stem}-{suffix}.onnx") if output is None else Path(output)
    model = onnx.load(path)
    if any("quantize" in node.op_type.lower() or "Integer" in node.op_type for node in model.graph.node):
        raise ChallengeError(f"{path.name} is quantised already: give the file with float32 weights.")
    about = {entry.key: entry.value for entry in model.metadata_props}
    del model.graph.value_info[:]  # shapes of weights that quantisation may turn round
    with atomic(output) as temporary, quiet():
        run(model, str(temporary))
        made = onnx.load(temporary)
        helper.set_model_props(made, about)
        temporary.write_bytes(made.SerializeToString())
    return output


# writing


def _may_write(target: Path, team: str, name: str, replace: bool) -> None:
    """Raise ChallengeError where writing would lose something."""
    if not target.exists():
        return
    try:
        card = json.loads((target / "card.json").read_text(encoding="utf-8"))
        same = (card["team"], card["name"]) == (team, name)
    except (OSError, ValueError, KeyError, TypeError):
        same = False
    if not same:
        raise ChallengeError(f"{target} holds something else: choose another name, or another folder=.")
    if not replace:
        raise ChallengeError(
            f"{target} is there already: choose another name=, so that both can be compared, or say replace=True."
        )


def _put(place: Path, target: Path) -> None:
    """Move a finished folder to where it belongs; what was there is removed only then."""
    old = place.with_name("old")
    if target.exists():
        os.rename(target, old)
    try:
        os.rename(place, target)
    except OSError:
        if old.exists():
            os.rename(old, target)
        raise
