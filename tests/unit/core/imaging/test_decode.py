"""Ordinary pictures of every kind and mode become the grey pixels that a person would see."""

import io
import json
import os
import struct
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from tests.hostile.corpus import honest, photo, png, saved, tiff

from medloop.core.imaging import burnt_in
from medloop.core.imaging.decode import Limits, content_sha256, decode, encode_png
from medloop.errors import DecodeError

GREY = photo()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF"])
def test_a_lossless_file_gives_back_its_pixels(kind: str) -> None:
    image = decode(saved(Image.fromarray(GREY), kind))
    np.testing.assert_array_equal(image.pixels, GREY)
    assert (image.kind, image.frames, image.frame) == (kind, 1, 0)
    assert image.sha256 == content_sha256(GREY)


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"quality": 95}, {"subsampling": 0}]
)
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_jpeg_looks_as_it_did(mode: str, options: dict[str, object]) -> None:
    image = decode(saved(Image.fromarray(GREY).convert(mode), "JPEG", **options))
    assert image.kind == "JPEG"
    assert np.abs(image.pixels.astype(int) - GREY).mean() < 8


def test_the_short_way_for_jpegs_gives_the_pixels_of_the_long_way() -> None:
    exif = Image.Exif()
    exif[0x0112] = 1  # sends the file the long way, and turns nothing
    for mode in ("L", "RGB"):
        picture = Image.fromarray(GREY).convert(mode)
        short, long = saved(picture, "JPEG"), saved(picture, "JPEG", exif=exif)
        np.testing.assert_array_equal(decode(short).pixels, decode(long).pixels)


@pytest.mark.parametrize("kind", ["PNG", "WebP", "TIFF"])
def test_colour_becomes_luminance_and_transparency_black(kind: str) -> None:
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[:4] = (255, 0, 0, 255)
    rgba[4:] = (255, 255, 255, 0)
    options = {"lossless": True} if kind == "WebP" else {}
    pixels = decode(saved(Image.fromarray(rgba), kind, **options)).pixels
    assert set(pixels[:4].ravel()) == {76}
    assert set(pixels[4:].ravel()) == {0}


def test_grey_with_alpha_is_laid_over_black() -> None:
    image = np.stack([np.full((6, 6), 200, np.uint8), np.full((6, 6), 128, np.uint8)], -1)
    assert set(decode(saved(Image.fromarray(image), "PNG")).pixels.ravel()) == {100}


def test_palettes_and_single_bits_are_seen_through() -> None:
    colours = Image.fromarray(GREY).convert("RGB").quantize(16)
    expected = np.asarray(colours.convert("RGB").convert("L"))
    np.testing.assert_array_equal(decode(saved(colours, "PNG")).pixels, expected)
    bits = Image.fromarray(GREY > 120)
    for kind in ("PNG", "TIFF", "BMP"):
        assert set(decode(saved(bits, kind)).pixels.ravel()) == {0, 255}


def test_a_transparent_palette_entry_is_black() -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 255, 255, 255])
    assert decode(saved(image, "PNG", transparency=1)).pixels.max() == 0


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP"])
def test_a_picture_stands_as_exif_says(kind: str, orientation: int) -> None:
    upright = np.zeros((32, 64), np.uint8)
    upright[:8, :8] = 255
    undo = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]  # what the camera did
    stored = (
        Image.fromarray(upright)
        if undo is None
        else Image.fromarray(upright).transpose(Image.Transpose(undo))
    )
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = decode(saved(stored.convert("RGB"), kind, exif=exif, quality=100)).pixels
    assert pixels.shape == (32, 64)
    assert pixels[:8, :8].mean() > 200
    assert pixels[16:].mean() < 20


class TestSixteenBits:
    def test_eight_bits_that_were_widened_are_narrowed_exactly(self) -> None:
        np.testing.assert_array_equal(
            decode(saved(Image.fromarray(GREY.astype(np.uint16) * 257), "PNG")).pixels, GREY
        )

    def test_eight_bits_in_a_wide_file_are_taken_as_they_are(self) -> None:
        np.testing.assert_array_equal(
            decode(saved(Image.fromarray(GREY.astype(np.uint16)), "TIFF")).pixels, GREY
        )

    def test_twelve_bits_fill_the_range_whatever_a_dead_pixel_says(self) -> None:
        deep = GREY.astype(np.uint16) * 16
        deep[0, 0] = 65_535
        pixels = decode(saved(Image.fromarray(deep), "PNG")).pixels
        assert pixels.max() == 255
        assert 90 < np.median(pixels) < 165

    @pytest.mark.parametrize("dtype", [np.float32, np.int32])
    def test_floats_and_long_integers_too(self, dtype: type) -> None:
        pixels = decode(saved(Image.fromarray((GREY.astype(dtype) - 1000) * 3), "TIFF")).pixels
        assert (pixels.min(), pixels.max()) == (0, 255)
        assert np.corrcoef(pixels.ravel(), GREY.ravel())[0, 1] > 0.99

    def test_not_a_number_is_black(self) -> None:
        image = GREY.astype(np.float32) * 100
        image[:2] = np.nan
        image[2:4] = np.inf
        pixels = decode(saved(Image.fromarray(image), "TIFF")).pixels
        assert pixels[:2].max() == 0
        assert pixels[4:].std() > 20

    def test_white_is_zero(self) -> None:
        deep = (GREY.astype("<u2") * 257).tobytes()
        entries = [
            (256, 4, 1, 96),
            (257, 4, 1, 96),
            (258, 3, 1, 16),
            (259, 3, 1, 1),
            (262, 3, 1, 0),
            (273, 4, 1, 122),
            (277, 3, 1, 1),
            (278, 4, 1, 96),
            (279, 4, 1, len(deep)),
        ]
        np.testing.assert_array_equal(decode(tiff(*entries, body=deep)).pixels, 255 - GREY)


def test_the_first_page_of_a_tiff_is_shown_unless_another_is_asked_for() -> None:
    pages = [Image.fromarray(np.full((8, 8), level, np.uint8)) for level in (10, 20, 30)]
    data = saved(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    image = decode(data)
    assert (image.frames, image.frame, image.pixels[0, 0]) == (3, 0, 10)
    assert decode(data, frame=2).pixels[0, 0] == 30
    with pytest.raises(DecodeError, match="no frame 3: this file has 3"):
        decode(data, frame=3)


def test_the_first_picture_of_an_animation_is_shown() -> None:
    pages = [Image.fromarray(np.full((8, 8), level, np.uint8)) for level in (10, 200)]
    assert decode(saved(pages[0], "GIF", save_all=True, append_images=pages[1:])).pixels[0, 0] == 10


class TestLimits:
    def test_bytes(self) -> None:
        with pytest.raises(DecodeError, match=r"This file has 2\.0 MB; at most 1 MB"):
            decode(b"\0" * 2 * 2**20, limits=Limits(max_bytes=2**20))

    @pytest.mark.parametrize("kind", list(honest()))
    def test_pixels_whatever_the_kind(self, kind: str) -> None:
        with pytest.raises(DecodeError, match="96 × 96 pixels; at most 9,215"):
            decode(honest()[kind], limits=Limits(max_pixels=9_215))

    def test_memory(self) -> None:
        with pytest.raises(DecodeError, match="in memory"):
            decode(png(1000, 1000, colour=6), limits=Limits(max_decoded_bytes=3_000_000))

    def test_a_picture_at_the_limit_is_read(self) -> None:
        assert decode(honest()["PNG"], limits=Limits(max_pixels=9_216)).pixels.shape == (96, 96)


def test_a_lying_name_cannot_matter_and_a_lying_header_is_refused() -> None:
    with pytest.raises(DecodeError, match="This is a PDF, not an image that medloop reads"):
        decode(b"%PDF-1.4 pretends to be hand.png")
    with pytest.raises(DecodeError, match="starts like a PNG but its header is damaged"):
        decode(b"\x89PNG\r\n\x1a\n" + b"\0" * 64)


def test_the_hash_is_of_what_is_seen_and_not_of_the_file() -> None:
    as_png, as_bmp = (decode(saved(Image.fromarray(GREY), kind)) for kind in ("PNG", "BMP"))
    assert as_png.sha256 == as_bmp.sha256
    assert content_sha256(GREY.reshape(48, 192)) != content_sha256(GREY)


@given(arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40))))
@settings(max_examples=50, deadline=None)
def test_a_stored_picture_comes_back_exactly(pixels: np.ndarray) -> None:
    data = encode_png(pixels)
    assert encode_png(pixels) == data
    again = decode(data)
    np.testing.assert_array_equal(again.pixels, pixels)
    assert again.sha256 == content_sha256(pixels)


def test_nothing_but_pixels_survives() -> None:
    """GPS, EXIF and comments of the upload are in no field and not in what is stored."""
    exif = Image.Exif()
    exif[0x010E] = "DOE^JANE at home"
    exif.get_ifd(0x8825)[1] = "N"
    data = saved(Image.fromarray(GREY).convert("RGB"), "JPEG", exif=exif, comment=b"DOE^JANE")
    image = decode(data)
    assert b"DOE" in data
    assert "DOE" not in repr(image)
    stored = encode_png(image.pixels)
    chunks, at = [], 8
    while at < len(stored):
        length, name = struct.unpack_from(">I4s", stored, at)
        chunks.append(name)
        at += 12 + length
    assert set(chunks) == {b"IHDR", b"IDAT", b"IEND"}


def test_pixels_cannot_be_changed_under_their_hash() -> None:
    image = decode(honest()["JPEG"])
    with pytest.raises(ValueError, match="read-only"):
        image.pixels[0, 0] = 1


def test_decoding_an_ordinary_picture_imports_neither_pydicom_nor_torch() -> None:
    code = (
        "import sys, base64, json; from medloop.core.imaging.decode import decode; "
        "decode(sys.stdin.buffer.read());"
        "print(json.dumps([m for m in ('pydicom', 'torch', 'mlflow') if m in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=honest()["PNG"],
        capture_output=True,
        check=True,
        env=dict(os.environ),
    )
    assert json.loads(done.stdout) == []


def test_no_warning_of_a_library_reaches_the_user() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("default")
        raster_quiet = __import__(
            "medloop.core.imaging.raster", fromlist=["_quieten_libraries"]
        )._quieten_libraries
        raster_quiet.cache_clear()
        with pytest.raises(DecodeError):
            decode(png(10_000, 10_000))
    assert [str(w.message) for w in seen] == []


class TestBurntIn:
    def written(self, text: str, at: tuple[int, int], *, size: int = 18) -> np.ndarray:
        from PIL import ImageDraw, ImageFont

        y, x = np.mgrid[:512, :512]
        body = np.where(
            (x - 256) ** 2 + (y - 256) ** 2 < 200**2, 90 + 40 * np.sin(x / 40), 8
        ).astype(np.uint8)
        image = Image.fromarray(body)
        ImageDraw.Draw(image).text(at, text, fill=255, font=ImageFont.load_default(size))
        return np.asarray(image)

    @pytest.mark.parametrize("at", [(8, 8), (300, 8), (8, 480), (300, 480)])
    def test_a_name_in_a_corner_is_pointed_out(self, at: tuple[int, int]) -> None:
        pixels = self.written("DOE^JANE 1957-03-02", at)
        regions = burnt_in.text_regions(pixels)
        assert any(
            abs(r.top - at[1]) < 24 and r.left < at[0] + 150 and r.left + r.width > at[0]
            for r in regions
        )
        image = decode(saved(Image.fromarray(pixels), "PNG"))
        assert "text near the border" in image.warnings[0]
        assert (image.needs_clearance, image.text_regions) == (True, regions)
        quiet = decode(saved(Image.fromarray(pixels), "PNG"), find_text=False)
        assert (quiet.warnings, quiet.needs_clearance, quiet.text_regions) == ((), False, ())

    def test_a_picture_without_text_is_left_alone(self) -> None:
        assert burnt_in.text_regions(self.written("", (0, 0))) == ()
        assert not decode(saved(Image.fromarray(self.written("", (0, 0))), "PNG")).needs_clearance
        assert burnt_in.text_regions(np.zeros((512, 512), np.uint8)) == ()

    def test_large_pictures_are_measured_in_their_own_pixels(self) -> None:
        large = np.asarray(
            Image.fromarray(self.written("DOE^JANE 1957-03-02", (300, 480))).resize((2048, 2048))
        )
        regions = burnt_in.text_regions(large)
        assert any(1880 < r.top < 2000 and 1100 < r.left < 1500 for r in regions)

    def test_small_pictures_hold_no_legible_text(self) -> None:
        noise = np.random.default_rng(0).integers(0, 2, (64, 64)).astype(np.uint8) * 255
        assert burnt_in.text_regions(noise) == ()


def test_an_open_file_is_not_needed_after_decoding() -> None:
    data = bytearray(honest()["PNG"])
    image = decode(bytes(data))
    data[:] = b"\0" * len(data)
    assert image.pixels.std() > 10
    assert Image.open(io.BytesIO(encode_png(image.pixels))).mode == "L"
