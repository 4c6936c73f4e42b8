"""Channel groups as a file."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minicifar.files import atomic
from solutions.graph.groups import Group, PlanError, Slot


def save_groups(groups: Sequence[Group], path: str | Path) -> Path:
    """Write groups as JSON, all or nothing: as long as the network is the same, its graph need not be read again."""
    data = [
        {
            "name": group.name,
            "channels": group.channels,
            "slots": [[slot.parameter, slot.axis, slot.consumes, slot.channel.tolist()] for slot in group.slots],
            "frozen": [[channel, reason] for channel, reason in group.frozen.items()],
            "network": group.network,
        }
        for group in groups
    ]
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(data), encoding="utf-8")
    return Path(path)


def load_groups(path: str | Path) -> list[Group]:
    """The groups that `save_groups` wrote. Raises PlanError where the file holds none."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        return [
            Group(
                stored["name"],
                stored["channels"],
                tuple(Slot(name, axis, np.array(channel), reads) for name, axis, reads, channel in stored["slots"]),
                dict(stored["frozen"]),
                stored.get("network", ""),
            )
            for stored in data
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise PlanError(f"{path} holds no channel groups ({type(error).__name__}): find them again.") from None
