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
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from autograder.course import ROOT
from autograder.sandbox import account, confinement

Isolation = Literal["bubblewrap", "process"]

CACHES = ("minicifar", "pruning-labs")  # of images, and of the baselines that were measured with them
PASSWD = f"student:x:{confinement.NOBODY}:{confinement.NOBODY}::/tmp:/bin/sh\n"  # the user's name inside

NO_BUBBLEWRAP = """Grading runs code that strangers wrote, so it needs a sandbox, and there is none: {reason}
Install bubblewrap (Debian, Ubuntu: `sudo apt install bubblewrap`; Fedora: `sudo dnf install bubblewrap`).
Only if you trust every student: `--isolation process` grades in plain processes, and says so in the report."""

NOT_AS_ROOT = """Grading was started as root without a sandbox: every submission could do what root can do.
Start it as an ordinary user, or install bubblewrap and leave out `--isolation process`."""


class SandboxError(Exception):
    """There is no sandbox, or it did not start; the message says what to do."""


@dataclass(frozen=True)
class Sandbox:
    """What is around a process: the arguments that show it files, and bytes of memory to write its own to.

    `privileges`: it may make namespaces for its own children (never namespaces of users).
    """

    binds: Iterable[str]
    disk: int
    privileges: bool = False


def require(isolation: Isolation) -> None:
    """Raise SandboxError where strangers' code cannot be run like this, or must not be."""
    if isolation == "bubblewrap":
        find_bubblewrap()
    elif account.is_root():
        raise SandboxError(NOT_AS_ROOT)


def find_bubblewrap() -> str:
    """The path of `bwrap`, which works here. Raises SandboxError."""
    program = shutil.which("bwrap")
    if not program:
        raise SandboxError(NO_BUBBLEWRAP.format(reason="bubblewrap (`bwrap`) is not installed."))
    namespace = user_namespace()
    trial = [program, *namespaces(namespace), "--ro-bind", "/", "/", "true"]
    try:
        done = subprocess.run(trial, capture_output=True, text=True, pass_fds=descriptors(namespace))
    finally:
        for descriptor in descriptors(namespace):
            os.close(descriptor)
    if done.returncode:
        raise SandboxError(NO_BUBBLEWRAP.format(reason=f"bubblewrap does not work here ({done.stderr.strip()})."))
    return program


def user_namespace() -> int | None:
    """The user namespace for a sandbox that root starts; None for others, whose bubblewrap makes one itself.

    Raises SandboxError.
    """
    try:
        return account.user_namespace() if account.is_root() else None
    except account.AccountError as error:
        raise SandboxError(str(error)) from None


def descriptors(namespace: int | None) -> list[int]:
    """What a sandbox's process inherits for its user namespace."""
    return [] if namespace is None else [namespace]


def namespaces(namespace: int | None) -> list[str]:
    """Arguments for namespaces that are the sandbox's own, of all kinds, with none of users below them."""
    if namespace is None:
        nobody = str(confinement.NOBODY)
        return ["--unshare-all", "--unshare-user", "--disable-userns", "--uid", nobody, "--gid", nobody]
    return [*(f"--unshare-{kind}" for kind in ("ipc", "pid", "net", "uts", "cgroup-try")), "--userns", str(namespace)]


def interpreter_folders() -> list[Path]:
    """Where Python and its packages lie."""
    places = [sys.prefix, sys.base_prefix, *site.getsitepackages()]
    if site.ENABLE_USER_SITE:
        places.append(site.getusersitepackages())
    return sorted({Path(place) for place in places if Path(place).is_dir()}, key=lambda path: len(path.parts))


def read_only(path: Path | str, inside: Path | str | None = None) -> list[str]:
    """Arguments that show a file or folder, under another name if one is given."""
    return shown("--ro-bind", path, inside or path)


def shown(how: str, path: Path | str, inside: Path | str) -> list[str]:
    """Arguments that show a file or folder, with the folders around it, which everybody inside may enter."""
    folders = [str(folder) for folder in reversed(Path(inside).parents) if folder != Path("/")]
    return [*(word for folder in folders for word in ("--dir", folder)), how, str(path), str(inside)]


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
        arguments += shown("--bind" if write else "--ro-bind", user_caches() / name, f"/cache/{name}")
    if root := os.environ.get("MINICIFAR_ROOT"):
        arguments += shown("--ro-bind-try", root, root)
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


def arguments(sandbox: Sandbox, variables: Mapping[str, str], namespace: int | None = None) -> list[str]:
    """All arguments for a sandbox, but for its command. `namespace`: the user namespace that root made for it."""
    shut_in = namespaces(namespace)
    shut_in += ["--hostname", "lab", "--die-with-parent", "--new-session", "--as-pid-1", "--clearenv"]
    kept = ["SYS_ADMIN", "SETPCAP"] if sandbox.privileges else []
    if namespace is not None:
        kept += ["SETUID", "SETGID"]  # until it has become nobody
        variables = {**variables, confinement.BY_ROOT: "1"}
    shut_in += ["--cap-drop", "ALL", *(word for name in kept for word in ("--cap-add", f"CAP_{name}"))]
    for name, value in variables.items():
        shut_in += ["--setenv", name, value]
    memory = ["--perms", "1777", "--size", str(sandbox.disk), "--tmpfs"]
    files = [*memory, "/tmp", *system_binds(), *sandbox.binds, "--proc", "/proc", "--dev", "/dev"]
    files += [*memory, "/dev/shm", *memory, confinement.WORK]
    return [*shut_in, *files, "--chdir", "/tmp", "--remount-ro", "/dev", "--remount-ro", "/"]


def sandboxed(
    command: Iterable[str], sandbox: Sandbox, variables: Mapping[str, str], namespace: int | None
) -> list[str]:
    """A command inside bubblewrap, in a sandbox and the user namespace made for it. Raises SandboxError."""
    for name in CACHES:  # bubblewrap shows only what is there
        (user_caches() / name).mkdir(parents=True, exist_ok=True)
    return [find_bubblewrap(), *arguments(sandbox, variables, namespace), "--", *command]
