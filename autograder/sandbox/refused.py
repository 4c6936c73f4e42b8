"""Outside the sandbox: system calls that a submission may not make wait at a descriptor to be refused, and are named.

Linux only (seccomp_unotify(2)); the process that called goes on with "not permitted", as if the kernel had said so.
"""

import errno
import fcntl
import platform
import struct
from collections import Counter

from autograder.sandbox.system_calls import numbers

RECEIVE, SEND = 0xC0502100, 0xC0182101  # requests to ioctl: SECCOMP_IOCTL_NOTIF_RECV, SECCOMP_IOCTL_NOTIF_SEND
CALL = struct.Struct("<QIIiIQ6Q")  # struct seccomp_notif: id, pid, flags; the call's number, architecture, …
ANSWER = struct.Struct("<QqiI")  # struct seccomp_notif_resp: id, value, error, flags
MOST_NAMES = 20


def refuse(listener: int, noted: Counter[str]) -> bool:
    """Note the call that waits at a descriptor, and refuse it; False where whoever called is gone by now."""
    call = bytearray(CALL.size)
    try:
        fcntl.ioctl(listener, RECEIVE, call)
        identity, _, _, number, *_ = CALL.unpack(call)
        known = {number: name for name, number in numbers(platform.machine()).items()}
        noted[known.get(number, f"number {number}")] += 1
        fcntl.ioctl(listener, SEND, ANSWER.pack(identity, 0, -errno.EPERM, 0))
    except OSError:
        return False
    return True


def in_words(refused: Counter[str]) -> list[str]:
    """A sentence for the person who grades, if anything was refused."""
    if not refused:
        return []
    names = [f"{name} ({count})" if count > 1 else name for name, count in refused.most_common(MOST_NAMES)]
    return [f"System calls that a notebook does not need were refused: {', '.join(names)}."]
