"""bubblewrap's arguments: what is visible inside a sandbox, and what is not.

Visible: the system's programs and libraries, the interpreter with its packages, what the caller binds, all read-only.
Not visible: this project, the course folder, other processes, any network. Nothing is started here but a trial.
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

CACHES = ("minicifar", "pruning-labs")  # of images, and of the baselines that were measured with them
PASSWD = "student:x:65534:65534::/tmp:/bin/sh\n"  # for /etc, so that the user inside has a name

NO_BUBBLEWRAP = """Grading runs code that strangers wrote, so it needs a sandbox, and there is none: {reason}
Install bubblewrap (Debian, Ubuntu: `sudo apt install bubblewrap`; Fedora: `sudo dnf install bubblewrap`).
Only if you trust every student: `--isolation process` grades in plain processes, and says so in the report."""


class SandboxError(Exception):
    """There is no sandbox, or it did not start; the message says what to do."""


def find_bubblewrap() -> str:
    """The path of `bwrap`, which works here. Raises SandboxError."""
    program = shutil.which("bwrap")
    if not program:
        raise SandboxError(NO_BUBBLEWRAP.format(reason="bubblewrap (`bwrap`) is not installed."))
    trial = [program, "--unshare-all", "--unshare-user", "--disable-userns", "--ro-bind", "/", "/", "true"]
    done = subprocess.run(trial, capture_output=True, text=True)
    if done.returncode:
        raise SandboxError(NO_BUBBLEWRAP.format(reason=f"bubblewrap does not work here ({done.stderr.strip()})."))
    return program


def interpreter_folders() -> list[Path]:
    """Where Python and its packages lie."""
    places = [sys.prefix, sys.base_prefix, *site.getsitepackages()]
    if site.ENABLE_USER_SITE:
        places.append(site.getusersitepackages())
    return sorted({Path(place) for place in places if Path(place).is_dir()}, key=lambda path: len(path.parts))


def read_only(path: Path | str, inside: Path | str | None = None) -> list[str]:
    """Arguments that show a file or folder, under another name if one is given."""
    return ["--ro-bind", str(path), str(inside or path)]


def system_binds() -> list[str]:
    """Arguments for a read-only system: /usr, a few files of /etc, the interpreter, its packages."""
    arguments = read_only("/usr")
    for name in ("bin", "sbin", "lib", "lib32", "lib64"):
        path = Path("/", name)
        if path.is_symlink():
            arguments += ["--symlink", os.readlink(path), str(path)]
        elif path.is_dir():
            arguments += read_only(path)
    for name in ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime", "fonts"):
        if Path("/etc", name).exists():
            arguments += read_only(f"/etc/{name}")
    for folder in interpreter_folders():
        if not folder.is_relative_to("/usr"):
            arguments += read_only(folder)
            if ROOT.is_relative_to(folder):
                arguments += ["--tmpfs", str(ROOT)]
        for package in ("autograder", "solutions", "labs"):  # where the project was installed as a copy
            if (folder / package).is_dir():
                arguments += ["--tmpfs", str(folder / package)]
    return arguments


def project_binds(packages: Iterable[str], inside: Path = ROOT) -> list[str]:
    """Arguments that show some of this project's packages in the folder `inside`."""
    return [argument for name in packages for argument in read_only(ROOT / name, inside / name)]


def user_caches() -> Path:
    """The folder in which this user's programs have their caches."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def image_binds(write: bool) -> list[str]:
    """Arguments for the images and the course's caches; those can be written to by the judge only."""
    arguments = []
    for name in CACHES:
        arguments += ["--bind" if write else "--ro-bind", str(user_caches() / name), f"/cache/{name}"]
    if root := os.environ.get("MINICIFAR_ROOT"):
        arguments += ["--ro-bind-try", root, root]
    return arguments


def environment(sandboxed: bool, packages: Path | str) -> dict[str, str]:
    """The environment variables inside; nothing of the instructor's own but where the images are."""
    path = os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])
    variables = {"PATH": path, "LANG": "C.UTF-8", "PYTHONPATH": str(packages), "PYTHONDONTWRITEBYTECODE": "1"}
    variables |= {"PYTHONHASHSEED": "0", "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    variables |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    variables |= {name: os.environ[name] for name in ("MINICIFAR_ROOT", "MINICIFAR_SYNTHETIC") if name in os.environ}
    if sandboxed:
        return {**variables, "HOME": "/tmp", "XDG_CACHE_HOME": "/cache", "MPLCONFIGDIR": "/tmp/matplotlib"}
    return {**variables, "HOME": tempfile.gettempdir(), "XDG_CACHE_HOME": str(user_caches())}


def arguments(binds: Iterable[str], variables: Mapping[str, str], disk: int, privileges: bool = False) -> list[str]:
    """All arguments for a sandbox with `disk` bytes of memory to write files to, but for its command.

    `privileges`: it may make namespaces for its own children (never namespaces of users).
    """
    shut_in = ["--unshare-all", "--unshare-user", "--disable-userns", "--uid", "65534", "--gid", "65534"]
    shut_in += ["--hostname", "lab", "--die-with-parent", "--new-session", "--as-pid-1", "--clearenv"]
    shut_in += ["--cap-drop", "ALL"]
    if privileges:
        shut_in += ["--cap-add", "CAP_SYS_ADMIN", "--cap-add", "CAP_SETPCAP"]
    for name, value in variables.items():
        shut_in += ["--setenv", name, value]
    memory = ["--size", str(disk), "--tmpfs"]
    files = [*memory, "/tmp", *system_binds(), *binds, "--proc", "/proc", "--dev", "/dev"]
    files += [*memory, "/dev/shm", *memory, confinement.WORK]
    return [*shut_in, *files, "--chdir", "/tmp", "--remount-ro", "/dev", "--remount-ro", "/"]


def sandboxed(
    command: Iterable[str], binds: Iterable[str], variables: Mapping[str, str], disk: int, privileges: bool = False
) -> list[str]:
    """A command inside bubblewrap, with the `arguments` for what is around it. Raises SandboxError."""
    for name in CACHES:  # bubblewrap shows only what is there
        (user_caches() / name).mkdir(parents=True, exist_ok=True)
    return [find_bubblewrap(), *arguments(binds, variables, disk, privileges), "--", *command]
