"""`medloop snapshot`, `outbox`, `review` and `erase`: what becomes of corrections."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medloop.cli import completion
from medloop.cli.correct import find_label
from medloop.cli.terminal import (
    AsJson,
    progress_bar,
    remark,
    say,
    say_json,
    shorten,
    show_table,
    warn,
)
from medloop.core import none_of_these

if TYPE_CHECKING:
    import numpy as np

    from medloop.core.corrections.correction_policy import Waiting
    from medloop.jobs.context import Context
    from medloop.jobs.erase import Erased
    from medloop.jobs.review import Verdict
    from medloop.settings import Settings

HASH_SHOWN = 12  # digits of an image's hash in tables; commands accept that many

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
            "--full", help="Begin anew: this repairs a damaged snapshot, or one with wrong content."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Screen new corrections, put all corrections into a snapshot, and print its id.

    Corrections that wait on this machine are sent first. The time needed depends on how many are
    new: older ones are read only if they are about the same images. Corrections that arrive
    meanwhile go into the next snapshot. Without new corrections, the snapshot stays the same.

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
        say_json({**asdict(taken), "flagged": flagged, "waiting": waiting})
        return
    say(taken.snapshot_id)
    flags = f"; {flagged} new ones look wrong: see `medloop review list`" if flagged else ""
    remark(f"{taken.reason}{flags}")


def send_first(context: Context) -> int:
    """Send the corrections of this machine; warn of those that still wait, and count them."""
    from medloop.errors import StoreError

    try:
        if context.outbox.status().pending:
            context.sender.send_once()
        left = context.outbox.status()
    except StoreError as error:  # those in S3 are used all the same
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
    as_json: AsJson = False,
) -> None:
    """Show how many corrections on this machine are not in S3 yet, and why.

    With `--flush`, the exit code is 1 if some still wait.

    Examples: `medloop outbox`, `medloop outbox --flush`
    """
    from dataclasses import asdict

    from medloop.wiring import connect

    context = connect()
    if flush:
        sent = context.sender.send_once()
        remark(f"{sent.sent} sent.")
    status = context.outbox.status()
    if as_json:
        say_json(asdict(status))
    elif status.pending:
        reason = f": {status.last_error}" if status.last_error else "."
        say(f"{status.pending} wait since {status.oldest_at}{reason}")
    else:
        say("Nothing waits: every correction made on this machine is in S3.")
    if flush and status.pending:
        raise typer.Exit(1)


def erase(
    image: Annotated[str, typer.Argument(help="The image's hash, or a file that shows it.")],
    why: Why = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase an image for good: its object in S3, and its pixels in snapshots and on this machine.

    A record of its hash stays, so that the image is never stored or learned from again. The command
    names the model versions that learned from it, and those that started from such a version. To
    replace them by one that never saw the image, run `medloop snapshot`, `medloop train
    --from-scratch`, `medloop evaluate` and `medloop promote`. It also names the acceptance sets and
    imported data sets that hold the image. Those stay as they are, because they are yours to
    change.

    Examples: `medloop erase scan.dcm --why "patient's wish"`, `medloop erase 3f2a… --yes`
    """
    from dataclasses import asdict

    from medloop.jobs.erase import erase as run
    from medloop.wiring import connect

    image_sha256, pixels = _shown(image)
    if not yes:
        typer.confirm(f"Erase image {image_sha256[:HASH_SHOWN]}… for good?", abort=True, err=True)
    context = connect()
    done = run(
        context, image_sha256=image_sha256, who=context.settings.user, why=why, pixels=pixels
    )
    if as_json:
        say_json(asdict(done))
        return
    for line in _left(done, context.settings):
        say(line)
    if done.learned.unknown:
        warn(f"there may be more model versions that learned from it: {done.learned.unknown}")


def _left(done: Erased, settings: Settings) -> Iterator[str]:
    """Say what was erased, where the image still is, and what to do about that."""
    from medloop.stores.acceptance_sets import set_key

    stored = "is erased" if done.was_stored else "was not stored, and never will be"
    yield f"Image {done.image_sha256} {stored}."
    if done.shards:
        yield f"Its pixels were taken out of {len(done.shards)} snapshot shards."
    bucket = f"s3://{settings.s3_bucket}"
    for name, set_id in done.acceptance_sets:
        yield (
            f"Acceptance set {name} still holds it: run `medloop acceptance add {name} PATH` with "
            f"images that leave it out, then `aws s3 rm {bucket}/{set_key(name, set_id)}`."
        )
    for dataset_id in done.datasets:
        yield (
            f"Data set {dataset_id} still holds it: run `medloop data import PATH` and `medloop "
            "data use ID` with a set that leaves it out, then "
            f"`rm {settings.home}/datasets/{dataset_id}.*` on each machine and "
            f"`aws s3 rm --recursive {bucket}/datasets/{dataset_id}/`."
        )
    if not done.searched:
        yield (
            "Acceptance sets and data sets were searched by the hash alone, which finds few: "
            "do it again with a file that shows the image."
        )
    if done.learned.versions:
        yield f"Model versions that may have learned from it: {', '.join(done.learned.versions)}."
    if done.learned.heirs:
        heirs = [f"{version} (from version {start})" for version, start in done.learned.heirs]
        yield f"Model versions that started from the weights of one of these: {', '.join(heirs)}."
    if done.learned.versions or done.learned.heirs:
        yield (
            "For a version that never saw it: `medloop snapshot`, then `medloop train "
            "--from-scratch`."
        )


def list_waiting(
    as_json: AsJson = False,
    limit: Annotated[int, typer.Option(help="Max number of images shown.", min=1)] = 50,
) -> None:
    """List the images that wait for a reviewer, oldest first, with the reasons and remarks.

    Examples: `medloop review list`, `medloop review list --json --limit 1000`
    """
    from medloop.jobs.review import queue
    from medloop.wiring import connect

    context = connect()
    waiting = queue(context, who=context.settings.user)
    if as_json:
        say_json([_as_record(item) for item in waiting[:limit]])
        return
    if not waiting:
        say("Nothing waits for a reviewer.")
        return
    _show(waiting[:limit])
    if len(waiting) > limit:
        remark(f"… and {len(waiting) - limit} more: `--limit {len(waiting)}` shows all.")


def approve(images: Image, why: Why = "", as_json: AsJson = False) -> None:
    """Accept the corrections of these images.

    Example: `medloop review approve 3f2a91c07d4e b81d03a6ff25`
    """
    _decide(images, "approve", None, why, as_json)


def reject(images: Image, why: Why = "", as_json: AsJson = False) -> None:
    """Leave these images out of training.

    Example: `medloop review reject 3f2a91c07d4e --why blurred`
    """
    _decide(images, "reject", None, why, as_json)


def relabel(
    images: Image,
    label: Annotated[
        str,
        typer.Option(
            help=f"The right class, or `{none_of_these.WORD}` for none of the classes.",
            autocompletion=completion.classes,
        ),
    ],
    why: Why = "",
    as_json: AsJson = False,
) -> None:
    """Give these images the right class, whatever people said of them.

    Example: `medloop review relabel 3f2a91c07d4e --label Hand`
    """
    _decide(images, "relabel", label, why, as_json)


def people(
    as_json: AsJson = False,
) -> None:
    """Show how often each person was right, as judged by reviewers and honeypots.

    The least reliable person comes first.

    Example: `medloop review people`
    """
    from dataclasses import asdict

    from medloop.jobs.review import people as everybody
    from medloop.wiring import connect

    found = everybody(connect())
    if as_json:
        say_json([asdict(person) for person in found])
        return
    rows = []
    for person in found:
        share = f"{person.at_least:.0%}" if person.judged else "–"
        counts = (str(person.answers), str(person.judged), str(person.right))
        rows.append((person.who, *counts, share))
    numbers = ("Answers", "Judged", "Right", "Right at least")
    show_table(("Who", *numbers), rows, numbers=numbers)


def _decide(
    images: list[str], verdict: Verdict, label: str | None, why: str, as_json: bool
) -> None:
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
        label=None if label is None else find_label(context, label),
        why=why,
    )
    later = context.sender.send_once().reason
    if as_json:
        say_json({"decided": len(receipts), "images": list(chosen), "stored_later": later})
    else:
        say(f"{len(receipts)} decided" + (f"; saved here, stored later: {later}" if later else "."))


def _only(waiting: list[Waiting], image: str) -> Waiting:
    from medloop.errors import NotFoundError

    found = [item for item in waiting if item.image_sha256.startswith(image.lower())]
    if len(image) < HASH_SHOWN or len(found) != 1:
        raise NotFoundError(
            f"No waiting image has a hash that begins with {image!r}: see `medloop review list`."
        )
    return found[0]


def _shown(image: str) -> tuple[str, np.ndarray | None]:
    """Return the hash of the image; if a file is named, also the pixels as models see them."""
    from medloop.core.corrections.events import SHA256
    from medloop.core.imaging.decode import decode
    from medloop.core.imaging.preprocess import preprocess
    from medloop.errors import NotFoundError

    if SHA256.fullmatch(image.lower()):
        return image.lower(), None
    path = Path(image)
    if not path.is_file():
        raise NotFoundError(f"{image!r} is neither a file nor the 64 digits of an image's hash.")
    decoded = decode(path.read_bytes())
    return decoded.sha256, preprocess(decoded.pixels)


def _as_record(item: Waiting) -> dict[str, Any]:
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
            shorten(item.image_sha256, HASH_SHOWN),
            last.at[:16],
            ", ".join(
                f"{none_of_these.describe(label)} ({shorten(who, 8)})" for who, label in answers
            ),
            f"{last.predicted_label or '–'} {last.confidence or 0:.0%}",
            "; ".join(item.decision.reasons),
            "; ".join(correction.note for correction in item.corrections if correction.note),
        )
        rows.append(row if remarks else row[:-1])
    headings = ("Image", "Since", "Said", "Predicted", "Reasons", "Remarks")
    show_table(headings if remarks else headings[:-1], rows)
