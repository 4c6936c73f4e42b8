"""What the documents name is there: links, paths, and the new names in the changelog."""

import importlib
import importlib.util
import re
from pathlib import Path

import pytest

from course_utils import VERSION

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
FOLDERS = "autograder|course_utils|solutions|studies|minicifar|labs|tests|docs|benchmarks"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    missing = [name for name in targets if "://" not in name and not (page.parent / name).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_that_are_named_exist(page: Path) -> None:
    """Those with a placeholder (`<lab>`, `…`) are left out; what git ignores is no path of the project."""
    words = re.findall(rf"`((?:{FOLDERS})/[\w./*-]*)`", page.read_text(encoding="utf-8"))
    missing = [name for name in words if not list(ROOT.glob(name))]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_imports_that_are_shown_work(page: Path) -> None:
    for module, names in re.findall(r"`from ([\w.]+) import ([\w, ]+)`", page.read_text(encoding="utf-8")):
        for name in names.split(", "):
            assert hasattr(importlib.import_module(module), name), f"{page.name}: from {module} import {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_that_is_shown_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for code in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        exec(compile(code, page.name, "exec"), {})


def test_new_names_in_the_changelog_can_be_imported() -> None:
    table = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").partition("| old | new |")[2].partition("\n\n")[0]
    cells = [line.split("|")[2] for line in table.splitlines() if line.startswith("| `")]
    assert len(cells) > 20
    for cell in cells:
        package = ""
        for name in re.findall(r"`([\w.]+)`", cell):
            package = name.rpartition(".")[0] if not name.startswith(".") else package
            module = package + name if name.startswith(".") else name
            if not is_module(module):
                assert hasattr(importlib.import_module(module.rpartition(".")[0]), module.rpartition(".")[2]), module


def is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def test_the_version_is_one() -> None:
    assert f"\nversion: {VERSION}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## [{VERSION}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
