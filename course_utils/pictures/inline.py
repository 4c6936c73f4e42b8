"""Styles and scripts inside a page: what its Content-Security-Policy calls them, so that no others count."""

import base64
import hashlib


def inline(template: str, tag: str) -> str:
    """What stands between the first <tag> and </tag>."""
    return template.split(f"<{tag}>", 1)[1].split(f"</{tag}>", 1)[0]


def csp_hash(content: str) -> str:
    """The name of an inline style or script in a policy: "sha256-" and its hash in base 64 (CSP level 3, 2.3.1)."""
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
