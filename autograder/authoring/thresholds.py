"""Fair thresholds: train a lab's artifact over many seeds with the lab's own recipe, and record mean and spread.

    python -m autograder.authoring.thresholds lab3_l1_filters --seeds 20

Runs on the images at hand (real or synthetic), and writes `course_utils/recorded/thresholds.json`. Every finished seed
is kept in `autograder/seeds/`, which is part of the project: anyone can look them up (labs 0, 3 and 7 were measured
before that), and a run that was stopped goes on where it was, also on another machine. Another recipe starts anew.
"""

import hashlib
import json
import re
import statistics
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from tqdm import tqdm

from autograder.authoring.editions import LabError, exercises, read_lab, tags
from autograder.course import ROOT
from course_utils.artifacts import THRESHOLDS, measured, measured_baseline, test_images
from course_utils.baseline import image_kind
from course_utils.checking import check
from minicifar.files import atomic


def recipe(lab: str) -> tuple[str, str]:
    """The code of a lab up to its training cell (pictures left out), and the training cell itself."""
    before: list[str] = []
    for cell in read_lab(lab).cells:
        if cell.cell_type != "code":
            continue
        if "train" in tags(cell):
            if "seed=0" not in cell.source:
                raise LabError(f"{lab}: the training cell needs a `seed=0` that this script can vary")
            return "\n".join(before), cell.source
        if "slow" not in tags(cell) and not re.search(r"\b(plots|explorers?|plt)\.", cell.source):
            before.append(cell.source)
    raise LabError(f"{lab} has no training cell")


def artifact(lab: str) -> str:
    """The name, without ending, of the ONNX file that a lab hands in."""
    return next(exercise.name.removesuffix("_onnx") for exercise in exercises(lab) if exercise.module is None)


def accuracy_of_seed(lab: str, seed: int, scope: dict[str, Any], training: str) -> float:
    """Train with this seed in a folder of its own, and measure the file that comes out.

    Raises LabError when the lab's own check gives the file no points, because it is still too large for example.
    """
    with TemporaryDirectory() as folder, chdir(folder):
        exec(training.replace("seed=0", f"seed={seed}"), scope)
        failed = [o for o in check(f"{artifact(lab)}_onnx", {}).outcomes if not (o.earned or o.set_aside)]
        if failed:
            raise LabError(f"{lab}, seed {seed}: {failed[0].title} ✗ {failed[0].message}")
        accuracy = measured(f"{artifact(lab)}.onnx").accuracy
    assert accuracy is not None
    return accuracy


def main(lab: str, seeds: Annotated[int, typer.Option(help="How many seeds.")] = 20) -> None:
    """Record the reference's mean and standard deviation for one lab's artifact, on the images at hand."""
    images = test_images()
    kind = image_kind(images)
    before, training = recipe(lab)
    training = re.sub(r"test=Loader\([^)]*\),?", "", training)
    made_by = hashlib.sha256(f"{images.fingerprint}\n{before}\n{training}".encode()).hexdigest()[:12]
    recorded = ROOT / "autograder" / "seeds" / f"{lab}-{kind}-{made_by}.json"
    accuracies: dict[str, float] = json.loads(recorded.read_text()) if recorded.exists() else {}
    scope: dict[str, Any] = {"__name__": "recipe"}
    exec(before, scope)
    for seed in tqdm(range(1, seeds + 1), desc=f"{lab} on {kind} images"):
        if str(seed) not in accuracies:
            accuracies[str(seed)] = accuracy_of_seed(lab, seed, scope, training)
            with atomic(recorded) as temporary:
                Path(temporary).write_text(json.dumps(accuracies, indent=1))
    record(lab, kind, list(accuracies.values())[:seeds])


def record(lab: str, kind: str, accuracies: list[float]) -> None:
    """Write one entry of `thresholds.json`, and print it."""
    original = measured_baseline().accuracy
    assert original is not None
    drops = [original - accuracy for accuracy in accuracies]
    entry = {
        "seeds": len(drops),
        "baseline_accuracy": round(original, 5),
        "mean_accuracy": round(statistics.mean(accuracies), 5),
        "mean_drop": round(statistics.mean(drops), 5),
        "std_drop": round(statistics.stdev(drops), 5),
        "images": test_images().fingerprint,
    }
    everything = json.loads(THRESHOLDS.read_text(encoding="utf-8")) if THRESHOLDS.exists() else {}
    everything.setdefault(artifact(lab), {})[kind] = entry
    with atomic(THRESHOLDS) as temporary:
        Path(temporary).write_text(json.dumps(everything, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    print(json.dumps({artifact(lab): {kind: entry}}, indent=2))


if __name__ == "__main__":
    typer.run(main)
