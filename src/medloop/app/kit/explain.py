"""Why the model answered so: heat map, familiarity, most similar labelled pictures. Widgets."""

from __future__ import annotations

import numpy as np
import streamlit as st

from medloop.app.kit.escape_markdown import plain
from medloop.app.kit.pictures import overlay_png
from medloop.app.kit.wording import class_name, familiarity, percent, unfamiliarity
from medloop.app.kit.workbench import UploadedPicture
from medloop.app.process.backend import Backend
from medloop.core.prediction.similar_images import LabelledImages, build_reference, neighbours
from medloop.serving import Served

NEIGHBOUR_WIDTH = 112  # pixels; the labelled pictures have 64


def explanation(back: Backend, picture: UploadedPicture, served: Served, *, preview: bytes) -> None:
    """Draw an expander that costs nothing until it is opened; `preview` is the picture as PNG."""
    box = st.expander(
        "Why this answer?", icon=":material/psychology:", key="why", on_change="rerun"
    )
    if not box.open:
        return
    with box:
        _heat_map(picture, preview)
        limit = served.predictor.metadata.ood_threshold
        number = unfamiliarity(ood_score=picture.prediction.ood_score, limit=limit)
        st.markdown(familiarity(picture.prediction), help=number)
        most_alike(back, served, small=picture.small, embedding=picture.prediction.embedding)


def _heat_map(picture: UploadedPicture, preview: bytes) -> None:
    if picture.prediction.cam is None:
        return
    strength = st.slider(
        "Heat map",
        0,
        100,
        60,
        format="%d %%",
        key="heat",
        help="Bright: what speaks for this class, by place.",
    )
    overlay = overlay_png(preview, picture.prediction.cam, strength=strength / 100)
    name = class_name(picture.prediction.label)
    st.image(overlay, width=320, alt=f"Heat map: bright where the picture speaks for {name}")


def most_alike(back: Backend, served: Served, *, small: np.ndarray, embedding: np.ndarray) -> None:
    """Show the labelled pictures nearest to one, with their classes.

    `small` is the picture as the model sees it, uint8 [64, 64]; the served version made the
    embedding float32 [D] of it.

    Raises:
        MedloopError: The base data set cannot be read.
    """
    st.markdown("**Most alike among the labelled pictures**")
    found = neighbours(_reference(served.version, served, back), small, embedding)
    st.image(
        [neighbour.pixels for neighbour in found],
        width=NEIGHBOUR_WIDTH,
        caption=[
            f"{plain(class_name(n.label))}, {percent(max(n.similarity, 0))} alike" for n in found
        ],
        alt=[f"Labelled picture of class {class_name(n.label)}" for n in found],
    )


@st.cache_resource(max_entries=2, show_spinner="Looking through the labelled pictures …")
def _reference(version: str, _served: Served, _back: Backend) -> LabelledImages:
    """Build it per model version, the cache's key."""
    return build_reference(
        _served.predictor, _back.context.datasets.get(_back.settings.base_dataset)
    )
