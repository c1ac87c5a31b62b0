"""The pictures to try without having any at hand."""

from __future__ import annotations

from medloop.app.classify.examples import examples
from medloop.core.imaging.decode import decode


def test_there_is_one_of_each_class_two_altered_and_one_of_none(site):
    found = examples(site.context.datasets.get(None))
    assert [source.name for source in found] == [
        "Abdomen CT.png",
        "Breast MRI.png",
        "Chest X-ray.png",
        "Chest CT.png",
        "Hand.png",
        "Head CT.png",
        "Abdomen CT, inverted.png",
        "Head CT, upside down.png",
        "Written page.png",
    ]
    assert len({source.id for source in found}) == len(found)


def test_the_written_page_is_white_with_black_lines(site):
    page = decode(examples(site.context.datasets.get(None))[-1].read()).pixels
    assert set(page.ravel().tolist()) == {0, 255}
    assert 0.6 < (page == 255).mean() < 0.9
