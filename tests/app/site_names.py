"""The installations that `tests.app.site_app` offers as `?site=NAME`."""

from __future__ import annotations

from typing import Final

USUAL: Final = "usual"
EMPTY: Final = "empty"  # no model, no correction
AWAY: Final = "away"  # a model and one correction, but neither registry nor store
REVIEWING: Final = "reviewing"  # all that people say waits for a reviewer, and nobody disagrees
CONTESTED: Final = "contested"  # one picture that people disagree about, for one test alone
PLAIN: Final = "plain"  # no app: hostile text in every element that takes Markdown
BROKEN: Final = "broken"  # raises what nobody foresaw
