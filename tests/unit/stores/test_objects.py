import contextlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.events import objects_at
from tests.object_contract import ObjectStoreContract

from medloop.errors import StoreError, StoreUnavailableError
from medloop.stores import objects as objects_module
from medloop.stores.objects import ObjectStore
from medloop.stores.s3_refusals import refusal


class TestInMemory(ObjectStoreContract):
    @pytest.fixture
    def objects(self) -> ObjectStore:
        return ObjectStore.in_memory()

    @pytest.fixture
    def folder(self) -> str:
        return "folder"


@pytest.mark.parametrize(
    ("answer", "words", "worth_another_try"),
    [
        ("status code: 503 Service Unavailable: <Error><Code>SlowDown</Code>", "SlowDown", True),
        ("status code: 500 Internal Server Error: <Error><Code>InternalError</Code>", "full", True),
        ("status code: 429 Too Many Requests: ", "429", True),
        ("HTTP error: error sending request", "cannot be reached", True),
        ("HTTP error: operation timed out", "not answer in time", True),
        ("status code: 400 Bad Request: <Error><Code>ExpiredToken</Code>", "expired", False),
        ("status code: 403 Forbidden: ", "rights", False),
        ("status code: 403 Forbidden: <Error><Code>AccessDenied</Code>", "rights", False),
        (
            "DeleteObjects request failed for key a: Access Denied. (code: AccessDenied)",
            "rights",
            False,
        ),
        ("status code: 403 Forbidden: <Error><Code>RequestTimeTooSkewed</Code>", "clock", False),
        (
            "status code: 404 Not Found: <Error><Code>NoSuchBucket</Code>",
            "create the bucket",
            False,
        ),
        ("status code: 301 Moved: <Error><Code>PermanentRedirect</Code>", "region", False),
        ("status code: 418 I'm a teapot", "418", False),
        ("", "no reason given", False),
    ],
)
def test_a_refusal_says_what_to_do(answer: str, words: str, worth_another_try: bool) -> None:
    error = refusal(answer, store="the bucket", act="writing x")
    assert words in str(error)
    assert str(error).startswith("the bucket")
    assert isinstance(error, StoreError)
    assert isinstance(error, StoreUnavailableError) == worth_another_try


def test_a_refusal_does_not_repeat_the_access_key() -> None:
    answer = (
        "status code: 403: "
        "<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>AKIA123</AWSAccessKeyId>"
    )
    assert "AKIA123" not in str(refusal(answer, store="the bucket", act="writing x"))


class Answering(ThreadingHTTPServer):
    """An S3 server that gives one answer to everything, as it comes over the wire."""

    def __init__(self, status: int, code: str, *, after_s: float = 0.0) -> None:
        self.answered = 0
        key = "<AWSAccessKeyId>AKIASECRET</AWSAccessKeyId>"
        body = f"<Error><Code>{code}</Code><Message>no</Message>{key}</Error>"

        class Handler(BaseHTTPRequestHandler):
            def handle_one_request(self) -> None:
                with contextlib.suppress(ConnectionError):
                    super().handle_one_request()

            def do_PUT(self) -> None:
                outer.answered += 1
                time.sleep(after_s)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                """Quiet."""

        outer = self
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def store(self) -> ObjectStore:
        return objects_at(
            f"http://127.0.0.1:{self.server_port}", access_key="AKIASECRET", secret_key="s"
        )


@pytest.mark.parametrize(
    ("status", "code", "words", "asked"),
    [
        (503, "SlowDown", "answers 503 SlowDown", 3),
        (500, "InternalError", "may be overloaded, starting or full", 3),
        (400, "ExpiredToken", "the credentials have expired: renew them", 1),
        (403, "AccessDenied", "give these credentials the rights", 1),
        (403, "RequestTimeTooSkewed", "set this machine's clock", 1),
        (404, "NoSuchBucket", "create the bucket or correct MEDLOOP_S3_BUCKET", 1),
    ],
)
def test_what_a_server_answers_becomes_a_sentence(
    status: int, code: str, words: str, asked: int
) -> None:
    server = Answering(status, code)
    with pytest.raises(StoreError, match=words) as caught:
        server.store().ensure("a", b"x")
    assert "AKIASECRET" not in str(caught.value)
    assert server.answered == asked


def test_a_store_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(objects_module.CLIENT, "timeout", "300ms")
    server = Answering(200, "", after_s=2)
    with pytest.raises(StoreUnavailableError, match="does not answer in time"):
        server.store().put("a", b"x")
