"""Running the cells of a notebook: nbclient, but for one thing that it does."""

from pathlib import Path
from typing import Any

from nbclient import NotebookClient
from nbclient.output_widget import OutputWidget
from nbformat import NotebookNode


class SilentOutput(OutputWidget):
    """nbclient's `Output` widget, without the copies of its outputs that it sends back to the kernel."""

    def sync_state(self) -> None:
        """Send nothing: what the widget shows stands in the notebook all the same.

        nbclient sends while it waits for the kernel's reply at the same socket, and a send there can use up the
        event that tells of a reply (libzmq's ZMQ_FD is edge-triggered). The reply then lies unread, and the cell
        never ends.
        """


def notebook_client(notebook: NotebookNode, folder: Path, seconds: int | None, **options: Any) -> NotebookClient:
    """What runs a notebook in place, in `folder`; a cell may take so many seconds (None: any time)."""
    place = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, timeout=seconds, resources=place, **options)
    client.widget_registry = {"@jupyter-widgets/output": {"OutputModel": SilentOutput}}
    return client
