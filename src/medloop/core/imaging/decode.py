"""From the bytes of an upload to grey pixels, whatever the file calls itself.

Owns the public entry, the limits and the result. `kinds` tells formats apart, `raster` reads the ordinary ones
and `dicom` reads DICOM. Nothing but pixels and a few technical words survives: no file name, EXIF, GPS or
patient data, not even in an error.

Bounds, with the default `Limits`, measured by tests/hostile: every input ends in a picture or a DecodeError; a
hostile one takes at most 2 s; memory on top of the file itself stays under 1 GiB, since what a picture would
take is known from its header and refused before anything is decoded. An honest picture near the limits (64
megapixels) takes longer where its codec is slow.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, fields, replace

import numpy as np
from PIL import Image

from medloop.core.imaging import burnt_in, colour, raster
from medloop.core.imaging.file_types import kind_of
from medloop.core.imaging.limits import Limits
from medloop.core.imaging.picture import ImageInfo
from medloop.errors import DecodeError

__all__ = ["DecodedImage", "Limits", "content_sha256", "decode", "encode_png"]

PNG_COMPRESSION = 4  # twice as quick as zlib's default, and within 3 % on medical images
INFO_FIELDS = tuple(found.name for found in fields(ImageInfo))


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedImage(ImageInfo):
    """What a person would see."""

    pixels: np.ndarray  # uint8 [H, W], grey
    sha256: str  # content_sha256(pixels)

    @property
    def info(self) -> ImageInfo:
        """All but the pixels, which take memory."""
        return ImageInfo(**{name: getattr(self, name) for name in INFO_FIELDS})


def decode(
    data: bytes,
    *,
    limits: Limits = Limits(),  # noqa: B008 -- frozen
    frame: int | None = None,
    window: tuple[float, float] | None = None,
    find_text: bool = True,
) -> DecodedImage:
    """Decode the picture in `data`, and say what may be said about it.

    Args:
        data: The file, told apart by content.
        limits: What is refused before decoding.
        frame: As for `decode_pixels`.
        window: As for `decode_pixels`.
        find_text: Look for text near the border and warn of it.

    Raises:
        DecodeError: Not a picture that can be read; one sentence, without file name or patient data.
    """
    pixels, info = decode_pixels(data, limits=limits, frame=frame, window=window)
    pixels.flags.writeable = False
    regions = burnt_in.text_regions(pixels) if find_text else ()
    in_colour = (colour.WARNING,) if info.in_colour else ()
    described = replace(
        info,
        warnings=info.warnings + in_colour + burnt_in.warning(regions),
        needs_clearance=info.needs_clearance or bool(regions),
        text_regions=regions,
    )
    known = {name: getattr(described, name) for name in INFO_FIELDS}
    return DecodedImage(pixels=pixels, sha256=content_sha256(pixels), **known)


def decode_pixels(
    data: bytes,
    *,
    limits: Limits = Limits(),  # noqa: B008 -- frozen
    frame: int | None = None,
    window: tuple[float, float] | None = None,
) -> tuple[np.ndarray, ImageInfo]:
    """Decode grey pixels uint8 [H, W], and what the file says of them: all that a predictor needs.

    Colour becomes luminance, transparency is laid over black, EXIF rotation is applied, more than 8 bits become
    8 as `raster` and `dicom` describe.

    Args:
        data: The file, told apart by content.
        limits: What is refused before decoding.
        frame: Which picture, from 0, of a multi-frame DICOM or a TIFF stack. By default the middle slice of a
            DICOM file, in the plane of a volume's largest face (docs/images.md), and the first page of a TIFF.
        window: Centre and width in the values of the modality (HU for CT), instead of the DICOM file's own.

    Raises:
        DecodeError: Not a picture that can be read; one sentence, without file name or patient data.
    """
    if len(data) > limits.max_bytes:
        raise DecodeError(
            f"This file has {len(data) / 2**20:.1f} MB; at most {limits.max_bytes / 2**20:.0f} MB are accepted."
        )
    kind = kind_of(data)
    try:
        if kind == "DICOM":
            from medloop.core.imaging import dicom  # pydicom takes a second to import

            pixels, info = dicom.read(data, limits=limits, frame=frame, window=window)
        else:
            pixels, info = raster.read(data, kind, limits=limits, frame=frame)
        return np.ascontiguousarray(pixels), replace(info, kind=kind)
    except DecodeError:
        raise
    except MemoryError:
        raise DecodeError(f"This {kind} file needs more memory than there is.") from None
    except Exception as error:
        # The cause stays unchained: a library's message may quote the file.
        raise DecodeError(
            f"This {kind} file is damaged and cannot be read ({type(error).__name__})."
        ) from None


def content_sha256(pixels: np.ndarray) -> str:
    """Identity of a picture: SHA-256 over height, width and the grey uint8 pixels in row order."""
    if pixels.dtype != np.uint8 or pixels.ndim != 2:
        raise ValueError(
            f"expected grey uint8 pixels [H, W], got {pixels.dtype} of shape {pixels.shape}"
        )
    digest = hashlib.sha256(f"{pixels.shape[0]}x{pixels.shape[1]}:".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def encode_png(pixels: np.ndarray) -> bytes:
    """The pixels as a grey PNG: lossless, without metadata, the same bytes for the same pixels."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=PNG_COMPRESSION)
    return buffer.getvalue()
