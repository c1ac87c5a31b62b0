"""Build a target of the Dockerfile without Docker, as root, on a bare Debian root, and start it.

    sudo python scripts/build_in_chroot.py TARGET FOLDER [--torch-source "--find-links /wheels"]

Knows the instructions that the Dockerfile uses. Each stage is a folder made by debootstrap; RUN is
a chroot, and the end is started as its user on a read-only root until its HEALTHCHECK says yes.
It shows neither layers nor a registry nor a container's network.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")  # of this machine: it may have a proxy's
HEALTHY_WITHIN_S = 120.0


@dataclass
class Stage:
    """A stage: its folder, and what its instructions have set so far."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "0"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)


def instructions(text: str) -> list[tuple[str, str]]:
    """Split a Dockerfile into (instruction, arguments)."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [
        (word, rest.strip()) for word, _, rest in (li.partition(" ") for li in joined.split("\n"))
    ]


def needed(parsed: list[tuple[str, str]], target: str) -> set[str]:
    """Name the stages that a target is built from."""
    parents: dict[str, set[str]] = {}
    name = ""
    for word, rest in parsed:
        if word == "FROM":
            base, _, name = rest.split()
            parents[name] = {base}
        elif word == "COPY" and (source := re.search(r"--from=(\S+)", rest)):
            parents[name].add(source[1])
    found, queue = set(), [target]
    while queue:
        if (stage := queue.pop()) in parents and stage not in found:
            found.add(stage)
            queue += parents[stage]
    return found


def chroot(stage: Stage, command: list[str], *, closed: bool = False) -> list[str]:
    """Write a command that runs in a stage's root, with its environment and as its user.

    `closed`: the root is read-only, and there is no network but its own loopback.
    """
    root = str(stage.root)
    mounts = [f"mount --bind {root} {root}", f"mount -t proc proc {root}/proc"]
    mounts += [f"mount --rbind /dev {root}/dev"]
    if closed:
        mounts += [f"mount --bind {root}/state {root}/state", f"mount -t tmpfs tmpfs {root}/tmp"]  # noqa: S108
        mounts += [f"mount -o remount,bind,ro {root}", "ip link set lo up"]
    env = [f"{name}={value}" for name, value in stage.env.items()]
    inside = ["chroot", f"--userspec={stage.user}:{stage.user}", root, "/usr/bin/env", "-i", *env]
    inside += ["/bin/sh", "-c", f"cd {shlex.quote(stage.workdir)} && exec {shlex.join(command)}"]
    script = " && ".join([*mounts, f"exec {shlex.join(inside)}"])
    spaces = ["--mount", "--pid", "--fork", "--kill-child", *(["--net"] if closed else [])]
    return ["unshare", *spaces, "sh", "-ec", script]


def build(target: str, folder: Path, arguments: dict[str, str]) -> Stage:
    """Carry out the instructions of the stages that a target needs."""
    parsed = instructions((ROOT / "Dockerfile").read_text("utf-8"))
    wanted, stages = needed(parsed, target), {}
    name = ""
    for word, rest in parsed:
        rest = re.sub(r"\$\{(\w+)\}", lambda found: arguments.get(found[1], found[0]), rest)
        if word == "FROM":
            base, _, name = rest.split()
            if name in wanted:
                stages[name] = begin(folder, base, name, stages)
        elif word == "ARG":
            key, _, default = rest.partition("=")
            arguments.setdefault(key, default)
        elif name in wanted:
            _apply(stages[name], word, rest, stages)
    return stages[target]


def begin(folder: Path, base: str, name: str, stages: dict[str, Stage]) -> Stage:
    """Begin a stage: a copy of another one, or of a bare Debian made by debootstrap."""
    root = folder / name
    shutil.rmtree(root, ignore_errors=True)  # of an earlier build
    if base in stages:
        source = stages[base]
        print(f"== {name}: a copy of {base}", flush=True)
        subprocess.run(["cp", "-a", source.root, root], check=True)
        return Stage(root, dict(source.env), source.workdir, source.user, list(source.entrypoint))
    suite = base.partition(":")[2].partition("-")[0].partition("@")[0]
    bare = folder / f"bare-{suite}"
    if not bare.exists():
        subprocess.run(["debootstrap", "--variant=minbase", suite, bare], check=True)
    subprocess.run(["cp", "-a", bare, root], check=True)
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    certificate = root / "usr/local/share/build-ca.crt"
    certificate.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(CERTIFICATES, certificate)
    inside = "/usr/local/share/build-ca.crt"
    return Stage(
        root, {"SSL_CERT_FILE": inside, "PIP_CERT": inside, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    )


def _apply(stage: Stage, word: str, rest: str, stages: dict[str, Stage]) -> None:
    print(f"== {stage.root.name}: {word} {rest[:100]}", flush=True)
    if word == "RUN":
        began = time.monotonic()
        subprocess.run(chroot(stage, ["/bin/sh", "-ec", rest]), check=True)
        print(f"   {time.monotonic() - began:.0f} s", flush=True)
    elif word == "COPY":
        source_of = re.search(r"--from=(\S+) ", rest)
        *sources, to = re.sub(r"--\S+ ", "", rest).split()
        place = stage.root / Path(stage.workdir, to).relative_to("/")
        origin = stages[source_of[1]].root if source_of else ROOT
        (place if to.endswith("/") else place.parent).mkdir(parents=True, exist_ok=True)
        for source in sources:  # of a folder, Docker copies the content
            path = origin / source.lstrip("/")
            whole = ["-aT", path, place] if path.is_dir() else ["-a", path, place]
            subprocess.run(["cp", *whole], check=True)
    elif word == "ENV":
        stage.env |= dict(item.split("=", 1) for item in shlex.split(rest))
    elif word == "WORKDIR":
        stage.workdir = rest
    elif word == "USER":
        stage.user = rest
    elif word == "ENTRYPOINT":
        stage.entrypoint = json.loads(rest)
    elif word == "CMD":
        stage.command = json.loads(rest)
    elif word == "HEALTHCHECK":
        stage.health = json.loads(rest.partition("CMD ")[2])


def start(stage: Stage, environment: dict[str, str]) -> None:
    """Start what the target starts; end it once it is healthy."""
    stage.env |= environment
    run, ask = shlex.join(stage.entrypoint + stage.command), shlex.join(stage.health)
    until_healthy = (
        f"for _ in $(seq {HEALTHY_WITHIN_S:.0f}); do sleep 1; {ask} && exit 0; done 2>&-"
    )
    began = time.monotonic()
    script = f"{run} & {until_healthy}; exit 1"
    subprocess.run(chroot(stage, ["/bin/sh", "-c", script], closed=True), check=True)
    print(f"== healthy on a read-only root after {time.monotonic() - began:.0f} s")


def main() -> None:
    """Build a target, say how large it is, and start it if it serves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--torch-source")
    parser.add_argument("--base")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
    given = parser.parse_args()
    arguments = {"TORCH_SOURCE": given.torch_source, "BASE": given.base}
    arguments = {name: value for name, value in arguments.items() if value}
    stage = build(given.target, given.folder.absolute(), arguments)
    size = subprocess.run(["du", "-sm", stage.root], capture_output=True, text=True, check=True)
    print(f"== {given.target}: {size.stdout.split()[0]} MB")
    if stage.health:
        start(stage, dict(item.split("=", 1) for item in given.env))


if __name__ == "__main__":
    main()
