"""`medloop snapshot`, `outbox`, `review` and `erase`: what becomes of corrections."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medloop.cli.terminal import progress_bar, say, show_table, warn
from medloop.core import none_of_these

if TYPE_CHECKING:
    import numpy as np

    from medloop.core.corrections.correction_policy import Waiting
    from medloop.jobs.context import Context
    from medloop.jobs.erase import Erased
    from medloop.jobs.review import Verdict
    from medloop.settings import Settings

HASH_SHOWN = 12  # digits of an image hash that tables show and commands accept

Image = Annotated[
    list[str], typer.Argument(help="Hashes from `review list`, their first 12 digits at least.")
]
Why = Annotated[str, typer.Option(help="The reason; it is kept with the decision.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(snapshot)
    app.command()(outbox)
    app.command()(erase)
    reviews = typer.Typer(
        name="review",
        no_args_is_help=True,
        help="Decide about corrections that wait for a reviewer.",
    )
    reviews.command("list")(list_waiting)
    reviews.command()(approve)
    reviews.command()(reject)
    reviews.command()(relabel)
    reviews.command()(people)
    app.add_typer(reviews)


def snapshot(
    full: Annotated[
        bool,
        typer.Option(
            "--full", help="Begin anew: repairs a snapshot that is damaged, or holds what is none."
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON instead of a sentence.")
    ] = False,
) -> None:
    """Screen new corrections, fold all of them into a snapshot, and print its id.

    Corrections that wait on this machine are sent first. The cost depends on what is new; older
    events are read only if they are about the same images. What comes in meanwhile waits for the
    next snapshot. A run without news gives the same snapshot.

    Example: `medloop snapshot`
    """
    from dataclasses import asdict

    from medloop.jobs.screen import screened_snapshot
    from medloop.wiring import connect

    context = connect()
    waiting = send_first(context)
    with progress_bar() as progress:
        taken, screened = screened_snapshot(context, full=full, progress=progress)
    flagged = len(screened.flagged)
    if as_json:
        typer.echo(json.dumps({**asdict(taken), "flagged": flagged, "waiting": waiting}))
        return
    say(taken.snapshot_id)
    flags = f"; {flagged} new ones look wrong: see `medloop review list`" if flagged else ""
    say(f"{taken.reason}{flags}", err=True)


def send_first(context: Context) -> int:
    """Send this machine's corrections; warn of those that still wait, and return how many."""
    from medloop.errors import StoreError

    try:
        if context.outbox.status().pending:
            context.sender.send_once()
        left = context.outbox.status()
    except StoreError as error:  # what is in S3 is of use all the same
        warn(f"corrections of this machine may be missing: {error}")
        return 0
    if left.pending:
        why = left.last_error or "they are on their way"
        warn(
            f"{left.pending} corrections of this machine still wait, since {left.oldest_at}: {why}"
        )
    return left.pending


def outbox(
    flush: Annotated[bool, typer.Option("--flush", help="Try to send everything now.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON instead of a sentence.")
    ] = False,
) -> None:
    """Show the corrections on this machine that are not in S3 yet, and why.

    Examples: `medloop outbox`, `medloop outbox --flush`
    """
    from dataclasses import asdict

    from medloop.wiring import connect

    context = connect()
    if flush:
        sent = context.sender.send_once()
        say(f"{sent.sent} sent", err=True)
    status = context.outbox.status()
    if as_json:
        typer.echo(json.dumps(asdict(status)))
    elif status.pending:
        reason = f": {status.last_error}" if status.last_error else ""
        say(f"{status.pending} wait since {status.oldest_at}{reason}")
    else:
        say("nothing waits: every correction made on this machine is in S3")
    if flush and status.pending:
        raise typer.Exit(1)


def erase(
    image: Annotated[str, typer.Argument(help="The image's hash, or a file that shows it.")],
    why: Why = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Erase an image for good: its object, its pixels in snapshots and on this machine.

    A tombstone stays, so that it is never stored or learned from again. Models that learned from it
    are named, also those that only started from such a model: `medloop snapshot`, `medloop train
    --from-scratch`, `medloop evaluate` and `medloop promote` put one in their place that never saw
    it. Acceptance sets and imported data sets that hold it are named, too, and stay as they are:
    they are yours to change.

    Examples: `medloop erase scan.dcm --why "patient's wish"`, `medloop erase 3f2a… --yes`
    """
    from medloop.jobs.erase import erase as run
    from medloop.wiring import connect

    image_sha256, pixels = _shown(image)
    if not yes:
        typer.confirm(f"Erase image {image_sha256[:HASH_SHOWN]}… for good?", abort=True, err=True)
    context = connect()
    done = run(
        context, image_sha256=image_sha256, who=context.settings.user, why=why, pixels=pixels
    )
    for line in _left(done, context.settings):
        say(line)
    if done.learned.unknown:
        say(
            f"there may be more model versions that learned from it: {done.learned.unknown}",
            err=True,
        )


def _left(done: Erased, settings: Settings) -> Iterator[str]:
    """Say what is gone, what is left of the image, and what to do about that."""
    from medloop.stores.acceptance_sets import set_key

    yield f"image {done.image_sha256} " + (
        "is erased" if done.was_stored else "was not stored, and never will be"
    )
    if done.shards:
        yield f"its pixels were taken out of {len(done.shards)} snapshot shards"
    for name, set_id in done.acceptance_sets:
        yield (
            f"acceptance set {name} still holds it: `medloop acceptance add {name} PATH` with "
            "images that leave it out, then `aws s3 rm "
            f"s3://{settings.s3_bucket}/{set_key(name, set_id)}`"
        )
    for dataset_id in done.datasets:
        yield (
            f"data set {dataset_id} still holds it: `medloop data import PATH` and `medloop data "
            "use ID` with one that leaves it out, then "
            f"`rm {settings.home}/datasets/{dataset_id}.*` on each machine and "
            f"`aws s3 rm --recursive s3://{settings.s3_bucket}/datasets/{dataset_id}/`"
        )
    if not done.searched:
        yield (
            "acceptance sets and data sets could not be searched well: do it again with a file "
            "that shows the image"
        )
    if done.learned.versions:
        yield f"model versions that may have learned from it: {', '.join(done.learned.versions)}"
    if done.learned.heirs:
        heirs = ", ".join(
            f"{version} (through version {through})" for version, through in done.learned.heirs
        )
        yield f"model versions that started from the weights of one of these: {heirs}"
    if done.learned.versions or done.learned.heirs:
        yield "for one that never saw it: `medloop snapshot`, then `medloop train --from-scratch`"


def list_waiting(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    limit: Annotated[int, typer.Option(help="Show so many at most.", min=1)] = 50,
) -> None:
    """List what waits for a reviewer, the oldest first, with the reasons and people's remarks.

    Examples: `medloop review list`, `medloop review list --json --limit 1000`
    """
    from medloop.jobs.review import queue
    from medloop.wiring import connect

    context = connect()
    waiting = queue(context, who=context.settings.user)
    if as_json:
        for item in waiting[:limit]:
            typer.echo(json.dumps(_as_json(item)))
        return
    if not waiting:
        say("nothing waits for a reviewer")
        return
    _show(waiting[:limit])
    if len(waiting) > limit:
        say(f"… and {len(waiting) - limit} more", err=True)


def approve(images: Image, why: Why = "") -> None:
    """Accept what was said of these images.

    Examples: `medloop review approve 3f2a91c07d4e`, `medloop review approve 3f2a91c07d4e
        b81d03a6ff25`
    """
    _decide(images, "approve", None, why)


def reject(images: Image, why: Why = "") -> None:
    """Leave these images out of training.

    Example: `medloop review reject 3f2a91c07d4e --why blurred`
    """
    _decide(images, "reject", None, why)


def relabel(
    images: Image,
    label: Annotated[
        str, typer.Option(help=f"The right class, or `{none_of_these.WORD}`: none of the classes.")
    ],
    why: Why = "",
) -> None:
    """Give these images the right class, whatever was said of them.

    Example: `medloop review relabel 3f2a91c07d4e --label Hand`
    """
    _decide(images, "relabel", none_of_these.parse(label), why)


def people(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Show how often each person was right, by reviewers and honeypots, least reliable first.

    Example: `medloop review people`
    """
    from dataclasses import asdict

    from medloop.jobs.review import people as everybody
    from medloop.wiring import connect

    found = everybody(connect())
    if as_json:
        for person in found:
            typer.echo(json.dumps(asdict(person)))
        return
    rows = []
    for person in found:
        share = f"{person.at_least:.0%}" if person.judged else "–"
        counts = (str(person.answers), str(person.judged), str(person.right))
        rows.append((person.who, *counts, share))
    show_table(("who", "answers", "judged", "right", "right at least"), rows)


def _decide(images: list[str], verdict: Verdict, label: str | None, why: str) -> None:
    from medloop.jobs.review import queue, review
    from medloop.wiring import connect

    context = connect()
    waiting = queue(context, who=context.settings.user)
    chosen = {item.image_sha256: item for item in (_only(waiting, image) for image in images)}
    receipts = review(
        context,
        items=chosen.values(),
        verdict=verdict,
        who=context.settings.user,
        label=label,
        why=why,
    )
    sent = context.sender.send_once()
    say(
        f"{len(receipts)} decided"
        + (f"; saved here, and stored later: {sent.reason}" if sent.reason else "")
    )


def _only(waiting: list[Waiting], image: str) -> Waiting:
    from medloop.errors import NotFoundError

    found = [item for item in waiting if item.image_sha256.startswith(image.lower())]
    if len(image) < HASH_SHOWN or len(found) != 1:
        raise NotFoundError(f"no image that waits begins with {image!r}: see `medloop review list`")
    return found[0]


def _shown(image: str) -> tuple[str, np.ndarray | None]:
    """Read the hash of the image that is named; for a file also its pixels as models see them."""
    from medloop.core.corrections.events import SHA256
    from medloop.core.imaging.decode import decode
    from medloop.core.imaging.preprocess import preprocess
    from medloop.errors import NotFoundError

    if SHA256.fullmatch(image.lower()):
        return image.lower(), None
    path = Path(image)
    if not path.is_file():
        raise NotFoundError(f"{image!r} is neither a file nor the 64 digits of an image's hash")
    decoded = decode(path.read_bytes())
    return decoded.sha256, preprocess(decoded.pixels)


def _as_json(item: Waiting) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "image_sha256": item.image_sha256,
        "status": item.decision.state.status,
        "reasons": list(item.decision.reasons),
        "corrections": [asdict(correction) for correction in item.corrections],
    }


def _show(waiting: list[Waiting]) -> None:
    remarks = any(correction.note for item in waiting for correction in item.corrections)
    rows = []
    for item in waiting:
        last = item.corrections[-1]
        answers = item.decision.state.answers
        row = (
            item.image_sha256[:HASH_SHOWN],
            last.at[:16],
            ", ".join(f"{none_of_these.describe(label)} ({who[:8]})" for who, label in answers),
            f"{last.predicted_label or '–'} {last.confidence or 0:.0%}",
            "; ".join(item.decision.reasons),
            "; ".join(correction.note for correction in item.corrections if correction.note),
        )
        rows.append(row if remarks else row[:-1])
    headings = ("image", "since", "said", "predicted", "reasons", "remarks")
    show_table(headings if remarks else headings[:-1], rows)
