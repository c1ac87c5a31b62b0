"""The installations that `tests.app.site_app` offers as `?site=NAME`."""

from __future__ import annotations

from typing import Final

USUAL: Final = "usual"
EMPTY: Final = "empty"  # no model, no correction
AWAY: Final = "away"  # a model and one correction, but neither registry nor store
REVIEWING: Final = "reviewing"  # all that people say waits for a reviewer, and nobody disagrees
BROKEN: Final = "broken"  # raises what nobody foresaw
