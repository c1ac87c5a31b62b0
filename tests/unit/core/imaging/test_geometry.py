"""Which plane of a volume is shown, and pixels that are not square."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless
from tests.hostile.corpus import dicom, photo, volume

from medloop.core.imaging.decode import DecodedImage, Limits, decode
from medloop.core.imaging.dicom_frames import MAX_EFFORT

pytestmark = pytest.mark.filterwarnings("ignore:::pydicom.*")

# A slab of a body [z, y, x]: 20 mm from the feet (first) to the head, 60 from front to back, 64
# from right to left.
BODY = np.stack(
    [np.asarray(Image.fromarray(photo(96, seed=z)).resize((64, 60))) for z in range(20)]
)
SAGITTAL = BODY[::-1].transpose(
    2, 0, 1
)  # frames from right to left; rows from the head down, columns from the front
MIDDLE = BODY[9]  # the largest face at row 10, of 20 from the head


def similar(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.97


def as_stored(image: DecodedImage, stack: np.ndarray) -> bool:
    return not image.resliced and np.array_equal(image.pixels, stack[len(stack) // 2])


class TestTheLargestFace:
    def test_is_cut_across_frames_that_are_smaller(self) -> None:
        image = decode(volume(SAGITTAL))
        assert (image.resliced, image.frames, image.frame, image.warnings) == (True, 64, 32, ())
        np.testing.assert_array_equal(image.pixels, MIDDLE)

    def test_is_the_stored_plane_if_that_is_larger(self) -> None:
        places = [[0, 0, z] for z in range(20)]
        image = decode(volume(BODY, rows_to=(0, 1, 0), columns_to=(1, 0, 0), positions=places))
        assert as_stored(image, BODY)

    def test_counts_in_millimetres_not_in_pixels(self) -> None:
        places = [[x / 4, 0, 0] for x in range(64)]
        assert as_stored(decode(volume(SAGITTAL, positions=places)), SAGITTAL)

    def test_has_to_be_larger_by_a_tenth(self) -> None:
        cube = SAGITTAL[:21]
        assert as_stored(decode(volume(cube)), cube)
        assert decode(volume(SAGITTAL[:22])).resliced

    def test_is_not_looked_for_where_slices_are_transverse(self) -> None:
        """However long the scan: models know such slices."""
        long = BODY.transpose(2, 0, 1)  # [z, y, x] of 64, 20, 60
        places = [[0, 0, z] for z in range(64)]
        assert as_stored(
            decode(volume(long, rows_to=(0, 1, 0), columns_to=(1, 0, 0), positions=places)), long
        )

    def test_may_be_the_side(self) -> None:
        """Of a volume stored in coronal frames from the back, rows from the feet up: shown head up,
        the front on the left.
        """
        stack = BODY.transpose(1, 2, 0)  # [y, z, x] of 60, 64, 20
        places = [[0, -y, 0] for y in range(60)]
        image = decode(volume(stack, rows_to=(0, 0, 1), columns_to=(1, 0, 0), positions=places))
        np.testing.assert_array_equal(image.pixels, stack[::-1, ::-1, 10].T)

    def test_is_found_however_the_frames_are_sorted(self) -> None:
        mixed = np.random.default_rng(0).permutation(64)
        image = decode(volume(SAGITTAL[mixed], positions=[[float(x), 0, 0] for x in mixed]))
        np.testing.assert_array_equal(image.pixels, MIDDLE)

    def test_has_square_pixels(self) -> None:
        image = decode(volume(SAGITTAL[1::3], positions=[[x * 3.0, 0, 0] for x in range(21)]))
        assert image.resliced
        assert similar(image.pixels, np.asarray(Image.fromarray(MIDDLE[:, 1::3]).resize((63, 60))))

    def test_goes_by_a_declared_distance_where_no_frame_has_a_place(self) -> None:
        for tags in (
            {"SpacingBetweenSlices": 1},
            {"SliceThickness": 1},
            {"SpacingBetweenSlices": 0, "SliceThickness": 1},
        ):
            image = decode(volume(SAGITTAL, positions=[], Modality="CT", **tags))
            np.testing.assert_array_equal(image.pixels, SAGITTAL[:, 10], err_msg=str(tags))
            assert as_stored(
                decode(volume(SAGITTAL, positions=[], Modality="US", **tags)), SAGITTAL
            )

    def test_takes_each_frame_by_its_own_rescaling(self) -> None:
        """PET: what is stored means something else in every frame."""
        slopes = [1 + x % 3 for x in range(64)]
        groups = [rescaled(float(x), slope) for x, slope in enumerate(slopes)]
        stored = (SAGITTAL.astype(np.uint16) * 6) // np.array(slopes, np.uint16)[:, None, None]
        tags = {
            "PerFrameFunctionalGroupsSequence": Sequence(groups),
            "WindowCenter": 768,
            "WindowWidth": 1536,
        }
        image = decode(volume(stored, positions=[], Modality="PT", **tags))
        assert image.resliced
        assert np.abs(image.pixels.astype(int) - MIDDLE).max() <= 1

    @pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless, RLELossless])
    def test_is_the_same_however_the_frames_are_packed(self, syntax: str) -> None:
        encode = {
            JPEG2000Lossless: lambda frame: imagecodecs.jpeg2k_encode(
                frame, codecformat="j2k", level=0
            ),
            JPEGLSLossless: imagecodecs.jpegls_encode,
            RLELossless: rle,
        }[syntax]
        streams = [encode(np.ascontiguousarray(frame)) for frame in SAGITTAL]
        np.testing.assert_array_equal(
            decode(volume(SAGITTAL, syntax=syntax, streams=streams)).pixels, MIDDLE
        )

    def test_takes_the_callers_window(self) -> None:
        assert set(decode(volume(SAGITTAL), window=(128, 1)).pixels.ravel()) == {0, 255}


def rle(frame: np.ndarray) -> bytes:
    flat = frame.tobytes()
    runs = b"".join(
        bytes([len(part) - 1]) + part
        for part in (flat[i : i + 128] for i in range(0, len(flat), 128))
    )
    return np.array([1, 64, *[0] * 14], "<u4").tobytes() + runs + b"\0" * (len(runs) % 2)


def rescaled(x: float, slope: float) -> Dataset:
    """The functional groups of a sagittal frame at `x`."""
    position, plane, values, item = Dataset(), Dataset(), Dataset(), Dataset()
    position.ImagePositionPatient, plane.ImageOrientationPatient = [x, 0, 0], [0, 1, 0, 0, 0, -1]
    values.RescaleSlope, values.RescaleIntercept = slope, 0
    item.PlanePositionSequence, item.PlaneOrientationSequence = (
        Sequence([position]),
        Sequence([plane]),
    )
    item.PixelValueTransformationSequence = Sequence([values])
    return item


class TestTheStoredPlaneStays:
    def test_without_spacing(self) -> None:
        assert as_stored(decode(volume(SAGITTAL, spacing=None)), SAGITTAL)
        assert as_stored(
            decode(dicom(SAGITTAL[0], PixelData=SAGITTAL.tobytes(), NumberOfFrames=64)), SAGITTAL
        )

    def test_where_a_frame_is_asked_for(self) -> None:
        image = decode(volume(SAGITTAL), frame=7)
        assert (image.resliced, image.frame) == (False, 7)
        np.testing.assert_array_equal(image.pixels, SAGITTAL[7])

    @pytest.mark.parametrize(
        "place",
        [
            lambda x: [x % 32, 0, 0],
            lambda x: [x + 9 * (x > 40), 0, 0],
            lambda x: [x, x, 0],
            lambda x: [0, 0, 0],
        ],
        ids=["repeated in time", "with a gap", "leaning over", "all in one place"],
    )
    def test_where_the_frames_are_no_even_stack(self, place) -> None:
        image = decode(volume(SAGITTAL, positions=[place(float(x)) for x in range(64)]))
        assert as_stored(image, SAGITTAL)
        assert image.warnings == ()

    def test_where_there_are_few_frames(self) -> None:
        apart = [[x * 10.0, 0, 0] for x in range(15)]
        assert as_stored(decode(volume(SAGITTAL[:15], positions=apart)), SAGITTAL[:15])

    @pytest.mark.parametrize("value", [0, -1, "nan", "1e300", "1e-300", "inf"])
    def test_where_a_number_cannot_be_true(self, value: object) -> None:
        for data in (
            volume(SAGITTAL, spacing=[value, value]),
            volume(SAGITTAL, spacing=[1, value]),
            volume(SAGITTAL, spacing=[1]),
            volume(SAGITTAL, positions=[[value, 0, 0]] * 64),
            volume(SAGITTAL, rows_to=(0, 0, value))
            if value != -1
            else volume(SAGITTAL, rows_to=(0, 0, -2)),
            volume(
                SAGITTAL,
                positions=[],
                Modality="CT",
                SpacingBetweenSlices=value,
                SliceThickness=value,
            ),
        ):
            assert as_stored(decode(data), SAGITTAL)

    def test_with_a_note_where_cutting_would_take_too_long(self) -> None:
        noise = np.random.default_rng(0).integers(0, 4096, (256, 256), np.uint16)
        stream = imagecodecs.jpeg2k_encode(noise, codecformat="j2k", level=0)
        count = MAX_EFFORT // (4 * len(stream)) + 1
        stack = np.broadcast_to(noise, (count, 256, 256))
        data = volume(stack, spacing=(0.1, 1), syntax=JPEG2000Lossless, streams=[stream] * count)
        image = decode(data)
        assert not image.resliced
        assert image.warnings == (
            "This volume's largest face lies across its slices; to cut it out would take too "
            "long, so the middle one is "
            "shown as it is stored.",
        )
        assert not image.needs_clearance

    def test_with_a_note_where_a_frame_is_damaged(self) -> None:
        streams = [imagecodecs.jpegls_encode(np.ascontiguousarray(frame)) for frame in SAGITTAL]
        streams[3] = streams[3][:60]
        image = decode(volume(SAGITTAL, syntax=JPEGLSLossless, streams=streams))
        assert as_stored(image, SAGITTAL)
        assert "not all of them can be read" in image.warnings[0]


class TestSquarePixels:
    GREY = photo()

    @pytest.mark.parametrize(
        ("tags", "shape"),
        [
            ({"PixelSpacing": [2, 1]}, (192, 96)),
            ({"PixelSpacing": [0.5, 1]}, (96, 192)),
            ({"ImagerPixelSpacing": [0.3, 0.1]}, (288, 96)),
            ({"PixelAspectRatio": [4, 3]}, (128, 96)),
            ({"PixelSpacing": [1, 1], "PixelAspectRatio": [4, 3]}, (96, 96)),
        ],
    )
    def test_come_from_the_files_spacing(
        self, tags: dict[str, object], shape: tuple[int, int]
    ) -> None:
        image = decode(dicom(self.GREY, **tags))
        assert similar(image.pixels, np.asarray(Image.fromarray(self.GREY).resize(shape[::-1])))
        assert (image.technical["Rows"], image.technical["Columns"]) == ("96", "96")

    @pytest.mark.parametrize(
        "tags",
        [
            {"PixelSpacing": [1, 1.005]},
            {"PixelSpacing": [1, 0]},
            {"PixelSpacing": [-2, 1]},
            {"PixelSpacing": ["nan", 1]},
            {"PixelSpacing": ["1e300", 1]},
            {"PixelSpacing": [100, 1]},
            {"PixelSpacing": 2},
            {"PixelAspectRatio": [1, 0]},
            {"PixelAspectRatio": [1, 2, 3]},
        ],
    )
    def test_are_left_where_the_difference_is_nothing_or_nonsense(
        self, tags: dict[str, object]
    ) -> None:
        np.testing.assert_array_equal(decode(dicom(self.GREY, **tags)).pixels, self.GREY)

    def test_colours_too(self) -> None:
        assert decode(
            dicom(np.stack([self.GREY] * 3, axis=2), PixelSpacing=[2, 1])
        ).pixels.shape == (192, 96)

    def test_a_large_picture_is_made_smaller_not_larger(self) -> None:
        large = np.zeros((2_000, 4_000), np.uint8)
        assert decode(dicom(large, PixelSpacing=[4, 1])).pixels.shape == (2_000, 1_000)
        assert decode(dicom(large, PixelSpacing=[1, 4])).pixels.shape == (500, 4_000)
        tight = Limits(max_pixels=96 * 100)
        assert decode(dicom(self.GREY, PixelSpacing=[2, 1]), limits=tight).pixels.shape == (96, 48)
