"""The weekly loop in seconds, as a process to be killed: snapshot, training, gate, promotion.

    python -m benchmarks.corrections.trainer SEED

The training is the smoke recipe. Its models are bad, so a person overrules the gate, and rolls back
if a training failed: what counts is that the champion moves while everything breaks. Each line on
stdout is JSON: the new `version`, or what went `wrong`.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from contextlib import suppress

from medloop.core.learn.recipe import TrainingConfig
from medloop.errors import MedloopError
from medloop.jobs.context import Context
from medloop.jobs.promote import promote
from medloop.jobs.retrain import retrain
from medloop.jobs.rollback import rollback
from medloop.wiring import connect

WAIT_S = 2.0  # after a failure: the lease of a killed training runs out by itself


def main() -> None:
    context = connect()
    for seed in itertools.count(int(sys.argv[1])):
        done = _train(context, seed)
        print(json.dumps(done), flush=True)
        if "wrong" in done:
            with suppress(MedloopError):
                rollback(context, by="fault run", reason="the champion is to move")
            time.sleep(WAIT_S)


def _train(context: Context, seed: int) -> dict[str, object]:
    try:
        result = retrain(context, force=True, config=TrainingConfig.smoke(seed), by="fault run")
        if result.version and not result.promoted:
            promote(
                context,
                version=result.version,
                by="fault run",
                reason="the champion is to move",
                force=True,
            )
    except MedloopError as error:
        return {"wrong": str(error)}
    return {"version": result.version}


if __name__ == "__main__":
    main()
