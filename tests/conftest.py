"""Options of the project's own tests."""

import atexit
import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: workers and sandboxes share the cores
gc.disable()  # until all has been imported and collected
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]  # jsonschema would build its grammar: nearly a second


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full-training", action="store_true", help="run the labs' training cells in full (make labs)")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With several workers, each runs whole groups (see `helpers.groups`)."""
    from helpers.groups import Groups

    return Groups(config, log)


def pytest_collection_finish() -> None:
    """What was imported and collected lives to the end: the garbage collector need not look at it again and again."""
    gc.freeze()
    gc.enable()
    atexit.register(gc.unfreeze)  # or libraries that count what is left complain


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Each test draws the same numbers, in whatever order and by whichever worker it is run."""
    import torch

    torch.default_generator.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def exports() -> None:
    from helpers.quick_exports import quick_exports

    quick_exports()


@pytest.fixture(scope="session", autouse=True)
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Templates of feedback pages are compiled once, which is a third of a page's time, and not for each page."""
    import jinja2

    cache, begin = (
        jinja2.FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates"))),
        jinja2.Environment.__init__,
    )

    def begin_with_cache(self: jinja2.Environment, *arguments: Any, **options: Any) -> None:
        begin(self, *arguments, **{"bytecode_cache": cache, **options})

    jinja2.Environment.__init__ = begin_with_cache  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def bubblewrap() -> str:
    """The sandbox's program. Where it is missing, its tests are skipped, but never in CI."""
    from autograder.sandbox.bubblewrap import SandboxError, find_bubblewrap

    try:
        return find_bubblewrap()
    except SandboxError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error).splitlines()[0])


@pytest.fixture(scope="module")
def one_grader() -> Iterator[None]:
    """The sandbox of this process is one for all tests of a file, and ends with them."""
    from autograder.grading import worker

    yield
    worker.close_grader()


@pytest.fixture
def judged_here(one_grader: None, monkeypatch: pytest.MonkeyPatch, bubblewrap: str) -> None:
    """`grade_lab` judges in this process, in one sandbox for all tests of a file."""
    from helpers.inline import Inline

    from autograder.grading import batch

    monkeypatch.setattr(batch, "workers", lambda options: contextlib.nullcontext(Inline()))


@pytest.fixture(scope="session")
def images_at_hand() -> str:
    """Real images if there are any; otherwise the tests opt in to synthetic ones → a sentence on the source."""
    from minicifar import ImagesNotFound, MiniCIFAR

    try:
        return str(MiniCIFAR("test", download=False).source.description)
    except ImagesNotFound:
        os.environ["MINICIFAR_SYNTHETIC"] = "1"
        return str(MiniCIFAR("test").source.description)
