"""An evaluation: champion, challenger and reference on the same held-out images.

The same comparison is not made twice. Moves the alias `challenger` only.
"""

from __future__ import annotations

import math
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from medloop.core import none_of_these
from medloop.core.corrections.holdout import twin_groups
from medloop.core.data.training_set import TrainingSet
from medloop.core.gate.decision import Decision
from medloop.core.gate.evaluation import (
    Answers,
    Scores,
    answer,
    corrupted,
    golden_error,
    latency_ms,
    score,
)
from medloop.core.gate.implants import strongest
from medloop.core.gate.model_card import model_card
from medloop.core.gate.plots import report_plots
from medloop.core.gate.report import GateReport, flat_metrics, scores_dict
from medloop.core.gate.rules import (
    BASE,
    CORRUPTED,
    KNOWN,
    UNKNOWN,
    CalibrationScores,
    Evidence,
    Implant,
    Infrastructure,
    Paired,
    decide,
)
from medloop.core.gate.words import reasons, summary
from medloop.core.prediction.model_contract import load_checked
from medloop.core.prediction.predictor import Predictor
from medloop.errors import ModelError, NotFoundError
from medloop.jobs.alias_moves import move_alias
from medloop.jobs.comparison import comparison_key
from medloop.jobs.context import Context
from medloop.jobs.recent_pictures import compare_recent
from medloop.jobs.training_data import acceptance_sets, gather_again
from medloop.jobs.training_record import (
    CARD_FILE,
    Recipe,
    read_golden,
    read_origin,
    read_recipe,
    recorded_report,
)
from medloop.progress import Progress, silent
from medloop.stores.datasets import split_alike
from medloop.stores.registry import CHALLENGER, CHAMPION, REFERENCE, REPORT_FILE, ModelVersion
from medloop.stores.version_tags import VersionTags

if TYPE_CHECKING:
    from medloop.stores.acceptance_sets import AcceptanceSet

GOLDEN_TOLERANCE: Final = 1e-3  # of a probability; another machine's arithmetic stays far below
N_UNKNOWN: Final = 4000  # independent of each other: they tell 30 % more errors from chance
UNKNOWN_SEED: Final = 1 << 64  # no training's, which are smaller: the gate has its own images
Rights = dict[str, Any]  # bool [N] per role, as `Paired` names them
CONTENT_TYPES: Final = {".md": "text/markdown; charset=utf-8", ".png": "image/png"}


def evaluate(context: Context, *, version: str, progress: Progress = silent) -> GateReport:
    """Put a version before the gate, and keep the report with its run and in S3.

    Raises:
        NotFoundError: There is no such version, or no champion to compare with.
    """
    challenger = context.registry.get(version)
    champion = context.registry.version_of(CHAMPION)
    if champion is None:
        raise NotFoundError(
            "there is no champion to compare with: `medloop bootstrap` installs a first one"
        )
    reference = context.registry.version_of(REFERENCE)
    sets = acceptance_sets(context)
    key = comparison_key(version, champion=champion, reference=reference, sets=sets)
    recorded = recorded_report(context, challenger)
    if recorded and (recorded.key == key or champion == version):
        return recorded  # champion already: what it was promoted on stands
    progress(0.05, "fetching data")
    recipe = read_recipe(context, challenger)
    compared = [challenger, *(context.registry.get(v) for v in (champion, reference) if v)]
    training_set = _fair(context, _gather_tests(context, recipe, sets), compared)
    progress(0.15, "loading models")
    old = {"champion": champion, "reference": reference}
    scores: dict[str, Scores] = {}
    recent = None
    models = {role: Predictor(context.registry.model_file(v)) for role, v in old.items() if v}
    try:
        models["challenger"] = load_checked(context.registry.model_file(version))
    except (ModelError, NotFoundError) as error:
        decision = decide(_no_answers(str(error)))
    else:
        decision, scores = _judge(context, challenger, models, training_set, sets, progress)
        recent = compare_recent(context, models["champion"], models["challenger"])
    found = GateReport(
        key=key,
        version=version,
        champion_version=champion,
        reference_version=reference,
        snapshot_id=recipe.snapshot_id,
        base_id=training_set.base.id,
        at=context.new_event()[1],
        decision=decision,
        scores={role: scores_dict(item) for role, item in scores.items()},
        recent=recent,
    )
    progress(0.9, "keeping the report")
    _keep(context, challenger, found)
    return found


def _gather_tests(context: Context, recipe: Recipe, sets: Sequence[AcceptanceSet]) -> TrainingSet:
    """Gather what the version learned from, with the largest base test that is as fair."""
    base_id = context.datasets.largest_alike(recipe.base_id)
    return gather_again(context, replace(recipe, base_id=base_id), kept_out=sets)


def _fair(
    context: Context, training_set: TrainingSet, versions: Sequence[ModelVersion]
) -> TrainingSet:
    """Leave out test images that a model or its forebears saw in another base data set."""
    bases = set[str]().union(*(_bases(context, version) for version in versions))
    for base_id in sorted(bases - split_alike(training_set.base.id)):
        other = context.datasets.get(base_id)
        seen = other.images[other.split().train]
        training_set = training_set.without_seen(seen)
    return training_set


def _bases(context: Context, version: ModelVersion) -> set[str]:
    """List the base data sets that a version and those it started from were trained on."""
    found = {version.tags.base_id}
    while version.tags.parent_version:
        try:
            version = context.registry.get(version.tags.parent_version)
        except NotFoundError:  # deleted since
            break
        found.add(version.tags.base_id)
    return found


def _no_answers(load_error: str) -> Evidence:
    nothing = Paired(BASE, *(np.zeros(0, dtype=bool),) * 2, np.zeros(0, np.int64))
    facts = Infrastructure(load_error, (), (), math.inf, 0.0, math.inf, 0.0)
    return Evidence(infrastructure=facts, base=nothing, calibration=None)


def _judge(
    context: Context,
    challenger: ModelVersion,
    models: Mapping[str, Predictor],
    training_set: TrainingSet,
    sets: Sequence[AcceptanceSet],
    progress: Progress,
) -> tuple[Decision, dict[str, Scores]]:
    bench = _Bench(models, training_set)
    progress(0.2, "base test images")
    answers, base, sure = bench.base()
    classes = base_classes(training_set)
    scores = {role: score(item, classes, training_set.labels) for role, item in answers.items()}
    progress(0.5, "corrupted and unknown images")
    worsened, sure_of_worsened = bench.corrupted()
    progress(0.8, "corrections and acceptance sets")
    evidence = Evidence(
        infrastructure=_infrastructure(context, challenger, models, training_set),
        base=base,
        calibration=_calibration(scores),
        corrections=bench.corrections(),
        slices=(worsened, *bench.known_and_unknown(answers)),
        confident=(sure, sure_of_worsened),
        acceptance=tuple(bench.acceptance(item) for item in sets),
        implant=bench.implant(),
    )
    return decide(evidence), scores


def _calibration(scores: Mapping[str, Scores]) -> CalibrationScores:
    """Gather what each model scored; not a number without a reference."""
    return CalibrationScores(
        **{
            f"{role}_{name}": getattr(scores.get(role), name, math.nan)
            for role in ("challenger", "champion", "reference")
            for name in ("ece", "confident_errors")
        }
    )


def base_classes(training_set: TrainingSet) -> np.ndarray:
    """List the true classes of the base test images that count: str [N]."""
    targets = training_set.base_targets[training_set.scored_test()]
    return np.asarray(np.array(training_set.labels)[targets])


class _Bench:
    """The same images put before every model."""

    def __init__(self, predictors: Mapping[str, Predictor], training_set: TrainingSet) -> None:
        self._predictors = predictors
        self._set = training_set
        test = training_set.scored_test()
        self._images = training_set.base.images[test]
        self._groups = training_set.base.groups[test]
        self._classes = base_classes(training_set)

    def base(self) -> tuple[dict[str, Answers], Paired, Paired]:
        """Ask about the base test images: answers by role, who was right, who was sure of it."""
        answers = self._ask(self._images)
        right: Rights = {role: item.right(self._classes) for role, item in answers.items()}
        sure: Rights = {role: right[role] & item.confident for role, item in answers.items()}
        groups, classes = self._groups, self._classes
        return (
            answers,
            Paired(BASE, groups=groups, classes=classes, **right),
            Paired(BASE, groups=groups, **sure),
        )

    def corrupted(self) -> tuple[Paired, Paired]:
        """Ask about corrupted images: who was right, and who was right and "confident"."""
        images, origin = corrupted(self._images)
        answers, groups = self._ask(images), self._groups[origin]
        right: Rights = {role: item.right(self._classes[origin]) for role, item in answers.items()}
        sure: Rights = {role: right[role] & item.confident for role, item in answers.items()}
        return Paired(CORRUPTED, groups=groups, **right), Paired(CORRUPTED, groups=groups, **sure)

    def known_and_unknown(self, known: Mapping[str, Answers]) -> tuple[Paired, Paired]:
        """Ask about images of nothing that the model knows, beside those that are kept as known."""
        from medloop.core.learn.negatives import unknown_images

        images = unknown_images(N_UNKNOWN, seed=UNKNOWN_SEED)
        kept: Rights = {role: ~item.unknown for role, item in known.items()}
        out: Rights = {role: item.unknown for role, item in self._ask(images).items()}
        alone = np.arange(len(images))
        return Paired(KNOWN, groups=self._groups, **kept), Paired(UNKNOWN, groups=alone, **out)

    def corrections(self) -> Paired | None:
        """Ask about held-out corrections; None while there are none."""
        held_out = np.array([use == "held out" for use in self._set.uses], dtype=bool)
        if not held_out.any():
            return None
        labels = self._set.corrections.labels
        given = np.array([none_of_these.CLASS if label is None else label for label in labels])
        images = self._set.corrections.images[held_out]
        useful = self._useful(images, given[held_out])
        return Paired("held-out corrections", groups=twin_groups(images), **useful)

    def implant(self) -> Implant | None:
        """Look for a part of the corrections learned that turns test images into their class."""
        trained = self._set.trained
        labels = np.array(self._set.corrections.labels, dtype=object)
        return strongest(
            self._predictors["challenger"],
            self._predictors["champion"],
            corrections=self._set.corrections.images[trained],
            labels=labels[trained],
            tests=self._images,
            classes=self._classes,
        )

    def acceptance(self, item: AcceptanceSet) -> Paired:
        """Ask about a site's own images."""
        useful = self._useful(item.images, item.classes)
        return Paired(item.name, groups=item.groups, floor=item.floor, **useful)

    def _useful(self, images: np.ndarray, classes: np.ndarray) -> Rights:
        return {role: item.useful(classes) for role, item in self._ask(images).items()}

    def _ask(self, images: np.ndarray) -> dict[str, Answers]:
        return {role: answer(predictor, images) for role, predictor in self._predictors.items()}


def _infrastructure(
    context: Context,
    challenger: ModelVersion,
    predictors: Mapping[str, Predictor],
    training_set: TrainingSet,
) -> Infrastructure:
    new, old = predictors["challenger"], predictors["champion"]
    ours, theirs = latency_ms([new, old], training_set.base.images[0], clock=time.perf_counter)
    return Infrastructure(
        load_error="",
        champion_labels=old.metadata.labels,
        challenger_labels=new.metadata.labels,
        golden_error=_golden_error(context, challenger, new),
        golden_tolerance=GOLDEN_TOLERANCE,
        challenger_ms=ours,
        champion_ms=theirs,
    )


def _golden_error(context: Context, challenger: ModelVersion, predictor: Predictor) -> float:
    """Measure the golden error; infinite if the recorded answers are gone or can't be read."""
    try:
        return golden_error(predictor, *read_golden(context, challenger))
    except (NotFoundError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return math.inf


def _keep(context: Context, challenger: ModelVersion, found: GateReport) -> None:
    """Keep report, plots and card with the run and in S3, and the verdict on the version."""
    raw = found.to_json()
    files = {CARD_FILE: model_card(read_origin(context, challenger), found).encode()}
    if found.scores:
        files |= {f"plots/{name}": png for name, png in report_plots(found).items()}
        metrics = [flat_metrics(role, scores) for role, scores in found.scores.items()]
        context.registry.log_metrics(
            challenger.run_id, {name: x for part in metrics for name, x in part.items()}
        )
    place = f"reports/{context.registry.model}/version={found.version}/{found.key}"
    for name, data in files.items():
        context.objects.ensure(
            f"{place}/{name}", data, content_type=CONTENT_TYPES[PurePosixPath(name).suffix]
        )
    context.objects.ensure(f"{place}.json", raw, content_type="application/json")
    context.registry.attach(challenger.run_id, {**files, REPORT_FILE: raw})
    scores = found.scores["challenger"] if found.scores else {}
    verdict = VersionTags(
        gate="yes" if found.passed else "no",
        gate_reasons=reasons(found),
        gate_champion=found.champion_version,
        accuracy=scores.get("accuracy"),
        balanced_accuracy=scores.get("balanced_accuracy"),
    )
    context.registry.set_tags(challenger.version, verdict)
    _name_challenger(context, challenger, found)


def _name_challenger(context: Context, challenger: ModelVersion, found: GateReport) -> None:
    aliased = context.registry.version_of(CHALLENGER)
    if challenger.version not in (found.champion_version, aliased):
        move_alias(
            context,
            None,
            alias=CHALLENGER,
            action="judge",
            from_version=aliased,
            to=challenger,
            by="medloop evaluate",
            reason=summary(found),
            report=found,
        )
