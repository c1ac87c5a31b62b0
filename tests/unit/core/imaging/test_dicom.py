"""DICOM by what it is: values, windows, frames, transfer syntaxes; and nothing of a patient."""

import io
import logging
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.sequence import Sequence
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from tests.hostile.corpus import PATIENT, dicom, honest, photo

from medloop.core.imaging.decode import decode
from medloop.errors import DecodeError

pytestmark = pytest.mark.filterwarnings("ignore:::pydicom.*")

GREY = photo()
DEEP = GREY.astype(np.uint16) * 16


def shipped(name: str) -> bytes:
    path = get_testdata_file(name, download=False)
    assert path is not None
    return Path(path).read_bytes()


def lut(first: int, bits: int, entries: np.ndarray) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(entries) % 65_536, first, bits]
    item.LUTData = entries.astype("<u2").tobytes()
    return item


SAME_PICTURE = {
    "MR_small.dcm": [
        "MR_small_RLE.dcm",
        "MR_small_implicit.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_expb.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "MR_small_padded.dcm",
    ],
    "SC_rgb_rle.dcm": ["SC_rgb_jpeg_gdcm.dcm", "SC_rgb_rle_16bit.dcm", "SC_rgb_rle_32bit.dcm"],
    "SC_rgb_small_odd.dcm": ["SC_rgb_small_odd_big_endian.dcm"],
    "rtdose_1frame.dcm": ["rtdose_rle_1frame.dcm", "rtdose_expb_1frame.dcm"],
}


@pytest.mark.parametrize(
    ("name", "twin"), [(name, twin) for name, twins in SAME_PICTURE.items() for twin in twins]
)
def test_a_picture_is_the_same_however_it_is_packed(name: str, twin: str) -> None:
    np.testing.assert_array_equal(decode(shipped(name)).pixels, decode(shipped(twin)).pixels)


@pytest.mark.parametrize(
    "name",
    [
        "SC_rgb_dcmtk_+eb+cr.dcm",
        "SC_rgb_dcmtk_+eb+cy+n1.dcm",
        "SC_rgb_dcmtk_+eb+cy+np.dcm",
        "SC_rgb_dcmtk_+eb+cy+s4.dcm",
        "SC_rgb_jpeg_dcmtk.dcm",
        "SC_rgb_jpeg_lossy_gdcm.dcm",
        "SC_rgb_gdcm_KY.dcm",
        "SC_rgb_jls_lossy_line.dcm",
        "SC_rgb_jls_lossy_sample.dcm",
        "SC_ybr_full_422_uncompressed.dcm",
    ],
)
def test_colours_look_the_same_however_they_are_coded(name: str) -> None:
    reference = decode(shipped("SC_rgb_rle.dcm")).pixels.astype(int)
    assert np.abs(decode(shipped(name)).pixels - reference).mean() < 3


@pytest.mark.parametrize(
    "name",
    [
        "JPGExtended.dcm",
        "JPEG2000.dcm",
        "693_J2KI.dcm",
        "J2K_pixelrep_mismatch.dcm",
        "image_dfl.dcm",
    ],
)
def test_other_syntaxes_give_a_picture(name: str) -> None:
    pixels = decode(shipped(name)).pixels
    assert pixels.std() > 15
    assert pixels.max() == 255


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize(
    "syntax", [JPEGLosslessSV1, JPEGLossless, JPEGLSLossless, JPEG2000Lossless, RLELossless]
)
@pytest.mark.parametrize("signed", [False, True])
def test_lossless_compression_loses_nothing(syntax: str, bits: int, signed: bool) -> None:
    stored = (GREY.astype(np.int32) * (1 << (bits - 8))).astype(
        np.uint8 if bits == 8 else np.uint16
    )
    if syntax in (JPEGLosslessSV1, JPEGLossless):
        predictor = 1 if syntax == JPEGLosslessSV1 else 4
        stream = imagecodecs.jpeg8_encode(
            stored, lossless=True, bitspersample=bits, predictor=predictor
        )
    elif syntax == JPEGLSLossless:
        stream = imagecodecs.jpegls_encode(stored)
    elif syntax == JPEG2000Lossless:
        stream = imagecodecs.jpeg2k_encode(stored, codecformat="j2k", level=0, bitspersample=bits)
    else:
        stream = rle(stored)
    tags = {"BitsStored": bits, "HighBit": bits - 1}
    if signed and bits == 16:
        tags["PixelRepresentation"] = 1
    plain = dicom(stored, **tags)
    np.testing.assert_array_equal(
        decode(dicom(stored, syntax=syntax, stream=stream, **tags)).pixels, decode(plain).pixels
    )


def rle(stored: np.ndarray) -> bytes:
    planes = [
        plane.tobytes()
        for plane in np.moveaxis(stored.view(np.uint8).reshape(*stored.shape, -1), -1, 0)[::-1]
    ]
    segments = [
        b"".join(
            bytes([len(part) - 1]) + part
            for part in (plane[i : i + 128] for i in range(0, len(plane), 128))
        )
        for plane in planes
    ]
    segments = [segment + b"\0" * (len(segment) % 2) for segment in segments]
    starts = [64 + sum(map(len, segments[:i])) for i in range(len(segments))]
    return np.array(
        [len(segments), *starts, *[0] * (15 - len(starts))], "<u4"
    ).tobytes() + b"".join(segments)


def test_twelve_bit_jpeg_is_read() -> None:
    stored = GREY.astype(np.uint16) * 16
    stream = imagecodecs.jpeg8_encode(stored, bitspersample=12, level=95)
    pixels = decode(
        dicom(stored, syntax=JPEGExtended12Bit, stream=stream, BitsStored=12, HighBit=11)
    ).pixels
    assert (
        np.abs(pixels.astype(int) - decode(dicom(stored, BitsStored=12, HighBit=11)).pixels).mean()
        < 3
    )


class TestWindows:
    def test_agree_with_pydicom(self) -> None:
        """Against the library's own transforms, which are slower and say no to much that is met in
        practice.
        """
        for function, centre, width in (
            ("LINEAR", 1500, 900),
            ("LINEAR_EXACT", 1500, 900),
            ("SIGMOID", 1500, 900),
        ):
            data = dicom(
                DEEP,
                BitsStored=12,
                HighBit=11,
                WindowCenter=centre,
                WindowWidth=width,
                VOILUTFunction=function,
            )
            dataset = dcmread(io.BytesIO(data))
            expected = (
                apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset)
                / 4095
                * 255
            )
            assert np.abs(decode(data).pixels - expected).max() <= 0.51

    def test_rescale_comes_first(self) -> None:
        raw = dicom(
            DEEP,
            Modality="CT",
            RescaleSlope=2,
            RescaleIntercept=-1024,
            WindowCenter=1000,
            WindowWidth=2000,
        )
        direct = dicom(DEEP, WindowCenter=1012, WindowWidth=1000, VOILUTFunction="LINEAR_EXACT")
        assert np.abs(decode(raw).pixels.astype(int) - decode(direct).pixels).max() <= 1

    def test_a_caller_may_name_one(self) -> None:
        data = dicom(DEEP, WindowCenter=1500, WindowWidth=900)
        assert (decode(data, window=(100, 10)).pixels == 255).mean() > 0.9
        np.testing.assert_array_equal(decode(data, window=(1500, 900)).pixels, decode(data).pixels)

    def test_of_several_the_first_counts(self) -> None:
        several = dicom(DEEP, WindowCenter=[1500, 40], WindowWidth=[900, 400])
        np.testing.assert_array_equal(
            decode(several).pixels, decode(dicom(DEEP, WindowCenter=1500, WindowWidth=900)).pixels
        )

    def test_ct_without_one_shows_soft_tissue(self) -> None:
        hounsfield = np.array([[-1000, -160, 40, 240, 1000]] * 4, np.int16)
        data = dicom(hounsfield + 1024, Modality="CT", RescaleSlope=1, RescaleIntercept=-1024)
        assert decode(data).pixels[0].tolist()[::4] == [0, 255]
        assert abs(int(decode(data).pixels[0, 2]) - 128) < 3
        stored_so = dicom(
            hounsfield, Modality="CT", PixelRepresentation=1, RescaleSlope=1, RescaleIntercept=0
        )
        np.testing.assert_array_equal(decode(stored_so).pixels, decode(data).pixels)

    def test_anything_else_goes_by_percentiles_without_padding(self) -> None:
        padded = DEEP.copy()
        padded[:30] = 60_000
        pixels = decode(dicom(padded, PixelPaddingValue=60_000)).pixels
        assert pixels[30:].min() == 0
        assert 80 < np.median(pixels[30:]) < 175

    def test_eight_bits_are_taken_as_they_are(self) -> None:
        np.testing.assert_array_equal(decode(dicom(GREY)).pixels, GREY)

    def test_one_that_shows_nothing_counts_as_none(self) -> None:
        np.testing.assert_array_equal(
            decode(dicom(DEEP, WindowCenter=1e7, WindowWidth=10)).pixels, decode(dicom(DEEP)).pixels
        )

    def test_a_voi_table_is_followed(self) -> None:
        inverse = lut(0, 12, np.arange(4095, -1, -1))
        pixels = decode(dicom(DEEP, VOILUTSequence=Sequence([inverse]))).pixels
        np.testing.assert_allclose(pixels, 255 - DEEP / 4095 * 255, atol=1)

    def test_a_modality_table_is_followed(self) -> None:
        inverse = lut(0, 16, np.arange(65_535, -1, -1))
        table = dicom(
            DEEP, ModalityLUTSequence=Sequence([inverse]), WindowCenter=63_000, WindowWidth=2_000
        )
        slope = dicom(
            DEEP, RescaleSlope=-1, RescaleIntercept=65_535, WindowCenter=63_000, WindowWidth=2_000
        )
        np.testing.assert_array_equal(decode(table).pixels, decode(slope).pixels)

    def test_an_enhanced_file_may_have_one_for_each_frame(self) -> None:
        def groups(centre: float) -> Dataset:
            window, item = Dataset(), Dataset()
            window.WindowCenter, window.WindowWidth = centre, 900
            item.FrameVOILUTSequence = Sequence([window])
            return item

        stack = np.stack([DEEP, DEEP])
        data = dicom(
            DEEP,
            PixelData=stack.tobytes(),
            NumberOfFrames=2,
            PerFrameFunctionalGroupsSequence=Sequence([groups(700), groups(1500)]),
        )
        for frame, centre in ((0, 700), (1, 1500)):
            alone = decode(dicom(DEEP, WindowCenter=centre, WindowWidth=900)).pixels
            np.testing.assert_array_equal(decode(data, frame=frame).pixels, alone)


def test_monochrome1_is_inverted() -> None:
    np.testing.assert_array_equal(
        decode(dicom(GREY, PhotometricInterpretation="MONOCHROME1")).pixels, 255 - GREY
    )


def test_a_palette_is_seen_through() -> None:
    image = decode(shipped("examples_palette.dcm"))
    assert image.pixels.shape == (350, 800)
    assert image.pixels.std() > 10


def test_single_bits_are_black_and_white() -> None:
    assert set(decode(shipped("liver_1frame.dcm")).pixels.ravel()) == {0, 255}


class TestFrames:
    STACK = np.stack([np.full((16, 16), level, np.uint8) for level in (10, 20, 30, 40, 50)])

    def test_the_middle_one_is_shown(self) -> None:
        image = decode(dicom(self.STACK[0], PixelData=self.STACK.tobytes(), NumberOfFrames=5))
        assert (image.frames, image.frame, image.pixels[0, 0]) == (5, 2, 30)

    def test_unless_another_is_asked_for(self) -> None:
        data = dicom(self.STACK[0], PixelData=self.STACK.tobytes(), NumberOfFrames=5)
        assert [decode(data, frame=i).pixels[0, 0] for i in range(5)] == [10, 20, 30, 40, 50]
        with pytest.raises(DecodeError, match="no frame 5: this file has 5"):
            decode(data, frame=5)

    def test_compressed_ones_too(self) -> None:
        image = decode(shipped("examples_ybr_color.dcm"))
        assert (image.frames, image.frame) == (30, 15)
        assert decode(shipped("examples_ybr_color.dcm"), frame=0).sha256 != image.sha256


@pytest.mark.parametrize(
    "name", ["rtplan.dcm", "test-SR.dcm", "rtstruct.dcm", "waveform_ecg.dcm", "reportsi.dcm"]
)
def test_a_file_without_picture_says_what_it_is(name: str) -> None:
    with pytest.raises(DecodeError, match=r"holds no picture \(.+ Storage\)"):
        decode(shipped(name))


def test_a_file_without_preamble_is_still_dicom() -> None:
    data = dicom(GREY)
    np.testing.assert_array_equal(decode(data[132:]).pixels, GREY)


class TestPrivacy:
    def test_only_listed_technical_words_leave_the_file(self) -> None:
        data = dicom(
            GREY,
            BodyPartExamined="DOE JANE",
            Modality="JANE",
            StudyDescription="DOE^JANE",
            PhotometricInterpretation="MONOCHROME2",
        )
        image = decode(data)
        assert set(image.technical) == {
            "PhotometricInterpretation",
            "SOPClass",
            "TransferSyntax",
            "Rows",
            "Columns",
            "BitsStored",
        }
        assert "JANE" not in repr(image)
        assert (
            decode(dicom(GREY, BodyPartExamined="CHEST")).technical["BodyPartExamined"] == "CHEST"
        )

    def test_what_the_standard_does_not_name_is_left_out(self) -> None:
        image = decode(dicom(GREY, SOPClassUID="1.2.826.0.1.3680043.8.498.1"))
        assert "SOPClass" not in image.technical

    def test_neither_messages_nor_logs_hold_values_of_the_file(
        self, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
    ) -> None:
        caplog.set_level(logging.DEBUG)
        odd_class = dicom(GREY, PixelData=None).replace(
            b"1.2.840.10008.5.1.4.1.1.2\0", b"1.2.DOE^JANE.5.1.4.1.1.2.3"
        )
        for data in (
            dicom(GREY, Rows=0),
            dicom(GREY, PixelData=b""),
            dicom(GREY, NumberOfFrames=9999),
            odd_class,
        ):
            with pytest.raises(DecodeError) as caught:
                decode(data)
            assert "JANE" not in str(caught.value)
            assert caught.value.__cause__ is None
        assert "JANE" not in caplog.text + " ".join(str(w.message) for w in recwarn)

    def test_text_that_may_be_burnt_in_is_warned_of(self) -> None:
        assert "names no patient" in decode(dicom(GREY, BurnedInAnnotation="YES")).warnings[0]
        assert "Ultrasound" in decode(shipped("examples_rgb_color.dcm")).warnings[0]
        assert "secondary capture" in decode(shipped("SC_rgb_rle.dcm")).warnings[0]
        assert decode(dicom(GREY, BurnedInAnnotation="NO")).warnings == ()

    @pytest.mark.parametrize("tags", [{"BurnedInAnnotation": "YES"}, {"Modality": "US"}])
    def test_it_needs_a_person_before_it_is_stored(self, tags: dict[str, str]) -> None:
        assert decode(dicom(GREY, **tags), find_text=False).needs_clearance
        assert not decode(dicom(GREY, BurnedInAnnotation="NO"), find_text=False).needs_clearance


def test_the_corpus_files_are_read_as_meant() -> None:
    for kind, data in honest().items():
        assert PATIENT.encode() in data or "DICOM" not in kind
        assert decode(data).pixels.shape == (96, 96), kind
