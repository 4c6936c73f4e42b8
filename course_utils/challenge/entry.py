"""An entry of the challenge: measured, and written as one small folder to hand in.

`submit` exports the network, measures it as the leaderboard will (accuracy by running the file, score from what is in
it) and shows where it would stand. An ONNX file can be submitted as well: one that `quantize_static`,
`quantize_dynamic` or `quantize_weights` made here, or another tool.
"""

import hashlib
import json
import numbers
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from torch import nn

from course_utils import VERSION, artifacts
from course_utils.challenge.errors import ChallengeError
from course_utils.challenge.likeness import parts_of
from course_utils.challenge.ranking import NOT_QUALIFIED, standing, status_of
from course_utils.challenge.score import MACS_UNIT, RULES, WEIGHTS_UNIT, Rules, score_onnx
from course_utils.networks import vgg_mini
from course_utils.onnx_files.export import export_onnx
from course_utils.onnx_files.reading import OnnxFileError, read_onnx
from course_utils.onnx_files.running import MEMORISED, UNSEEN, moved_accuracy, run_onnx
from course_utils.pictures.tables import Table
from minicifar import ImageSet, load

FORMAT = 1
LONGEST_NAME = 60  # characters of a team's or an entry's name
LARGEST_CODE = 1_000_000  # bytes
NO_TRAIN = 'With code="train.py" your training goes along: whoever wants to can repeat it.'
SYNTHETIC = "Measured on synthetic images, not on CIFAR."


def submit(  # noqa: PLR0913
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

    Raises ChallengeError, OnnxFileError for a network that cannot be measured, and minicifar's errors without images.
    """
    rules = rules_of(dataset)
    target = Path(folder) / entry_folder(team, name)
    card: dict[str, Any] = {"format": FORMAT, "version": VERSION, "team": team, "name": name, "dataset": dataset}
    if not isinstance(method, str):
        raise ChallengeError(f"method= is a sentence on how it was made, not {method!r}.")
    script = read_code(code)
    card |= {"method": method, "seeds": seeds_of(seeds), "code": None if script is None else "train.py"}
    _may_write(target, team, name, replace)
    test, validation = load(dataset, "test"), load(dataset, "val")
    Path(folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".entry-") as temporary:
        place = Path(temporary) / target.name
        place.mkdir()
        write_network(model, place / "network.onnx", test)
        measured = measure(place / "network.onnx", test, validation)
        card["date"] = datetime.now().astimezone().isoformat(timespec="seconds")
        card["claims"] = {what: measured[what] for what in ("accuracy", "val_accuracy", "score")}
        card |= {"images": test.fingerprint, "images_description": test.source.description}
        _write_card(place, card, script)
        _put(place, target)
    mine = {**card, **measured, "status": status_of(measured["accuracy"], rules.threshold)}
    others = read_board(board, Path(folder), dataset)
    table = standing(mine, baseline_entry(dataset, test) if others is None else others, rules.threshold)
    notes = [table.note, f"{target} is ready to hand in.", "" if script else NO_TRAIN]
    table.note = " ".join(filter(None, [*notes, SYNTHETIC if test.source.synthetic else ""]))
    return table


def measure(path: str | Path, test: ImageSet, validation: ImageSet, secret: str = "") -> dict[str, Any]:
    """What the leaderboard knows of an ONNX file: accuracy on both sets of images, score, and what is in it.

    The same file and images give the same numbers; a `secret` only decides how images are changed for the question
    whether the file knows them by heart. Raises FileNotFoundError and OnnxFileError.
    """
    scored = score_onnx(path)
    accuracy, moved = run_onnx(path, test)[0], moved_accuracy(path, test, secret)
    unseen = run_onnx(path, validation)[0]
    if moved < accuracy - MEMORISED:
        raise OnnxFileError(
            f"{Path(path).name} classifies {accuracy:.1%} of the test images, and {moved:.1%} when they are moved by a "
            "few pixels: it seems to know these images by heart. (Trained without augment=True?)"
        )
    if unseen < accuracy - UNSEEN:
        raise OnnxFileError(
            f"{Path(path).name} classifies {accuracy:.1%} of the test images, and {unseen:.1%} of the validation "
            "images: it seems to know the test images, which must not be trained on."
        )
    return {
        "accuracy": accuracy,
        "val_accuracy": unseen,
        "score": scored.score,
        "parameters": scored.weights,
        "nonzero": scored.nonzero,
        "weight_bits": scored.weight_bits,
        "macs": scored.macs,
        "megabytes": Path(path).stat().st_size / 1e6,
        "parts": parts_of(read_onnx(path, whole_numbers=True)),
    }


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
    given = list(seeds) if isinstance(seeds, Iterable) else [seeds]
    if any(isinstance(seed, bool) or not isinstance(seed, numbers.Integral) for seed in given):
        raise ChallengeError(f"seeds= must be whole numbers, such as [0, 1, 2], not {seeds!r}.")
    return [int(seed) for seed in given]


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


def write_network(model: nn.Module | str | Path, path: Path, images: ImageSet) -> None:
    """Write the ONNX file of an entry, exported or copied. Raises ChallengeError."""
    if isinstance(model, nn.Module):
        try:
            export_onnx(model, path, images)
        except Exception as error:
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise ChallengeError(
                f"This network cannot be exported to ONNX: {reason} "
                "(Export it yourself and submit the path of the file.)"
            ) from error
        return
    if not isinstance(model, str | Path):
        raise ChallengeError(f"model is a network or the path of an ONNX file, not a {type(model).__name__}.")
    if not Path(model).is_file():
        raise ChallengeError(f"There is no file {model}: give the path of an ONNX file, or the network itself.")
    shutil.copyfile(model, path)


def file_hash(data: bytes) -> str:
    """What tells files apart: SHA-256, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def read_board(board: str | Path | None, folder: Path, dataset: str) -> list[dict[str, Any]] | None:
    """The entries of a leaderboard for this data set; None where there is none. Raises ChallengeError for one named."""
    named = board is not None
    for path in [Path(board or "")] if named else [folder / "leaderboard.json", folder / dataset / "leaderboard.json"]:
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            entries = [entry for entry in data["entries"] if isinstance(entry, dict)]
            if data["dataset"] == dataset:
                return entries
            problem = f"is for {data['dataset']}, not for {dataset}"
        except (OSError, ValueError, KeyError, TypeError) as error:
            problem = f"cannot be read ({type(error).__name__})"
        if named:
            raise ChallengeError(f"The leaderboard {path} {problem}: give another, or leave board= out.")
    return None


def baseline_entry(dataset: str, test: ImageSet) -> list[dict[str, Any]]:
    """The unpruned vgg_mini as an entry. Its accuracy is known on MiniCIFAR only, where the course has it trained."""
    entry: dict[str, Any] = {"team": "the course", "name": "vgg_mini, unpruned"}
    if dataset == "minicifar":
        measured = artifacts.measured_baseline()
        entry |= {"accuracy": measured.accuracy, "score": measured.nonzero / WEIGHTS_UNIT + measured.macs / MACS_UNIT}
        return [entry | {"status": status_of(measured.accuracy or 0.0, RULES[dataset].threshold)}]
    with tempfile.TemporaryDirectory() as folder:
        network = vgg_mini(classes=len(test.classes))
        scored = score_onnx(export_onnx(network, Path(folder) / "vgg_mini.onnx", test))
    return [entry | {"accuracy": None, "score": scored.score, "status": NOT_QUALIFIED}]


# writing


def _write_card(place: Path, card: Mapping[str, Any], script: bytes | None) -> None:
    """The card beside a network, with the network's hash, and the script if there is one."""
    data = {**card, "hash": file_hash((place / "network.onnx").read_bytes())}
    (place / "card.json").write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    if script is not None:
        (place / "train.py").write_bytes(script)


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
