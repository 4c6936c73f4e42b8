"""Options of the project's own tests."""

import os
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full-training", action="store_true", help="run the labs' training cells in full (make labs)")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With several workers, each runs whole groups (see `helpers.groups`)."""
    from helpers.groups import Groups

    return Groups(config, log)


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


@pytest.fixture(scope="session")
def images_at_hand() -> str:
    """Real images if there are any; otherwise the tests opt in to synthetic ones → a sentence on the source."""
    from minicifar import ImagesNotFound, MiniCIFAR

    try:
        return str(MiniCIFAR("test", download=False).source.description)
    except ImagesNotFound:
        os.environ["MINICIFAR_SYNTHETIC"] = "1"
        return str(MiniCIFAR("test").source.description)
