"""A front end to be killed: asks the champion and takes corrections in a loop, as the page does.

    python -m benchmarks.corrections.front_end NUMBER SECONDS [CLOCK]

Picture NUMBER comes first, SECONDS lie between two on average. Of every fifth the person first
says something wrong, and the right label `LATER` pictures on. Each line on stdout is JSON: an
acknowledged correction (`event`, `number`, `label`, `version`), or what went `wrong`. Stores come
from the environment. The file CLOCK says by how many hours medloop's clock is off.
"""

from __future__ import annotations

import itertools
import json
import random
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.corrections.world import label_of, picture
from medloop import wiring
from medloop.core.prediction.predictor import Prediction
from medloop.errors import MedloopError
from medloop.jobs.context import Context
from medloop.jobs.correct import correct
from medloop.serving import Champion
from medloop.settings import load_settings

LATER = 20  # pictures


def main() -> None:
    first, pause_s = int(sys.argv[1]), float(sys.argv[2])
    if sys.argv[3:]:
        move_clock(Path(sys.argv[3]))
    settings = load_settings()
    context = wiring.connect(settings)
    registry = context.registry if settings.mlflow_tracking_uri else None
    champion = Champion(registry, settings.home / "models", poll_s=settings.poll_s)
    champion.start()
    context.sender.start()
    for number in itertools.count(first):
        said = [(number, label_of(number + 1) if number % 5 == 0 else label_of(number))]
        if number % 5 == 0 and number >= first + LATER:
            said.append((number - LATER, label_of(number - LATER)))
        for answer in said:
            line = _serve(context, champion, *answer)
            print(json.dumps({"at": time.time(), **line}), flush=True)
        time.sleep(random.uniform(0.5, 1.5) * pause_s)


def move_clock(file: Path) -> None:
    """Have medloop read the time with the hours that the file says."""

    def moved() -> datetime:
        return datetime.now(UTC) + timedelta(hours=float(file.read_text() or 0))

    wiring.utc_now = moved


def _serve(context: Context, champion: Champion, number: int, label: str) -> dict[str, object]:
    """Show a picture to a person, who says what it is."""
    shown = picture(number)
    try:
        served = champion.current()
        prediction = served.answer(shown).prediction
        return {
            "event": _say(context, number, label, prediction, served.version),
            "number": number,
            "label": label,
            "version": served.version,
        }
    except MedloopError as error:
        return {"wrong": str(error)}


def _say(context: Context, number: int, label: str, prediction: Prediction, version: str) -> str:
    return correct(
        context, image=picture(number), given_label=label, prediction=prediction,
        model_version=version, who=f"person {number % 50}",
    ).event_id  # fmt: skip


if __name__ == "__main__":
    main()
