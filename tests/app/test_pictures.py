"""Previews, thumbnails and the class activation map."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from medloop.app.kit.pictures import (
    FRAME_COLOR,
    PREVIEW_SIDE,
    THUMBNAIL_SIDE,
    framed_png,
    overlay_png,
    preview_png,
    thumbnail_url,
)
from medloop.core.imaging.burnt_in import Region


def opened(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_a_small_picture_is_shown_as_it_is():
    pixels = np.arange(64 * 48, dtype=np.uint8).reshape(64, 48)
    assert np.array_equal(opened(preview_png(pixels)), pixels)


def test_a_large_picture_is_reduced_and_keeps_its_shape():
    assert opened(preview_png(np.zeros((2000, 1000), np.uint8))).shape == (
        PREVIEW_SIDE,
        PREVIEW_SIDE // 2,
    )


def test_frames_lie_around_regions_and_hide_nothing_in_them():
    pixels = np.random.default_rng(0).integers(0, 255, (1536, 1536), dtype=np.uint8)
    preview = preview_png(pixels)
    framed = opened(
        framed_png(preview, [Region(top=200, left=400, height=80, width=300)], width=1536)
    )
    frame = (framed == FRAME_COLOR).all(axis=2)
    rows, columns = np.nonzero(frame)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (97, 143, 197, 353)
    assert not frame[100:140, 200:350].any()
    assert np.array_equal(framed[~frame], np.repeat(opened(preview)[..., None], 3, axis=2)[~frame])


def test_a_frame_at_the_border_stays_in_the_picture():
    whole = [Region(top=0, left=0, height=128, width=128)]
    framed = opened(framed_png(preview_png(np.zeros((128, 128), np.uint8)), whole, width=128))
    assert (framed[[0, -1, 0, -1], [0, 0, -1, -1]] == FRAME_COLOR).all()


def test_a_thumbnail_is_square():
    url = thumbnail_url(np.full((400, 100), 200, np.uint8))
    image = Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/jpeg;base64,"))))
    assert image.size == (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    assert image.getpixel((0, 40)) < 20  # the padding is black
    assert image.getpixel((44, 44)) > 180


def test_an_overlay_without_strength_is_the_picture():
    png = preview_png(np.random.default_rng(0).integers(0, 255, (300, 300), dtype=np.uint8))
    overlay = opened(overlay_png(png, np.ones((4, 4), np.float32), strength=0.0))
    assert np.array_equal(overlay, np.repeat(opened(png)[..., None], 3, axis=2))


def test_heat_lies_where_the_evidence_is():
    png = preview_png(np.zeros((300, 300), np.uint8))
    cam = np.zeros((4, 4), np.float32)
    cam[0, 0] = 5.0
    overlay = opened(overlay_png(png, cam, strength=1.0))
    assert overlay[20, 20].sum() > 300
    assert overlay[-20, -20].sum() == 0


@pytest.mark.parametrize("cam", [np.zeros((4, 4), np.float32), np.full((4, 4), -3.0, np.float32)])
def test_no_evidence_for_the_class_draws_nothing(cam):
    png = preview_png(np.full((300, 300), 90, np.uint8))
    assert (opened(overlay_png(png, cam, strength=1.0)) == 90).all()


def test_a_tiny_picture_is_enlarged_under_the_map():
    overlay = opened(
        overlay_png(
            preview_png(np.zeros((64, 64), np.uint8)), np.ones((4, 4), np.float32), strength=0.5
        )
    )
    assert overlay.shape == (256, 256, 3)
