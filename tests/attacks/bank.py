"""The bank of attacks: what a student hands in who cannot solve lab 3, but wants points or wants to do harm.

An attack changes the released notebook (a stub of every exercise) or lays files beside it. Code that gets what it
must not get prints BREACH; whatever it leaves behind carries MARK in its name or text, so that it can be found.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LAB = "lab3_l1_filters"
BREACH, MARK = "BREACH", f"attack-{os.getpid()}"  # of this run: others may go on beside it
EXERCISES = ("filter_l1_norms", "filters_to_keep", "narrow_conv", "narrow_batchnorm", "narrow_linear", "prune_vgg")
EXERCISES += ("greedy_l1_norms",)

# An object that is equal to everything, and has everything.
EVERYTHING = """
class Anything:
    __name__ = "anything"
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    __lt__ = __gt__ = __le__ = __ge__ = __contains__ = __eq__
    def __hash__(self): return 0
    def __len__(self): return 3
    def __iter__(self): return iter([self] * 3)
    def __getitem__(self, key): return self
    def __getattr__(self, name): return self
    def __call__(self, *args, **options): return self
    def __bool__(self): return True
    def __float__(self): return 9.0
    __sub__ = __rsub__ = __add__ = __radd__ = __mul__ = __rmul__ = __truediv__ = __abs__ = __neg__ = __call__
    def __array__(self, *args): import numpy; return numpy.zeros(3)
"""

Edit = Callable[[dict[str, Any]], None]
Prepare = Callable[[Path, Path], None]


@dataclass(frozen=True, eq=False)
class Attack:
    """One attack. `aim`: what it tries, in a sentence.

    `first`, `last`: code of an added cell behind the imports, or at the end; `cells`: new sources of cells, by their
    grade ids; `edit`: changes the notebook's JSON; `files`: handed in beside it; `prepare(folder, course)`: anything
    else, once the rest lies there. `student`: a name for the student's folder.
    `says`: words that the instructor must find in the remarks or verdicts. `alone`: is run once more in a bubblewrap
    of its own. `stock`: can be run through nbgrader as it comes. `reads`: aims at how the submission is read, and
    needs no code to be run.
    """

    name: str
    family: str
    aim: str
    first: str = ""
    last: str = ""
    cells: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    edit: Edit | None = None
    prepare: Prepare | None = None
    student: str = ""
    says: str = ""
    alone: bool = False
    stock: bool = True
    reads: bool = False

    def hand_in(self, released: str, course: Path) -> str:
        """Lay the submission into a course → the student's name."""
        student = self.student or self.name
        folder = course / "submitted" / student / LAB
        folder.mkdir(parents=True)
        notebook = json.loads(released)
        self.change(notebook["cells"])
        if self.edit:
            self.edit(notebook)
        (folder / f"{LAB}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
        for name, data in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        if self.prepare:
            self.prepare(folder, course)
        return student

    def change(self, cells: list[dict[str, Any]]) -> None:
        """Type the attack's code into the notebook."""
        for cell in cells:
            name = grade_id(cell)
            if name in self.cells:
                cell["source"] = self.cells[name].strip()
        if self.first:
            imports = next(number for number, cell in enumerate(cells) if "import torch" in "".join(cell["source"]))
            cells.insert(imports + 1, code_cell("attack-first", self.first))
        if self.last:
            cells.append(code_cell("attack-last", self.last))


def grade_id(cell: Mapping[str, Any]) -> str:
    return str(cell["metadata"].get("nbgrader", {}).get("grade_id", ""))


def code_cell(name: str, source: str) -> dict[str, Any]:
    empty: dict[str, Any] = {"cell_type": "code", "id": name, "metadata": {}, "outputs": [], "execution_count": None}
    return {**empty, "source": source.strip()}


def markdown_cell(name: str, source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": source.strip()}


def checks(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """The locked check cells of a notebook."""
    return [cell for cell in notebook["cells"] if grade_id(cell).startswith("check-")]


def functions(body: str, names: tuple[str, ...] = EXERCISES) -> dict[str, str]:
    """The same body for several exercises, whatever arguments they take."""
    lines = body.strip().splitlines()
    indented = "\n".join(f"    {line}" for line in lines)
    return {name: f"def {name}(*args):\n{indented}" for name in names}


def all_attacks() -> list[Attack]:
    """Every attack, in the order in which they are told; names are unique."""
    from attacks import breaking, files, forging, lying, pages, reading

    attacks = [*forging.ATTACKS, *lying.ATTACKS, *reading.ATTACKS, *breaking.ATTACKS, *files.ATTACKS, *pages.ATTACKS]
    assert len({attack.name for attack in attacks}) == len(attacks)
    return attacks
