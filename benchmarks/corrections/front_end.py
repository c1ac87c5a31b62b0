"""A front end as a process to be killed: asks the champion and takes a correction, again and again, as the page does.

    python -m benchmarks.corrections.front_end NUMBER SECONDS

Picture NUMBER comes first, SECONDS lie between two on average. Each line on stdout is JSON: an acknowledged correction
(`event`, `number`, `version`), or what went `wrong`. Stores come from the environment.
"""

from __future__ import annotations

import itertools
import json
import random
import sys
import time

from benchmarks.corrections.world import label_of, picture
from medloop.core.prediction.predictor import Prediction
from medloop.errors import MedloopError
from medloop.jobs.context import Context
from medloop.jobs.correct import correct
from medloop.serving import Champion
from medloop.settings import load_settings
from medloop.wiring import connect


def main() -> None:
    first, pause_s = int(sys.argv[1]), float(sys.argv[2])
    settings = load_settings()
    context = connect(settings)
    registry = context.registry if settings.mlflow_tracking_uri else None
    champion = Champion(registry, settings.home / "models", poll_s=settings.poll_s)
    champion.start()
    context.sender.start()
    for number in itertools.count(first):
        print(json.dumps({"at": time.time(), **_serve(context, champion, number)}), flush=True)
        time.sleep(random.uniform(0.5, 1.5) * pause_s)


def _serve(context: Context, champion: Champion, number: int) -> dict[str, object]:
    """One picture shown to one person, who says what it is."""
    shown = picture(number)
    try:
        served = champion.current()
        prediction = served.answer(shown).prediction
        return {
            "event": _say(context, number, prediction, served.version),
            "number": number,
            "version": served.version,
        }
    except MedloopError as error:
        return {"wrong": str(error)}


def _say(context: Context, number: int, prediction: Prediction, version: str) -> str:
    return correct(
        context, image=picture(number), given_label=label_of(number), prediction=prediction, model_version=version,
        who=f"person {number % 50}",
    ).event_id  # fmt: skip


if __name__ == "__main__":
    main()
