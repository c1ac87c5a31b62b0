"""Decoding of uploads to grey pixels, whatever the file calls itself.

Owns the public entry, the limits and the result. `file_types` tells formats apart, `raster` reads
the ordinary ones and `dicom` reads DICOM. Nothing but pixels and a few technical words survives:
no file name, EXIF, GPS or patient data, not even in an error.

tests/hostile measures these bounds, with the default `Limits`. Every input ends in a picture or a
DecodeError. A hostile one takes at most 2 s. Memory on top of the file stays under 1 GiB: a picture
that would take more is refused by its header, before anything is decoded. An honest picture near
the limits (64 megapixels) takes longer if its codec is slow.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, fields, replace

import numpy as np
from PIL import Image

from medloop.core.imaging import burnt_in, colour, raster
from medloop.core.imaging.file_types import Kind, kind_of
from medloop.core.imaging.limits import Limits
from medloop.core.imaging.picture import ImageInfo
from medloop.errors import DecodeError

__all__ = ["DecodedImage", "Limits", "content_sha256", "decode", "encode_png"]

PNG_COMPRESSION = 4  # twice as quick as zlib's default, and within 3 % on medical images
INFO_FIELDS = tuple(found.name for found in fields(ImageInfo))


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedImage(ImageInfo):
    """The picture as a person would see it."""

    pixels: np.ndarray  # uint8 [H, W], grey
    sha256: str  # content_sha256(pixels)

    @property
    def info(self) -> ImageInfo:
        """Return all but the pixels, which take memory."""
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
        limits: Bounds that are checked before decoding.
        frame: As for `decode_pixels`.
        window: As for `decode_pixels`.
        find_text: Look for text near the border and warn of it.

    Raises:
        DecodeError: No readable picture; the sentence holds neither file name nor patient data.
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
    """Decode grey pixels uint8 [H, W] and facts about them: all that a predictor needs.

    Colour becomes luminance, transparency is laid over black, EXIF rotation is applied, and more
    than 8 bits become 8 as `raster` and `dicom` describe.

    Args:
        data: The file, told apart by content.
        limits: Bounds that are checked before decoding.
        frame: Number, from 0, of a picture in a multi-frame DICOM or a TIFF stack. The default is
            the middle slice of a DICOM file, in the plane of a volume's largest face
            (docs/images.md), and the first page of a TIFF.
        window: Centre and width in modality values (HU for CT), instead of the DICOM file's own.

    Raises:
        DecodeError: No readable picture; the sentence holds neither file name nor patient data.
    """
    limits.check_file(len(data))
    kind = kind_of(data)
    try:
        pixels, info = _read(data, kind, limits, frame, window)
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


def _read(
    data: bytes,
    kind: Kind,
    limits: Limits,
    frame: int | None,
    window: tuple[float, float] | None,
) -> tuple[np.ndarray, ImageInfo]:
    if kind != "DICOM":
        return raster.read(data, kind, limits=limits, frame=frame)
    from medloop.core.imaging import dicom  # pydicom takes a second to import

    return dicom.read(data, limits=limits, frame=frame, window=window)


def content_sha256(pixels: np.ndarray) -> str:
    """Identify a picture by SHA-256 over height, width and the grey uint8 pixels in row order."""
    if pixels.dtype != np.uint8 or pixels.ndim != 2:
        raise ValueError(
            f"expected grey uint8 pixels [H, W], got {pixels.dtype} of shape {pixels.shape}"
        )
    digest = hashlib.sha256(f"{pixels.shape[0]}x{pixels.shape[1]}:".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def encode_png(pixels: np.ndarray) -> bytes:
    """Encode a grey PNG: lossless, without metadata, the same bytes for the same pixels."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=PNG_COMPRESSION)
    return buffer.getvalue()
