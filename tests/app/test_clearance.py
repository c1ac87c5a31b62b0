"""Pictures that may name a patient: nothing of them is stored before a person has looked."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from streamlit.testing.v1 import AppTest
from tests.app.apptest import button, give
from tests.app.models import picture
from tests.app.scans import ct_stack
from tests.app.test_workbench import bench_with, source
from tests.hostile.corpus import dicom

from medloop.app.kit import actions
from medloop.app.kit.access import local_user
from medloop.app.kit.workbench import Source
from medloop.core.imaging.decode import encode_png
from medloop.errors import ReviewError

pytestmark = pytest.mark.filterwarnings("ignore:::pydicom.*")


def named(level: int, *, seed: int = 0) -> bytes:
    """A scan that says of itself that text is burnt in."""
    window = {
        "WindowCenter": "128",
        "WindowWidth": "256",
        "RescaleSlope": "1",
        "RescaleIntercept": "0",
    }
    return dicom(picture(level, seed=seed), Modality="OT", BurnedInAnnotation="YES", **window)


def written(level: int) -> bytes:
    """An ordinary picture with a name in its corner."""
    image = Image.fromarray(np.full((512, 512), level, np.uint8))
    ImageDraw.Draw(image).text(
        (8, 8), "DOE^JANE 1957-03-02", fill=255, font=ImageFont.load_default(22)
    )
    return encode_png(np.asarray(image))


@pytest.fixture
def app(site, run_page) -> AppTest:
    return run_page("classify")


def upload(app: AppTest, **files: bytes) -> AppTest:
    data = [(name, content, "application/octet-stream") for name, content in files.items()]
    return give(app, data)


def stored(site) -> list[str | None]:
    return [entry.event.given_label for entry in site.context.outbox.history("ada", 10)]


@pytest.mark.parametrize("name", ["right-", "none-", "class-Hand-"])
def test_no_answer_is_taken_before_the_person_has_looked(app, site, name):
    upload(app, scan=named(50))
    button(app, name).click().run()
    assert "Nothing is saved: this picture may name a patient." in app.error[0].value
    assert stored(site) == []
    app.checkbox[0].check().run()
    button(app, name).click().run()
    assert not app.error
    assert len(stored(site)) == 1


def test_a_tick_taken_back_counts_no_more(app, site):
    upload(app, scan=named(50))
    app.checkbox[0].check().run()
    app.checkbox[0].uncheck().run()
    button(app, "right-").click().run()
    assert app.error
    assert stored(site) == []


def test_text_near_the_border_is_framed_and_asks_for_the_tick(app, site):
    upload(app, page=written(50))
    (shown,) = [image.alt for element in app.get("image") for image in element.proto.imgs]
    assert shown.endswith("with a frame where there may be text")
    assert app.checkbox[0].label == "No name or date of a patient is in this picture"
    button(app, "right-").click().run()
    assert stored(site) == []


def test_ordinary_pictures_ask_for_nothing(app):
    upload(app, scan=ct_stack((50,)))
    assert not app.checkbox


def test_confirming_all_leaves_out_and_chosen_what_nobody_has_cleared(app, site):
    upload(app, a=encode_png(picture(50)), b=encode_png(picture(120)), scan=named(200))
    bench = app.session_state["workbench"]
    bench.choose(bench.order)
    app.run()
    assert "1 may name a patient" in app.warning[0].value
    button(app, "right-chosen").click().run()
    assert sorted(stored(site)) == ["CXR", "ChestCT"]
    assert bench.chosen == {id_ for id_ in bench.order if bench.pictures[id_].source.name == "scan"}


def test_a_ticked_picture_is_confirmed_with_the_others_and_stays_ticked(app, site):
    upload(app, scan=named(50), other=encode_png(picture(120)))
    assert len(app.checkbox) == 1
    app.checkbox[0].check().run()
    button(app, "next").click().run()
    assert not app.checkbox
    button(app, "previous").click().run()
    assert app.checkbox[0].value
    bench = app.session_state["workbench"]
    bench.choose(bench.order)
    app.run()
    button(app, "right-chosen").click().run()
    assert sorted(stored(site)) == ["CXR", "ChestCT"]


def test_another_picture_with_the_same_warning_has_a_tick_of_its_own(site):
    bench = bench_with(
        Source("a", "a", named(50)), Source("b", "b", named(50, seed=1)), source("c", 120)
    )
    bench.clear(bench.pictures["a"].sha256, cleared=True)
    bench.go("b")
    with pytest.raises(ReviewError, match="may name a patient"):
        actions.answer(site.backend, bench, id_="b", label="CXR", user=local_user("ada"))
    assert stored(site) == []
