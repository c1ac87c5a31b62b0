"""The bars of the correction store, one command each, against a real SeaweedFS.

    python -m benchmarks.corrections latency            one correction: onto the disk, into S3
    python -m benchmarks.corrections users              50 people at once for 5 minutes
    python -m benchmarks.corrections outage             S3 away for 10 minutes
    python -m benchmarks.corrections faults             kill -9 of anything in the stack, 200 rounds
    python -m benchmarks.corrections store_faults       the same in short: front end and S3 alone
    python -m benchmarks.corrections between            MLflow killed between registration and alias
    python -m benchmarks.corrections scheduler          Airflow's killed in each task; an old run
    python -m benchmarks.corrections versions --old DIR an older checkout's front end beside today's
    python -m benchmarks.corrections clock              front ends' clock two hours off, to and fro
    python -m benchmarks.corrections snapshots          1,000 new on 100,000 and on none
    python -m benchmarks.corrections folding            1,000,000 events
    python -m benchmarks.corrections recipe             the published system's transfers beside ours

Each takes its sizes as options, such as `users --seconds 10`. Results are printed as JSON and kept
in benchmarks/out.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import platform
import subprocess
import time
from pathlib import Path

from benchmarks.corrections import cases, faults, people, size

COMMANDS = {
    "latency": people.latency,
    "users": people.users,
    "outage": people.outage,
    "faults": faults.faults,
    "store_faults": faults.store_faults,
    "between": cases.between,
    "scheduler": cases.scheduler,
    "versions": cases.versions,
    "clock": cases.clock,
    "snapshots": size.snapshots,
    "folding": size.folding,
    "recipe": size.recipe,
}
OUT = Path(__file__).parents[1] / "out"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.corrections",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    subparsers = parser.add_subparsers(dest="command", required=True)
    for name, function in COMMANDS.items():
        command = subparsers.add_parser(name, help=(function.__doc__ or "").splitlines()[0])
        for option, parameter in inspect.signature(function).parameters.items():
            if isinstance(parameter.default, int | float | str):
                command.add_argument(
                    f"--{option}", type=type(parameter.default), default=parameter.default
                )
    options = vars(parser.parse_args())
    name = options.pop("command")
    started = time.perf_counter()
    load = os.getloadavg()[0]
    result = {
        "command": name,
        **COMMANDS[name](**options),
        "wall_s": round(time.perf_counter() - started, 1),
        "load_before": round(load, 1),
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
        "commit": subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True
        ).stdout.strip(),
    }
    OUT.mkdir(exist_ok=True)
    (OUT / f"corrections-{name}.json").write_text(json.dumps(result, indent=1))
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
