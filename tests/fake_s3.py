"""An S3 that lists keys as they are: real ones fold or refuse some that AWS keeps."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape


@contextmanager
def fake_s3(objects: Mapping[str, bytes]) -> Iterator[str]:
    """Serve `objects` as a bucket `b`; the endpoint's address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = parse_qs(url.query, keep_blank_values=True)
            if "list-type" in query:
                return self.answer(listing(objects, query))
            return self.answer(objects.get(unquote(url.path).removeprefix("/b/")))

        do_HEAD = do_GET  # noqa: N815 -- the name that http.server asks for

        def answer(self, body: bytes | None) -> None:
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
            self.send_header("ETag", '"x"')
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def listing(objects: Mapping[str, bytes], query: Mapping[str, list[str]]) -> bytes:
    prefix, after = (query.get(name, [""])[0] for name in ("prefix", "start-after"))
    as_text = quote if "encoding-type" in query else escape
    contents = "".join(
        f"<Contents><Key>{as_text(key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
        f'<ETag>"x"</ETag><Size>{len(body)}</Size></Contents>'
        for key, body in sorted(objects.items())
        if key.startswith(prefix) and key > after
    )
    encoding = "<EncodingType>url</EncodingType>" if "encoding-type" in query else ""
    head = f"<Name>b</Name><Prefix>{as_text(prefix)}</Prefix><MaxKeys>1000</MaxKeys>{encoding}"
    result = (
        f"<ListBucketResult>{head}<IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>{result}'.encode()
