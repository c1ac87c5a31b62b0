"""Classify with DICOM files (slices, windows, tags), and why an answer came about."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
from pydicom.uid import JPEGLSLossless
from streamlit.testing.v1 import AppTest
from tests.app.apptest import button, give, texts
from tests.app.models import picture
from tests.app.scans import ct_stack
from tests.hostile.corpus import volume

from medloop.core.imaging.decode import encode_png

pytestmark = pytest.mark.filterwarnings("ignore:::pydicom.*")


@pytest.fixture
def app(site, run_page) -> AppTest:
    return run_page("classify")


def upload(app: AppTest, name: str, data: bytes) -> AppTest:
    return give(app, [(name, data, "application/octet-stream")])


def pictures_shown(app: AppTest) -> list[str]:
    """What screen readers are told of each picture."""
    return [image.alt for element in app.get("image") for image in element.proto.imgs]


def test_a_scan_has_slices_windows_and_technical_tags_alone(app):
    upload(app, "scan", ct_stack((50, 120, 200)))
    assert "Chest CT" in texts(app)
    (slices,) = app.slider
    assert (slices.label, slices.min, slices.max, slices.value) == ("Slice", 1, 3, 2)
    (window,) = app.segmented_control
    assert window.options == ["As the file says", "Brain", "Soft tissue", "Liver", "Lung", "Bone"]
    (tags,) = [
        element.proto.body for element in app.get("html") if "Modality" in element.proto.body
    ]
    assert "<td>CT</td>" in tags
    assert "Doe" not in texts(app)
    assert "4711" not in texts(app)
    assert not app.warning


def test_a_tag_that_contradicts_is_told(app):
    upload(app, "scan", ct_stack((120,), modality="PT", part="KNEE"))
    assert "The file's tag Modality says PT, the picture looks like Chest CT." in texts(app)
    assert "The file's tag BodyPartExamined says KNEE" in texts(app)
    assert "Probably Chest CT (100 %), but the file's own tags say otherwise." in texts(app)


def test_an_unknown_picture_contradicts_no_tag(app):
    upload(app, "scan", ct_stack((255,), modality="PT", part="KNEE"))
    assert "None of the known classes?" in texts(app)
    assert not app.warning


def test_another_slice_is_classified_and_the_answer_to_the_first_can_still_be_undone(app, site):
    upload(app, "scan", ct_stack((50, 120, 200)))
    button(app, "class-Hand-").click().run()
    app.slider[0].set_value(1).run()
    assert "Chest X-ray" in texts(app)
    assert "scan is Hand." in texts(app)
    button(app, "undo").click().run()
    assert site.context.outbox.history("ada", 1)[0].event.action == "withdraw"
    assert "scan is Hand." not in texts(app)


def test_another_window_is_another_picture(app):
    upload(app, "scan", ct_stack((50, 120, 200)))
    app.segmented_control[0].set_value("Bone").run()
    assert not app.exception
    assert "Chest X-ray" in texts(app), "level 120 is dark in the window for bones"


def test_a_volume_is_shown_by_its_largest_face_or_as_it_is_stored(app):
    stack = np.broadcast_to(picture(120, seed=0)[:20], (80, 20, 64))
    upload(app, "scan", volume(stack, Modality="CT"))
    plane, _window = app.segmented_control
    assert (plane.label, plane.options, plane.value) == (
        "Plane",
        ["Largest face", "As stored"],
        "Largest face",
    )
    assert not app.slider
    assert "80 × 64 pixels" in texts(app)
    plane.set_value("As stored").run()
    (slices,) = app.slider
    assert (slices.label, slices.max, slices.value) == ("Slice", 80, 41)
    assert "64 × 20 pixels" in texts(app)
    slices.set_value(3).run()
    assert app.segmented_control[0].value == "As stored"
    app.segmented_control[0].set_value("Largest face").run()
    assert not app.slider
    assert "64 × 20 pixels" not in texts(app)
    assert not app.exception
    button(app, "class-Hand-").click().run()
    assert "scan is Hand." in texts(app)


def test_a_volume_that_takes_too_long_to_cut_says_so(app, monkeypatch):
    monkeypatch.setattr("medloop.core.imaging.dicom_frames.MAX_EFFORT", 1)
    stack = np.broadcast_to(picture(120, seed=0)[:20], (80, 20, 64))
    stream = imagecodecs.jpegls_encode(np.ascontiguousarray(stack[0]))
    upload(app, "scan", volume(stack, Modality="CT", syntax=JPEGLSLossless, streams=[stream] * 80))
    (note,) = app.warning
    assert "the middle one is shown as it is stored." in note.value
    assert app.slider[0].value == 41


def test_why_an_answer_came_about_is_shown_when_asked(app):
    upload(app, "a.png", encode_png(picture(255)))
    (alone,) = pictures_shown(app)
    app.session_state["why"] = True
    app.run()
    (strength,) = app.slider
    assert (strength.label, strength.value) == ("Heat map", 60)
    assert "The picture has little in common with those that the model learned from." in texts(app)
    assert "Most alike among the labelled pictures" in texts(app)
    shown, heat_map, *neighbours = pictures_shown(app)
    assert shown == alone
    assert heat_map == "Heat map: bright where the picture speaks for Hand"
    assert len(neighbours) == 5
    assert all(alt.startswith("Labelled picture of class ") for alt in neighbours)
    strength.set_value(0).run()
    assert not app.exception
