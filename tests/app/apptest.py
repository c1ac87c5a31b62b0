"""Reading what an AppTest shows."""

from __future__ import annotations

from typing import Any

from streamlit.testing.v1 import AppTest


def texts(app: AppTest) -> str:
    """Every word on the page, kind by kind."""
    kinds = (
        app.title,
        app.header,
        app.subheader,
        app.markdown,
        app.caption,
        app.info,
        app.success,
        app.warning,
        app.error,
    )
    words = [element.value for kind in kinds for element in kind]
    words += [element.proto.body for element in app.get("html")]
    words += [f"{metric.label} {metric.value}" for metric in app.metric]
    words += [o.content for group in app.get("button_group") for o in group.proto.options]
    return "\n".join(words)


def button(app: AppTest, start: str) -> Any:
    """The button whose key begins so."""
    return next(b for b in app.button if b.key and b.key.startswith(start))


def has_button(app: AppTest, start: str) -> bool:
    """Whether there is such a button."""
    return any(b.key and b.key.startswith(start) for b in app.button)


def give(app: AppTest, files: Any, *, key: str = "files") -> AppTest:
    """Drop files onto the input whose key begins so, which is another one after each drop."""
    found = next(u for u in app.get("file_uploader") if u.key and u.key.startswith(key))
    found.set_value(files)
    return app.run()
