"""From the bytes of an upload to grey pixels: file types, DICOM, raster formats, limits."""
