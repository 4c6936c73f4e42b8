"""bubblewrap's arguments: what is visible inside a sandbox, and what is not.

Visible: the system's programs and libraries, the interpreter with its packages, what the caller binds, all read-only.
Not visible: this project, the course folder, other processes, any network.
"""

import os
import shutil
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from autograder.course import ROOT
from autograder.sandbox import confinement

Isolation = Literal["bubblewrap", "process"]

NO_BUBBLEWRAP = """Grading runs code that strangers wrote, so it needs a sandbox, and there is none: {reason}
Install bubblewrap (Debian, Ubuntu: `sudo apt install bubblewrap`; Fedora: `sudo dnf install bubblewrap`).
Only if you trust every student: `--isolation process` grades in plain processes, and says so in the report."""


class SandboxError(Exception):
    """There is no sandbox, or it did not start; the message says what to do."""


def find_bubblewrap() -> str:
    """The path of `bwrap`, which works here. Raises SandboxError."""
    found = shutil.which("bwrap")
    if not found:
        raise SandboxError(NO_BUBBLEWRAP.format(reason="bubblewrap (`bwrap`) is not installed."))
    trial = [found, "--unshare-all", "--unshare-user", "--disable-userns", "--ro-bind", "/", "/", "true"]
    done = subprocess.run(trial, capture_output=True, text=True)
    if done.returncode:
        raise SandboxError(NO_BUBBLEWRAP.format(reason=f"bubblewrap does not work here ({done.stderr.strip()})."))
    return found


def interpreter_folders() -> list[Path]:
    """Where Python and its packages lie."""
    places = [sys.prefix, sys.base_prefix, *site.getsitepackages()]
    if site.ENABLE_USER_SITE:
        places.append(site.getusersitepackages())
    return sorted({Path(place) for place in places if Path(place).is_dir()}, key=lambda path: len(path.parts))


def system_binds() -> list[str]:
    """bubblewrap's arguments for a read-only system: /usr, a few files of /etc, the interpreter, its packages."""
    arguments = ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64"):
        path = Path("/", name)
        if path.is_symlink():
            arguments += ["--symlink", os.readlink(path), str(path)]
        elif path.is_dir():
            arguments += ["--ro-bind", str(path), str(path)]
    for name in ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime", "fonts"):
        if Path("/etc", name).exists():
            arguments += ["--ro-bind", f"/etc/{name}", f"/etc/{name}"]
    for place in interpreter_folders():
        if not place.is_relative_to("/usr"):
            arguments += ["--ro-bind", str(place), str(place)]
            if ROOT.is_relative_to(place):
                arguments += ["--tmpfs", str(ROOT)]
        for package in ("autograder", "solutions", "labs"):  # where the project was installed as a copy
            if (place / package).is_dir():
                arguments += ["--tmpfs", str(place / package)]
    return arguments


def image_binds(write: bool) -> list[str]:
    """Arguments for the images and the course's caches; those can be written to by the judge only."""
    arguments = []
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for name in ("minicifar", "pruning-labs"):
        (caches / name).mkdir(parents=True, exist_ok=True)
        arguments += ["--bind" if write else "--ro-bind", str(caches / name), f"/cache/{name}"]
    if root := os.environ.get("MINICIFAR_ROOT"):
        arguments += ["--ro-bind-try", root, root]
    return arguments


def environment(sandboxed: bool, packages: Path | str) -> dict[str, str]:
    """The environment variables inside; nothing of the instructor's own but where the images are."""
    kept = {name: os.environ[name] for name in ("MINICIFAR_ROOT", "MINICIFAR_SYNTHETIC") if name in os.environ}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    path = os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])
    told = {"PATH": path, "LANG": "C.UTF-8", "PYTHONPATH": str(packages), "PYTHONDONTWRITEBYTECODE": "1"}
    told |= {"PYTHONHASHSEED": "0", "MPLBACKEND": "module://matplotlib_inline.backend_inline", **threads, **kept}
    if sandboxed:
        return {**told, "HOME": "/tmp", "XDG_CACHE_HOME": "/cache", "MPLCONFIGDIR": "/tmp/matplotlib"}
    caches = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return {**told, "HOME": tempfile.gettempdir(), "XDG_CACHE_HOME": caches}


def sandboxed(
    command: list[str], binds: Iterable[str], variables: Mapping[str, str], disk: int, privileges: bool = False
) -> list[str]:
    """A command inside bubblewrap, with `disk` bytes of memory to write files to.

    `privileges`: it may make namespaces for its own children (never namespaces of users).
    """
    arguments = [
        find_bubblewrap(),
        "--unshare-all",
        "--unshare-user",
        "--disable-userns",
        "--uid",
        "65534",
        "--gid",
        "65534",
    ]
    arguments += [
        "--hostname",
        "lab",
        "--die-with-parent",
        "--new-session",
        "--as-pid-1",
        "--clearenv",
        "--cap-drop",
        "ALL",
    ]
    if privileges:
        arguments += ["--cap-add", "CAP_SYS_ADMIN", "--cap-add", "CAP_SETPCAP"]
    for name, value in variables.items():
        arguments += ["--setenv", name, value]
    memory = ["--size", str(disk), "--tmpfs"]
    arguments += [*memory, "/tmp", *system_binds(), *binds, "--proc", "/proc", "--dev", "/dev"]
    arguments += [*memory, "/dev/shm", *memory, confinement.WORK]
    arguments += ["--chdir", "/tmp", "--remount-ro", "/dev", "--remount-ro", "/"]
    return [*arguments, "--", *command]
