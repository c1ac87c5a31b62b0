"""Run README's first command on a bare Debian root, as an ordinary user, in a folder with a space.

    sudo python scripts/try_bare_debian.py SUITE FOLDER [--wheels DIR] [--without-torch]

It installs what README asks for and no more, and ends with `medloop --help`. `--wheels` is where
this site's torch lies (PIP_FIND_LINKS); where PyTorch's index cannot be reached and there is none,
`--without-torch` leaves it out.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
from pathlib import Path

from build_in_chroot import ROOT, Stage, begin, chroot

NEEDED = "python3 python3-venv make git ca-certificates"
HOME = "/home/person/my folder"


def main() -> None:
    """Set up and start the command line; fail where a person would."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", choices=["bookworm", "trixie"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--wheels", type=Path)
    parser.add_argument("--without-torch", action="store_true")
    given = parser.parse_args()
    stage = begin(given.folder.absolute(), f"debian:{given.suite}", f"try-{given.suite}", {})
    stage.env |= {"HOME": "/home/person"}
    install = f"apt-get update -qq && apt-get install -qq -y --no-install-recommends {NEEDED}"
    run(stage, f"{install} >/dev/null && useradd --uid 1000 --create-home person")
    checkout = stage.root / HOME.removeprefix("/")
    checkout.mkdir()
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in files.stdout.splitlines():
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, checkout / name)
    if given.without_torch:
        lock = checkout / "requirements.txt"
        lock.write_text(re.sub(r"^torch==.*\n", "", lock.read_text(), flags=re.MULTILINE))
    if given.wheels:
        shutil.copytree(given.wheels, stage.root / "wheels")
        stage.env["PIP_FIND_LINKS"] = "/wheels"
    run(stage, "chown -R person:person /home/person")
    stage.workdir, stage.user = HOME, "1000"
    run(stage, "make setup && .venv/bin/medloop --help")


def run(stage: Stage, script: str) -> None:
    """Run a shell script in the root."""
    subprocess.run(chroot(stage, ["/bin/sh", "-ec", script]), check=True)


if __name__ == "__main__":
    main()
