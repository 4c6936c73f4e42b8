from pathlib import Path

import pytest
from jupyter_client.channels import AsyncZMQSocketChannel
from nbformat.v4 import new_code_cell, new_notebook

from course_utils.notebook_client import notebook_client

SHOWN_IN_A_WIDGET = """
import ipywidgets
picture = ipywidgets.Output()
with picture:
    print("in the widget")
    picture.clear_output(wait=True)
    print("in its place")
picture
"""


@pytest.mark.slow
def test_nothing_is_sent_while_a_reply_is_awaited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A send there can leave the reply unread for ever; what an Output widget shows is kept all the same."""
    sent, send = [], AsyncZMQSocketChannel.send
    monkeypatch.setattr(
        AsyncZMQSocketChannel,
        "send",
        lambda channel, message: (sent.append(message["header"]["msg_type"]), send(channel, message)),
    )
    client = notebook_client(new_notebook(cells=[new_code_cell(SHOWN_IN_A_WIDGET)]), tmp_path, 60)
    client.execute()
    shown = [state["outputs"] for state in client.widget_state.values() if state.get("outputs")]
    assert [output["text"] for (output,) in shown] == ["in its place\n"]
    assert "execute_request" in sent and "comm_msg" not in sent
