"""Decoding of uploads to grey pixels: file types, DICOM, raster formats, limits."""
