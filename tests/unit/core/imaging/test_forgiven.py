"""What other readers forgive, and what ordinary files hold that strict ones refuse: each of a kind,
made here.
"""

import io
import struct
import zlib
from collections.abc import Callable

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from tests.hostile.corpus import dicom, photo, png_chunk, saved

from medloop.core.imaging.decode import decode
from medloop.errors import DecodeError

GREY = photo()
DEEP = GREY.astype(np.uint16) * 16
TWELVE = {"BitsStored": 12, "HighBit": 11}


def seen(data: bytes) -> np.ndarray:
    return decode(data).pixels


def alike(one: np.ndarray, other: np.ndarray, *, levels: float = 2) -> bool:
    return one.shape == other.shape and float(np.abs(one.astype(int) - other).mean()) <= levels


def j2k(values: np.ndarray, **options: object) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(values, codecformat="j2k", level=0, **options))


class TestStoredBits:
    @pytest.mark.parametrize("bits", [10, 12, 14])
    @pytest.mark.parametrize("signed", [0, 1])
    @pytest.mark.parametrize("stray", [0, 0x8000, 0xFFFF])
    def test_of_a_wider_stream_are_told_from_the_rest(
        self, bits: int, signed: int, stray: int
    ) -> None:
        values = (GREY.astype(np.int64) << (bits - 8)) - (signed << (bits - 1))
        mask = (1 << bits) - 1
        stored = ((values & mask) | (stray & ~mask)).astype(np.uint16)
        tags = {"BitsStored": bits, "HighBit": bits - 1, "PixelRepresentation": signed}
        expected = seen(dicom(values.astype(np.int16), WindowCenter=100, WindowWidth=300))
        streams = {JPEGLSLossless: imagecodecs.jpegls_encode(stored), JPEG2000Lossless: j2k(stored)}
        for syntax, stream in [*streams.items(), (ExplicitVRLittleEndian, None)]:
            data = dicom(
                stored, syntax=syntax, stream=stream, WindowCenter=100, WindowWidth=300, **tags
            )
            np.testing.assert_array_equal(seen(data), expected)

    @pytest.mark.parametrize("bits", [10, 12, 14])
    def test_may_be_left_aligned(self, bits: int) -> None:
        values = GREY.astype(np.uint16) << (bits - 8)
        data = dicom(values << (16 - bits), BitsStored=bits, HighBit=15)
        plain = dicom(values, BitsStored=bits, HighBit=bits - 1)
        np.testing.assert_array_equal(seen(data), seen(plain))

    @pytest.mark.parametrize("bits", [10, 12, 24])
    @pytest.mark.parametrize("frame", [0, 1])
    def test_may_be_packed(self, bits: int, frame: int) -> None:
        values = np.stack([GREY, GREY[::-1]]).astype(np.int64)[..., None] << (min(bits, 16) - 8)
        packed = np.packbits((values >> np.arange(bits) & 1).astype(np.uint8), bitorder="little")
        tags = {"BitsStored": bits, "HighBit": bits - 1}
        data = dicom(DEEP, PixelData=packed.tobytes(), NumberOfFrames=2, BitsAllocated=bits, **tags)
        plain = dicom(values[frame, ..., 0].astype(np.uint32), **tags)
        np.testing.assert_array_equal(decode(data, frame=frame).pixels, seen(plain))

    def test_of_a_jpeg_are_those_of_its_stream(self) -> None:
        stream = saved(Image.fromarray(GREY), "JPEG", quality=95)
        data = dicom(DEEP, syntax=JPEGBaseline8Bit, stream=stream, **TWELVE)
        assert alike(seen(data), GREY)

    def test_unsupported_ones_are_called_so(self) -> None:
        with pytest.raises(
            DecodeError, match=r"4 samples a pixel of 16 bits, which is not supported"
        ):
            decode(dicom(DEEP, SamplesPerPixel=4))


class TestTags:
    @pytest.mark.parametrize("frames", [0, -1, None, ""])
    def test_no_number_of_frames_is_one(self, frames: object) -> None:
        tags = {} if frames is None else {"NumberOfFrames": frames}
        np.testing.assert_array_equal(seen(dicom(DEEP, **tags)), seen(dicom(DEEP)))

    @pytest.mark.parametrize(
        "missing", ["PlanarConfiguration", "SamplesPerPixel", "HighBit", "BitsStored"]
    )
    def test_what_follows_from_others_may_be_missing(self, missing: str) -> None:
        colours = np.stack([GREY, GREY // 2, GREY // 3], 2)
        np.testing.assert_array_equal(seen(dicom(colours, **{missing: None})), seen(dicom(colours)))

    def test_the_colour_model_may_be_missing(self) -> None:
        np.testing.assert_array_equal(
            seen(dicom(DEEP, PhotometricInterpretation=None)), seen(dicom(DEEP))
        )

    def test_whole_colours_may_be_called_halved(self) -> None:
        ybr = np.asarray(Image.fromarray(GREY).convert("RGB").convert("YCbCr"))
        data = dicom(ybr, PhotometricInterpretation="YBR_FULL_422")
        assert alike(seen(data), GREY, levels=1)

    @pytest.mark.parametrize(
        "name", ["RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth", "PixelSpacing"]
    )
    def test_numbers_may_have_a_decimal_comma(self, name: str) -> None:
        tags: dict[str, object] = {
            "RescaleSlope": "1.5",
            "RescaleIntercept": "-924.5",
            "WindowCenter": "140.5",
            "WindowWidth": "380.5",
            "PixelSpacing": ["0.5", "1.0"],
        }
        plain = dicom(DEEP, Modality="CT", **tags)
        value = tags[name]
        text = value if isinstance(value, str) else "\\".join(value)  # type: ignore[arg-type]
        assert plain.count(text.encode()) == 1
        data = plain.replace(text.encode(), text.replace(".", ",").encode())
        np.testing.assert_array_equal(seen(data), seen(plain))
        assert decode(data).warnings == ()

    @pytest.mark.parametrize("slope", [b"one?", b"0.00", b"NaN "])
    def test_numbers_of_no_use_are_named(self, slope: bytes) -> None:
        data = dicom(DEEP, RescaleSlope="1.25").replace(b"1.25", slope)
        assert decode(data).warnings == (
            "RescaleSlope in this file: no usable number, and ignored.",
        )

    @pytest.mark.parametrize("slope", [None, "", "0"])
    def test_an_intercept_counts_without_a_slope(self, slope: str | None) -> None:
        tags = {
            "Modality": "CT",
            "RescaleIntercept": "-1024",
            "WindowCenter": 40,
            "WindowWidth": 400,
        }
        missing = {} if slope is None else {"RescaleSlope": slope}
        np.testing.assert_array_equal(
            seen(dicom(DEEP, **tags, **missing)), seen(dicom(DEEP, **tags, RescaleSlope="1"))
        )

    @pytest.mark.parametrize("modality", ["MR", "CR", "CT", "PT"])
    @pytest.mark.parametrize(
        ("signed", "padding", "limit"),
        [(0, 32_760, 32_767), (0, 65_535, 65_000), (1, 63_536, 64_000)],
    )
    def test_a_range_of_padding_sets_no_window(
        self, modality: str, signed: int, padding: int, limit: int
    ) -> None:
        padded = DEEP.copy()
        padded[:20] = np.linspace(padding, limit, 96).astype(np.uint16)
        tags = {"PixelPaddingValue": padding, "PixelPaddingRangeLimit": limit, "Modality": modality}
        data = dicom(padded, PixelRepresentation=0, **tags)
        if signed:
            data = data.replace(b"\x28\0\x03\1US\2\0\0\0", b"\x28\0\x03\1US\2\0\1\0")
        plain = seen(dicom(DEEP[20:], Modality=modality))
        assert alike(seen(data)[20:], plain)

    @pytest.mark.parametrize("tag", ["PixelPaddingValue", "PixelPaddingRangeLimit"])
    @pytest.mark.parametrize(("bits", "padding"), [(12, 65_535), (10, 65_000), (14, 40_000)])
    def test_padding_beyond_the_stored_bits_sets_no_window(
        self, bits: int, padding: int, tag: str
    ) -> None:
        values = GREY.astype(np.uint16) << (bits - 9)
        padded = values.copy()
        padded[:20] = padding
        tags = {"BitsStored": bits, "HighBit": bits - 1}
        data = dicom(padded, **tags, **{tag: padding})
        assert alike(seen(data)[20:], seen(dicom(values[20:], **tags)))


class TestPalettes:
    TABLE = (np.arange(256)[::-1] * 257).astype(np.uint16)

    def data(self, syntax: object, bits: int, *, segmented: bool = False) -> bytes:
        order = ">u2" if syntax == ExplicitVRBigEndian else "<u2"
        words = self.TABLE if bits == 16 else (self.TABLE >> 8).astype(np.uint8).view("<u2")
        if segmented:  # a discrete segment, a linear one, and a part of the first again
            words = np.array([0, 1, 65_535, 1, 255, 0], np.uint16)
        tags: dict[str, object] = {}
        for colour in ("Red", "Green", "Blue"):
            prefix = f"{colour}PaletteColorLookupTable"
            tags[f"{prefix}Descriptor"] = [256, 0, bits]
            tags[f"{'Segmented' if segmented else ''}{prefix}Data"] = words.astype(order).tobytes()
        tags["PixelData"] = GREY.view("<u2").astype(order).tobytes()  # bytes in words
        return dicom(GREY, syntax=syntax, PhotometricInterpretation="PALETTE COLOR", **tags)  # type: ignore[arg-type]

    @pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
    @pytest.mark.parametrize(("bits", "segmented"), [(8, False), (16, False), (16, True)])
    def test_are_seen_through_in_any_order(
        self, syntax: object, bits: int, segmented: bool
    ) -> None:
        assert alike(seen(self.data(syntax, bits, segmented=segmented)), 255 - GREY, levels=1)

    @pytest.mark.parametrize("first", [-128, -10, 0, 100, 300])
    @pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16])
    def test_values_beside_the_table_take_its_nearest_entry(self, first: int, dtype: type) -> None:
        if first < 0 and np.dtype(dtype).kind == "u":
            first += 400  # unsigned ones have no negative values
        values = (GREY.astype(np.int16) // (1 if dtype != np.int8 else 2)).astype(dtype)
        tags: dict[str, object] = {}
        for colour in ("Red", "Green", "Blue"):
            tags[f"{colour}PaletteColorLookupTableDescriptor"] = [101, first, 16]
            tags[f"{colour}PaletteColorLookupTableData"] = (
                np.arange(101, dtype="<u2") * 257
            ).tobytes()
        data = dicom(values, PhotometricInterpretation="PALETTE COLOR", **tags)
        np.testing.assert_array_equal(seen(data), np.clip(values.astype(int) - first, 0, 100))


class TestCompressedFrames:
    def stack(self, pixel_data: bytes, frames: int) -> bytes:
        return dicom(
            DEEP,
            syntax=JPEG2000Lossless,
            stream=b"whatever",
            PixelData=pixel_data,
            NumberOfFrames=frames,
            **TWELVE,
        )

    @pytest.mark.parametrize(
        "table", [b"", struct.pack("<2I", 0, 7), struct.pack("<3I", 0, 16, 99), b"\xff" * 12]
    )
    def test_come_in_pieces_whatever_the_offset_table_says(self, table: bytes) -> None:
        streams = [j2k(DEEP, bitspersample=12), j2k(DEEP[::-1].copy(), bitspersample=12)]
        pieces = [stream[i : i + 1000] for stream in streams for i in range(0, len(stream), 1000)]
        for frames, chosen in ((2, pieces), (1, pieces[: -(-len(streams[0]) // 1000)])):
            items = [table, *chosen]
            body = b"".join(struct.pack("<2HI", 0xFFFE, 0xE000, len(x)) + x for x in items)
            data = self.stack(body + struct.pack("<2HI", 0xFFFE, 0xE0DD, 0), frames)
            for frame in range(frames):
                expected = seen(dicom(DEEP[:: 1 - 2 * frame].copy(), **TWELVE))
                np.testing.assert_array_equal(decode(data, frame=frame).pixels, expected)

    def test_fewer_than_promised_are_cut_off(self) -> None:
        data = self.stack(encapsulate([j2k(DEEP, bitspersample=12)]), 3)
        assert decode(data, frame=0).pixels.shape == DEEP.shape
        with pytest.raises(DecodeError, match="cut off: it has 1 frames of 3"):
            decode(data, frame=2)

    @pytest.mark.parametrize("padding", [b"", b"\0", b" ", b"\x80", b"\xff"])
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_of_rle_may_be_padded_with_anything(self, padding: bytes, dtype: type) -> None:
        odd = GREY[:65, :63].astype(dtype)
        planes = [
            (odd >> shift).astype(np.uint8).tobytes()
            for shift in range(8 * odd.itemsize - 8, -1, -8)
        ]
        parts = [
            b"".join(
                bytes([len(p) - 1]) + p
                for p in (plane[i : i + 128] for i in range(0, len(plane), 128))
            )
            for plane in planes
        ]
        parts = [part + padding for part in parts]
        starts = [64 + sum(map(len, parts[:i])) for i in range(len(parts))]
        stream = struct.pack("<16I", len(parts), *starts, *[0] * (15 - len(starts))) + b"".join(
            parts
        )
        np.testing.assert_array_equal(
            seen(dicom(odd, syntax=RLELossless, stream=stream)), seen(dicom(odd))
        )

    def test_of_jpeg_may_lack_the_end_marker_but_no_pixels(self) -> None:
        whole = saved(Image.fromarray(GREY), "JPEG")
        for stream in (whole[:-2], whole[:-1]):
            np.testing.assert_array_equal(
                seen(dicom(GREY, syntax=JPEGBaseline8Bit, stream=stream)),
                seen(dicom(GREY, syntax=JPEGBaseline8Bit, stream=whole)),
            )
        with pytest.raises(DecodeError, match="cut off"):
            decode(dicom(GREY, syntax=JPEGBaseline8Bit, stream=whole[: len(whole) // 2]))

    @pytest.mark.parametrize(
        "tail", [b"\0" * 9, b"\xff" * 7, b" " * 6, b"any bytes", b"\xff\xd9\0"]
    )
    @pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEGLosslessSV1])
    def test_of_jpeg_may_have_anything_behind_their_end(self, syntax: UID, tail: bytes) -> None:
        stream = (
            imagecodecs.jpegls_encode(DEEP)
            if syntax == JPEGLSLossless
            else imagecodecs.jpeg8_encode(DEEP, lossless=True, bitspersample=12)
        )
        data = dicom(DEEP, syntax=syntax, stream=stream + tail, **TWELVE)
        np.testing.assert_array_equal(seen(data), seen(dicom(DEEP, **TWELVE)))
        np.testing.assert_array_equal(seen(stream + tail), seen(stream))
        with pytest.raises(DecodeError, match="cut off"):
            decode(stream[: len(stream) // 2] + tail[:1])


def test_a_file_with_an_icon_alone_holds_no_picture() -> None:
    icon = Dataset()
    icon.PixelData = GREY.tobytes()
    icon["PixelData"].VR = "OB"
    with pytest.raises(DecodeError, match="holds no picture"):
        decode(dicom(GREY, PixelData=None, IconImageSequence=Sequence([icon])))


class TestJpegs:
    @pytest.mark.parametrize("exif", [False, True])
    def test_of_red_green_and_blue_are_read(self, exif: bool) -> None:
        colours = np.stack([GREY, GREY, GREY // 2], 2)
        options = {"exif": Image.Exif()} if exif else {}
        data = saved(Image.fromarray(colours), "JPEG", quality=95, keep_rgb=True, **options)
        assert alike(seen(data), np.asarray(Image.fromarray(colours).convert("L")))

    @pytest.mark.parametrize(("bits", "dtype"), [(8, np.uint8), (12, np.uint16), (16, np.uint16)])
    def test_without_loss_are_read_outside_of_dicom(self, bits: int, dtype: type) -> None:
        values = GREY.astype(dtype) << (bits - 8)
        expected = seen(saved(Image.fromarray(values), "PNG"))
        lossless = imagecodecs.jpeg8_encode(values, lossless=True, bitspersample=bits)
        for data in (lossless, imagecodecs.jpegls_encode(values)):
            np.testing.assert_array_equal(seen(data), expected)

    @pytest.mark.parametrize("bits", [2, 4, 6, 7])
    def test_of_few_bits_run_from_black_to_white(self, bits: int) -> None:
        data = imagecodecs.jpeg8_encode(GREY >> (8 - bits), lossless=True, bitspersample=bits)
        assert alike(seen(data), GREY, levels=256 >> bits)

    @pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 95}])
    @pytest.mark.parametrize("mode", ["L", "RGB"])
    def test_may_lack_the_end_marker_but_no_pixels(
        self, mode: str, options: dict[str, object]
    ) -> None:
        whole = saved(Image.fromarray(GREY).convert(mode), "JPEG", **options)
        for data in (whole[:-2], whole[:-1]):
            assert alike(seen(data), seen(whole), levels=0.5)
        with pytest.raises(DecodeError, match="cut off"):
            decode(whole[: len(whole) * 9 // 10])


def deep_png(values: np.ndarray) -> bytes:
    return bytes(imagecodecs.png_encode(values))


def big_endian_tiff(values: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, byteorder=">", **options)
    return buffer.getvalue()


def little_endian_tiff(values: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("encode", [deep_png, big_endian_tiff, little_endian_tiff])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
class TestDeepColours:
    def test_are_seen_as_the_grey_that_they_hold(
        self, encode: Callable[..., bytes], bits: int
    ) -> None:
        values = GREY.astype(np.uint16) << (bits - 8)
        options = {} if encode is deep_png else {"photometric": "rgb"}
        expected = seen(saved(Image.fromarray(values), "PNG"))
        np.testing.assert_array_equal(seen(encode(np.stack([values] * 3, 2), **options)), expected)
        assert not decode(encode(np.stack([values] * 3, 2), **options)).in_colour

    def test_may_be_transparent(self, encode: Callable[..., bytes], bits: int) -> None:
        values = GREY.astype(np.uint16) << (bits - 8)
        opaque = np.full_like(values, 65_535)
        opaque[:10] = 0
        options = (
            {}
            if encode is deep_png
            else {"photometric": "minisblack", "extrasamples": ["unassalpha"]}
        )
        if encode is not deep_png:
            options["planarconfig"] = "contig"
        pixels = seen(encode(np.stack([values, opaque], 2), **options))
        assert pixels[:10].max() == 0
        assert pixels[10:].max() >= 200

    def test_that_are_colours_say_so(self, encode: Callable[..., bytes], bits: int) -> None:
        values = np.stack([GREY, 255 - GREY, GREY // 4], 2).astype(np.uint16) << (bits - 8)
        options = {} if encode is deep_png else {"photometric": "rgb"}
        assert decode(encode(values, **options)).in_colour


class TestTiffs:
    @pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i2", "u2", "i4", "u4", "i8", "u8"])
    @pytest.mark.parametrize("write", [little_endian_tiff, big_endian_tiff])
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"tile": (32, 32)},
            {"compression": "zlib"},
            {"compression": "lzw"},
            {"rowsperstrip": 5},
        ],
    )
    def test_of_any_number_format_show_their_picture(
        self, dtype: str, write: Callable[..., bytes], options: dict[str, object]
    ) -> None:
        values = (
            GREY.astype(dtype) * (100 if dtype[0] != "f" else 1) / (1 if dtype[0] != "f" else 256)
        )
        pixels = seen(write(values.astype(dtype), **options))
        assert (pixels.min(), pixels.max()) == (0, 255)
        assert np.corrcoef(pixels.ravel(), GREY.ravel())[0, 1] > 0.99

    @pytest.mark.parametrize("planes", ["contig", "separate"])
    @pytest.mark.parametrize("dtype", ["u2", "f4"])
    def test_may_keep_colours_apart(self, planes: str, dtype: str) -> None:
        colours = np.stack([GREY, GREY // 2, GREY // 4], 2).astype(dtype) * 100
        stored = colours if planes == "contig" else np.moveaxis(colours, 2, 0)
        pixels = seen(little_endian_tiff(stored, photometric="rgb", planarconfig=planes))
        assert np.corrcoef(pixels.ravel(), GREY.ravel())[0, 1] > 0.99

    def test_signed_bytes_keep_their_order(self) -> None:
        signed = (GREY.astype(np.int16) - 128).astype(np.int8)
        np.testing.assert_array_equal(seen(little_endian_tiff(signed)), GREY)

    def test_deep_ones_of_another_packing_are_called_unsupported(self) -> None:
        data = little_endian_tiff(DEEP, compression="lzma")
        with pytest.raises(DecodeError, match="not supported"):
            decode(data)

    @pytest.mark.parametrize("alpha", ["assocalpha", "unassalpha"])
    def test_grey_may_be_transparent(self, alpha: str) -> None:
        opaque = np.stack([GREY, np.full_like(GREY, 255)], 2)
        options = {"photometric": "minisblack", "planarconfig": "contig", "extrasamples": [alpha]}
        np.testing.assert_array_equal(seen(little_endian_tiff(opaque, **options)), GREY)

    @pytest.mark.parametrize(
        ("values", "options"),
        [
            (GREY.astype(np.complex64), {}),
            (DEEP, {"photometric": "palette", "colormap": np.zeros((3, 65_536), np.uint16)}),
            (GREY, {"compression": "jpeg2000"}),
            (GREY, {"compression": "jpegxl"}),
            (np.stack([GREY] * 3, 2), {"compression": "webp", "photometric": "rgb"}),
        ],
    )
    def test_other_kinds_are_called_unsupported_not_damaged(
        self, values: np.ndarray, options: dict[str, object]
    ) -> None:
        with pytest.raises(DecodeError, match="This TIFF file is of a kind that is not supported"):
            decode(little_endian_tiff(values, **options))

    @pytest.mark.parametrize(("tag", "value"), [(258, 6), (262, 99)])
    def test_other_numbers_are_called_unsupported(self, tag: int, value: int) -> None:
        whole = little_endian_tiff(GREY)
        at = whole.index(struct.pack("<2HI", tag, 3, 1)) + 8
        with pytest.raises(DecodeError, match="not supported"):
            decode(whole[:at] + struct.pack("<H", value) + whole[at + 2 :])


class TestChunksAndHeaders:
    @pytest.mark.parametrize("name", [b"tEXt", b"gAMA", b"iCCP", b"eXIf", b"tIME", b"prVt"])
    @pytest.mark.parametrize("mode", ["L", "RGB", "I;16"])
    def test_a_damaged_chunk_beside_the_pixels_of_a_png_is_passed_over(
        self, name: bytes, mode: str
    ) -> None:
        image = Image.fromarray(DEEP if mode == "I;16" else GREY)
        whole = saved(image if mode == "I;16" else image.convert(mode), "PNG")
        broken = png_chunk(name, b"a\0b" * 9)[:-4] + b"\0\0\0\1"
        np.testing.assert_array_equal(seen(whole[:33] + broken + whole[33:]), seen(whole))

    def test_a_damaged_chunk_of_pixels_is_damage(self) -> None:
        whole = bytearray(saved(Image.fromarray(GREY), "PNG"))
        whole[whole.index(b"IDAT") + 200] ^= 1
        with pytest.raises(DecodeError):
            decode(bytes(whole))

    @pytest.mark.parametrize("kind", ["PNG", "GIF"])
    def test_the_end_mark_may_be_missing(self, kind: str) -> None:
        whole = saved(Image.fromarray(GREY), kind)
        cut = whole[: -12 if kind == "PNG" else -1]
        np.testing.assert_array_equal(seen(cut), seen(whole))
        with pytest.raises(DecodeError, match="cut off"):
            decode(whole[: len(whole) * 2 // 3])

    @pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
    def test_the_reserved_fields_of_a_bmp_may_hold_anything(self, mode: str) -> None:
        image = Image.fromarray(GREY).convert(mode)
        whole = saved(image, "BMP")
        data = whole[:6] + b"abcd" + whole[10:]
        np.testing.assert_array_equal(seen(data), seen(whole))
        assert zlib.crc32(data) != zlib.crc32(whole)

    @pytest.mark.parametrize("width", [93, 94, 95, 96])
    def test_a_bmp_may_lack_the_padding_of_its_last_row(self, width: int) -> None:
        whole = saved(Image.fromarray(GREY[:, :width]).convert("RGB"), "BMP")
        padding = -3 * width % 4
        np.testing.assert_array_equal(seen(whole[: len(whole) - padding]), seen(whole))
        with pytest.raises(DecodeError, match="cut off"):
            decode(whole[:-8])

    @pytest.mark.parametrize("alpha", [0, 255])
    def test_alpha_that_is_nothing_throughout_does_not_blacken_a_bmp(self, alpha: int) -> None:
        fields = (124, 96, -96, 1, 32, 3, 0, 0, 0, 0, 0, 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
        pixels = np.stack([GREY, GREY, GREY, np.full_like(GREY, alpha)], 2).tobytes()
        header = struct.pack("<2sIHHI", b"BM", 0, 0, 0, 138) + struct.pack(
            "<IiiHHIIiiII4I", *fields
        )
        np.testing.assert_array_equal(seen(header + bytes(68) + pixels), GREY)
