"""Whose account a stranger's code has on this machine: when root grades, one that nobody has and that owns nothing.

Root cannot become somebody else before bubblewrap starts, for Python may lie where only root can go. So bubblewrap sets
up the sandbox as root, in a user namespace that knows two accounts, root and a number that is nobody's; what runs
inside goes on as the latter before it does anything (`confinement.become_nobody`).
"""

import itertools
import os
import subprocess
import sys
from pathlib import Path

from autograder.sandbox.confinement import NOBODY

FIRST = 0x70000000  # above all numbers that systems, containers and people are given
EACH = 64  # sandboxes of one process have different accounts, up to so many

# In a process of its own: a new user namespace, then (when it has its accounts) none below it.
MAKER = """import ctypes, os
if ctypes.CDLL(None, use_errno=True).unshare(0x10000000):
    raise SystemExit(os.strerror(ctypes.get_errno()))
print("made", flush=True)
input()
open("/proc/sys/user/max_user_namespaces", "w").write("0")
print("closed", flush=True)
input()"""

_count = itertools.count()


class AccountError(Exception):
    """Root has no account to hand on; the message says what to do."""


def is_root() -> bool:
    """Whether this process has the account that owns the machine."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def nobodys_number(known: str, number: int) -> int:
    """An account for the sandbox `number` of this machine, of those that are `known` (the text of an id map).

    Raises AccountError where root is the only one.
    """
    ranges = [tuple(map(int, line.split())) for line in known.splitlines()]
    if sum(count for _, _, count in ranges) < 2:
        raise AccountError(
            "Grading was started as root, and there is no other account here under which strangers' code could run. "
            "Start it as an ordinary user (in a container: `docker run --user 1000:1000 …`)."
        )
    first, _, count = max(ranges)
    last = first + count - 1
    return FIRST + number if FIRST + number <= last else last - number % min(1000, count - 1)


def user_namespace() -> int:
    """A new user namespace with root and an account of nobody's, as a descriptor. Raises AccountError."""
    number = EACH * os.getpid() + next(_count) % EACH
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", MAKER], stdin=pipe, stdout=pipe, stderr=pipe) as maker:
        assert maker.stdin and maker.stdout and maker.stderr
        folder = Path(f"/proc/{maker.pid}")
        try:
            answer = maker.stdout.readline()
            for name in ("uid_map", "gid_map") if answer else ():
                other = nobodys_number(Path("/proc/self", name).read_text(), number)
                (folder / name).write_text(f"0 0 1\n{NOBODY} {other} 1\n")
            if answer:
                maker.stdin.write(b"\n")
                maker.stdin.flush()
                answer = maker.stdout.readline()
            if not answer:
                raise AccountError(in_words(maker.stderr.read().decode(errors="replace")))
            return os.open(folder / "ns/user", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise AccountError(in_words(str(error))) from None
        finally:
            maker.kill()


def in_words(reason: str) -> str:
    """What to do where root cannot hand on an account."""
    last = reason.strip().splitlines()[-1:] or ["no reason was given"]
    return (
        "Grading was started as root, and strangers' code cannot be run under an account without rights here "
        f"({last[0]}). Start it as an ordinary user."
    )
