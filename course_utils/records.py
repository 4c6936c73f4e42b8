"""Records of studies: what a file is about, and one record a run, as lines of JSON.

The first line of a file says what it is about and the version of the format; each other one is a record. Every line
names its type, which is one of the classes here.
"""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Generic, TypeVar

from minicifar.files import atomic

VERSION = 1

# --- what a file is about


@dataclass(frozen=True, kw_only=True)
class About:
    """What all records of a file share. `images`: their fingerprint.

    `made_with`, versions and hardware, is a note: it does not decide whether a study goes on, as other fields do.
    """

    images: str
    made_with: str = field(default="", compare=False)


@dataclass(frozen=True, kw_only=True)
class MethodStudy(About):
    """`studies.results`: every method under one budget of `epochs` before any pruning and `retraining` afterwards.

    `description`: of the images' source, in a sentence.
    """

    dataset: str
    network: str
    epochs: int
    retraining: int
    batch_size: int
    description: str = field(default="", compare=False)


@dataclass(frozen=True, kw_only=True)
class MomentStudy(About):
    """`studies.when_to_prune`: at which moment of its training a network is pruned, and in how many steps."""


@dataclass(frozen=True, kw_only=True)
class CriteriaStudy(About):
    """`studies.criteria`: criteria judged by the oracle and by pruning, on a network trained for `epochs`."""

    network: str
    epochs: int


@dataclass(frozen=True, kw_only=True)
class AlphaStudy(About):
    """`studies.alpha`: alpha-branch pruning and its controls, from the course's baseline of this test accuracy."""

    baseline_accuracy: float = field(compare=False)


@dataclass(frozen=True, kw_only=True)
class BudgetStudy(About):
    """`studies.budgets`: methods under budgets of MACs; `epochs` before any pruning, `retraining` from there on.

    AOFP's searches: `every`, batches of one; `threshold`, theta.
    """

    network: str
    epochs: int
    retraining: int
    every: int
    threshold: float
    description: str = field(default="", compare=False)


@dataclass(frozen=True, kw_only=True)
class AgreementStudy(About):
    """`studies.oracle_agreement`: AOFP's scores beside the oracle, on a network trained for `epochs`."""

    network: str
    epochs: int


@dataclass(frozen=True, kw_only=True)
class RedesignStudy(About):
    """`studies.redesign`: inner layers `inner` times as wide, pruned back to the old MACs, all in `epochs`."""

    network: str
    inner: float
    epochs: int
    description: str = field(default="", compare=False)


@dataclass(frozen=True, kw_only=True)
class SparsityStudy(About):
    """`studies.sparsity`: zeros in the weights; `epochs` before any pruning, `retraining` from there on."""

    network: str
    epochs: int
    retraining: int
    description: str = field(default="", compare=False)


@dataclass(frozen=True, kw_only=True)
class SlimmingStudy(About):
    """`studies.slimming`: a penalty on the scales for `searching` epochs after `epochs`; cut, and not finetuned."""

    network: str
    epochs: int
    searching: int
    description: str = field(default="", compare=False)


@dataclass(frozen=True, kw_only=True)
class AutoencoderStudy(About):
    """`studies.autoencoder`: a network of `width` on images of `side` pixels; its parts pruned together or in turn.

    `images`: "scenes" or "cifar10". `epochs` of the first training, `retraining` of every way to the narrow network.
    """

    side: int
    width: float
    epochs: int
    retraining: int
    lr: float


# --- records; accuracies and what is left of a network are shares, from 0 to 1


@dataclass(frozen=True)
class MethodResult:
    """One method at one keep ratio. `before_retraining`: None where a method has no such moment.

    `parameters` and `macs` are those of the network's shape: masked weights count, which in `parameters_left` they do
    not. `original_accuracy`: of the trained network before any pruning.
    """

    method: str
    keep_ratio: float
    seed: int
    before_retraining: float | None
    accuracy: float
    parameters_left: float
    macs_left: float
    parameters: int
    macs: int
    original_accuracy: float


@dataclass(frozen=True)
class ShapeTime:
    """Milliseconds for a batch of 64, once for a shape of network, and how many times as fast as the original it is."""

    parameters: int
    macs: int
    milliseconds: float
    speedup: float


@dataclass(frozen=True)
class Refusal:
    """Why a method cannot prune this network."""

    method: str
    reason: str


@dataclass(frozen=True)
class MomentResult:
    """One network pruned once. `moment`: when; or a control, which has no steps: "unpruned", "from scratch"."""

    network: str
    setting: str
    seed: int
    moment: str
    steps: int
    keep_ratio: float
    accuracy: float
    parameters_left: float


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation of a criterion with the oracle: mean over the layers, all layers, all normalised."""

    seed: int
    criterion: str
    per_layer: float
    all_layers: float
    normalized: float


@dataclass(frozen=True)
class Curve:
    """Accuracy as filters go. `points`: (share of the filters left, of the MACs left, accuracy) after each step."""

    criterion: str
    seed: int
    points: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class AlphaResult:
    """One way to the narrow network. `by_alpha`: (alpha, accuracy) while alpha falls, (0, …) the last.

    `before_retraining`: of controls. `unmerged_accuracy`: at the end, where the network was merged only then.
    """

    method: str
    seed: int
    accuracy: float
    parameters_left: float
    by_alpha: tuple[tuple[float, float], ...] = ()
    before_retraining: float | None = None
    unmerged_accuracy: float | None = None


@dataclass(frozen=True)
class AutoencoderResult:
    """One way to the narrow autoencoder; `loss`: 0.5 · L1 + 0.5 · (1 - SSIM) on the test images."""

    way: str
    seed: int
    loss: float
    parameters_left: float


@dataclass(frozen=True)
class BudgetResult:
    """One method under one budget (the share of the MACs that may be left).

    `before`: the accuracy just after surgery, where a method has such a moment; `widths`: of the channel groups that a
    search can narrow; `search_batches`: training batches until its search was there; `cost`: of the whole training, in
    epochs of the unpruned network by MACs; `evaluations`: how many plans a search has tried without training.
    """

    method: str
    budget: float
    seed: int
    before: float | None
    accuracy: float
    macs_left: float
    parameters_left: float
    widths: tuple[int, ...]
    search_batches: int
    cost: float
    evaluations: int = 0


@dataclass(frozen=True)
class Agreement:
    """Rank correlation of one layer's scores with the oracle's, `points`: (batches, correlation), and what limits it.

    `alone`: of the damages of single filters, all of them, with the oracle's scores; `to_alone`: (batches, correlation)
    of AOFP's scores with these damages. Cost in forward passes of one image through the whole network: `oracle_passes`
    in all, `batch_passes` to score a batch.
    """

    seed: int
    layer: str
    points: tuple[tuple[int, float], ...]
    to_alone: tuple[tuple[int, float], ...]
    alone: float
    oracle_passes: int
    batch_passes: float


@dataclass(frozen=True)
class RedesignResult:
    """One of the four networks of a re-design. `widths`: of the blocks' inner layers."""

    network: str
    seed: int
    accuracy: float
    macs: int
    widths: tuple[int, ...]


@dataclass(frozen=True)
class RedesignTime:
    """How fast it is, in batches of 64 on one thread; `speedup`: beside the original, in turn. `setting`: by what."""

    network: str
    seed: int
    setting: str
    images_per_second: float
    speedup: float


@dataclass(frozen=True)
class SparsityResult:
    """One method with one setting (a sparsity that was asked for, or what decides where it lands).

    `sparsity`: the share of zeros; `by_layer`: (layer, its share). `returned`: weights that came back in all epochs,
    where a method lets them.
    """

    method: str
    setting: float
    seed: int
    sparsity: float
    accuracy: float
    by_layer: tuple[tuple[str, float], ...]
    returned: int | None = None


@dataclass(frozen=True)
class Scales:
    """|γ| of all channels after an epoch with a penalty of this strength (0: before the first), by group."""

    strength: float
    seed: int
    epoch: int
    scales: tuple[tuple[str, tuple[float, ...]], ...]


@dataclass(frozen=True)
class SlimmingResult:
    """A slimmed network at a budget of MACs before finetuning. `widths`: what is left, by group.

    Accuracies: with the scales that go set to 0 (`scales_zero`); without these channels (`cut`); without them, their
    constants absorbed (`absorbed`). `inside`, `border`: how far a layer's output is from that with scales of 0, behind
    absorption, as root mean square in units of that output's standard deviation; mean over the convolutions that read
    removed channels, each by itself.
    """

    strength: float
    budget: float
    seed: int
    widths: tuple[int, ...]
    scales_zero: float
    cut: float
    absorbed: float
    inside: float
    border: float


Record = (
    MethodResult
    | ShapeTime
    | Refusal
    | MomentResult
    | Correlation
    | Curve
    | AlphaResult
    | AutoencoderResult
    | BudgetResult
    | Agreement
    | RedesignResult
    | RedesignTime
    | SparsityResult
    | Scales
    | SlimmingResult
)
TYPES: dict[str, type] = {kind.__name__: kind for kind in (*About.__subclasses__(), *Record.__args__)}

# --- files

A = TypeVar("A", bound=About)
R = TypeVar("R", bound=Record)


@dataclass
class Study(Generic[A]):
    """The records of one file, and what they are about. Without a `path` they stay in memory."""

    about: A
    records: list[Record] = field(default_factory=list)
    path: Path | None = None

    def of(self, kind: type[R]) -> list[R]:
        """The records of one type, in the order in which they were made."""
        return [record for record in self.records if isinstance(record, kind)]

    def add(self, *records: Record) -> None:
        """Note records that belong together, and write the file, all or nothing."""
        self.records += records
        if self.path is not None:
            lines = [encoded(self.about, version=VERSION), *map(encoded, self.records)]
            with atomic(self.path) as temporary:
                temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_study(path: Path) -> Study[Any]:
    """The study in a file. Raises ValueError where the file is none, or one of another version of the format."""
    head, *lines = path.read_text(encoding="utf-8").strip().split("\n")
    try:
        version = json.loads(head)["version"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path} is no file of a study's records: give another file.") from None
    if version != VERSION:
        raise ValueError(f"{path} has version {version} of the format, not {VERSION}: give another file.")
    return Study(decoded(head), [decoded(line) for line in lines], path)


def open_study(path: Path, about: A) -> Study[A]:
    """The study in a file, an empty one if there is none.

    Raises ValueError where the file says something else of what it is about: other images, another network.
    """
    if not path.exists():
        return Study(about, path=path)
    study = read_study(path)
    if type(study.about) is not type(about):
        raise ValueError(f"{path} is another study's file ({type(study.about).__name__}): give another file.")
    for name in (setting.name for setting in fields(about) if setting.compare):
        before, now = getattr(study.about, name), getattr(about, name)
        if before != now:
            raise ValueError(f"{path} was made with another {name} ({before}, not {now}): give another file.")
    return study


def encoded(value: About | Record, **more: Any) -> str:
    """One line of JSON: the type's name, then its fields."""
    return json.dumps({"type": type(value).__name__, **more, **asdict(value)})


def decoded(line: str) -> Any:
    """What `encoded` wrote; lists are tuples again."""
    values = json.loads(line)
    values.pop("version", None)
    return TYPES[values.pop("type")](**{name: as_tuples(value) for name, value in values.items()})


def as_tuples(value: Any) -> Any:
    """Nested lists as nested tuples."""
    return tuple(map(as_tuples, value)) if isinstance(value, list) else value
