"""Hooks of the documentation's build: what the theme would fetch lies beside the pages."""

from __future__ import annotations

from typing import Any

#: Lets the search of pages opened from disk run; the theme asks a network for it.
_SHIM, _LOCAL = "https://unpkg.com/iframe-worker/shim", "assets/iframe-worker.js"


def on_post_page(output: str, *, page: Any, config: Any) -> str:
    """Point the shim at its copy."""
    return output.replace(_SHIM, "../" * page.url.count("/") + _LOCAL)


def on_post_template(output_content: str, *, template_name: str, config: Any) -> str:
    """The same on pages that are no documents."""
    return output_content.replace(_SHIM, _LOCAL)
