"""Classify with DICOM files (slices, windows, tags), and why an answer came about."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest
from tests.app.apptest import button, texts
from tests.app.models import picture
from tests.app.scans import ct_stack

from medloop.core.decode import encode_png

pytestmark = pytest.mark.filterwarnings("ignore:::pydicom.*")


@pytest.fixture
def app(site, run_page) -> AppTest:
    return run_page("classify")


def upload(app: AppTest, name: str, data: bytes) -> AppTest:
    app.file_uploader(key="uploads").set_value((name, data, "application/octet-stream"))
    return app.run()


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
    (tags,) = [element.proto.body for element in app.get("html") if "Modality" in element.proto.body]
    assert "<td>CT</td>" in tags
    assert "Doe" not in texts(app)
    assert "4711" not in texts(app)
    assert not app.warning


def test_a_tag_that_contradicts_is_told(app):
    upload(app, "scan", ct_stack((120,), modality="PT", part="KNEE"))
    assert "The file's tag Modality says PT, the picture looks like Chest CT." in texts(app)
    assert "The file's tag BodyPartExamined says KNEE" in texts(app)


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
    assert site.loop.outbox.history("ada", 1)[0].event.action == "withdraw"
    assert "scan is Hand." not in texts(app)


def test_another_window_is_another_picture(app):
    upload(app, "scan", ct_stack((50, 120, 200)))
    app.segmented_control[0].set_value("Bone").run()
    assert not app.exception
    assert "Chest X-ray" in texts(app), "level 120 is dark in the window for bones"


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
