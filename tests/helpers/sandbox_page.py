"""docs/sandbox.md: what is visible in the sandbox, what may be changed there, and which system calls succeed."""

import textwrap
from pathlib import Path

from autograder.sandbox import confinement, system_calls
from autograder.sandbox.limits import Limits

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sandbox.md"

TOP = ["bin", "cache", "course", "dev", "etc", "lib", "lib32", "lib64", "proc", "sbin", "student", "tmp", "usr"]
DEVICES = [
    "core",
    "fd",
    "full",
    "null",
    "ptmx",
    "pts",
    "random",
    "shm",
    "stderr",
    "stdin",
    "stdout",
    "tty",
    "urandom",
    "zero",
]
ETC = ["alternatives", "fonts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "passwd"]
PROC = ["cpuinfo", "meminfo", "stat"]
VARIABLES = [
    "HOME",
    "LANG",
    "MINICIFAR_ROOT",
    "MINICIFAR_SYNTHETIC",
    "MKL_NUM_THREADS",
    "MPLBACKEND",
    "MPLCONFIGDIR",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "PATH",
    "PWD",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONHASHSEED",
    "PYTHONPATH",
    "XDG_CACHE_HOME",
]
WRITABLE = ("/student", "/tmp", "/dev/shm")


def listed(names: list[str]) -> str:
    """Names as a line of code."""
    return ", ".join(f"`{name}`" for name in names)


def refused_calls() -> list[str]:
    """The calls of x86_64 that a submission may not make, by name."""
    return sorted(set(system_calls.numbers("x86_64")) - system_calls.allowed())


def page() -> str:
    """The page, from the lists that the sandbox itself goes by and those above, which a test compares with it."""
    calls = "\n".join(f"| {topic} | {', '.join(names.split())} |" for topic, names in system_calls.ALLOWED.items())
    refused = textwrap.fill(", ".join(refused_calls()), 118)
    return f"""# What a submission sees and may do

`tests/autograder/test_sandbox.py` compares this page with what a process in the sandbox finds
(`WRITE_PAGES=1 python -m pytest tests/autograder/test_sandbox.py` writes it anew).

## Who it is

Nobody: number {confinement.NOBODY} inside, without privileges. Where an ordinary user grades, that user stands behind
the number, but sees nothing that can be written to. Where root grades, a number stands behind it that nobody on the
machine has and that owns nothing, another one for each sandbox; the judge and what measures the challenge's entries have
such a number too. Where root has no such number to give (a container with one account), grading stops and says so; root
does not grade without a sandbox at all.

## What it sees

- `/`: {listed(TOP)}, and the folders in which Python, its packages and the images lie, all read-only
- `/etc`: {listed(ETC)}
- `/dev`: {listed(DEVICES)}; the machine's nodes among them are shown read-only: they can be used and not changed
- `/proc`: {listed(PROC)}
- environment variables: {listed(VARIABLES)}
- descriptors: the standard streams, which are its own `/dev/null`, and one socket to the grader
- no network, no other process, nothing of the course folder, of this repository or of other students

It can write to {", ".join(f"`{place}`" for place in WRITABLE)}: memory that is its own and goes with it, at most
`disk_megabytes` ({Limits().disk_megabytes} MB) and {confinement.MOST_FILES:,} files.

## Memory and processes

As root, control groups count all memory that the kernel holds for a submission, what waits in sockets and pipes
included. Without them the processes' memory is added up (what they share once), with the most that can wait in the
sockets and pipes that they have open; a process that hides counts with all that it could have.

## Which system calls succeed

| for | calls |
|---|---|
{calls}

`clone` makes no namespaces, `socket` no sockets but local ones, those of IP and those that tell of the network, `prctl`
neither hides a process nor sets filters. `clone3`, and calls that are younger than version 6.0 of the kernel, are "no such
call", so that libraries use older ones. All others are "not permitted", and named in the remarks on the submission:

{refused}
"""
