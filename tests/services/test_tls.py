"""TLS to S3 and MLflow with a private authority, and encryption at rest: real servers behind a real
TLS front.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.servers import MLflowServer, SeaweedFS
from tests.tls import Authority, TlsFront

from medloop.errors import StoreUnavailableError
from medloop.settings import Settings, load_settings
from medloop.stores.mlflow_rest import MlflowRest
from medloop.stores.objects import ObjectStore
from medloop.stores.training_run import log_files

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "another")


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


class TestS3:
    @pytest.fixture
    def environment(
        self, seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch
    ) -> pytest.MonkeyPatch:
        for name, value in seaweedfs.environment.items():
            monkeypatch.setenv(name, value)
        return monkeypatch

    def store(
        self, environment: pytest.MonkeyPatch, front: TlsFront, bundle: Path | None
    ) -> ObjectStore:
        """As the settings of a user make it."""
        environment.setenv("AWS_ENDPOINT_URL_S3", front.url)
        if bundle:
            environment.setenv("AWS_CA_BUNDLE", str(bundle))
        return ObjectStore.from_settings(load_settings())

    def test_a_private_authority_is_trusted_where_it_is_named(
        self, environment: pytest.MonkeyPatch, seaweedfs: SeaweedFS, authority: Authority
    ) -> None:
        with TlsFront(port_of(seaweedfs.endpoint), authority.certificate()) as front:
            objects = self.store(environment, front, authority.bundle)
            objects.put("tls/a", b"over TLS")
            assert objects.get("tls/a") == b"over TLS"
        assert (
            seaweedfs.client().get_object(Bucket=seaweedfs.bucket, Key="tls/a")["Body"].read()
            == b"over TLS"
        )

    @pytest.mark.parametrize("trusted", ["nobody", "another", "ours"])
    def test_a_server_that_nobody_vouches_for_gets_nothing(
        self,
        environment: pytest.MonkeyPatch,
        seaweedfs: SeaweedFS,
        authority: Authority,
        stranger: Authority,
        trusted: str,
    ) -> None:
        """With our authority named, an expired certificate, and one for another address."""
        bundle = {"nobody": None, "another": stranger.bundle, "ours": authority.bundle}[trusted]
        bad = [authority.certificate(days=-1), authority.certificate("127.0.0.9")]
        for certificate in bad if trusted == "ours" else [authority.certificate()]:
            with TlsFront(port_of(seaweedfs.endpoint), certificate) as front:
                objects = self.store(environment, front, bundle)
                with pytest.raises(StoreUnavailableError):
                    objects.put(f"tls/{trusted}", b"x")
        assert "Contents" not in seaweedfs.client().list_objects_v2(
            Bucket=seaweedfs.bucket, Prefix=f"tls/{trusted}"
        )

    def test_encryption_at_rest_is_asked_for_with_each_object(self, seaweedfs: SeaweedFS) -> None:
        settings = Settings(
            s3_endpoint_url=seaweedfs.endpoint,
            aws_access_key_id=seaweedfs.access_key,
            aws_secret_access_key=seaweedfs.secret_key,
            s3_bucket=seaweedfs.bucket,
            s3_encryption="AES256",
        )
        objects = ObjectStore.from_settings(settings)
        objects.create("rest/a", b"x")
        assert objects.get("rest/a") == b"x"
        head = seaweedfs.client().head_object(Bucket=seaweedfs.bucket, Key="rest/a")
        assert head["ServerSideEncryption"] == "AES256"


class TestMLflow:
    @pytest.fixture
    def front(self, mlflow_server: MLflowServer, authority: Authority) -> Iterator[TlsFront]:
        with TlsFront(port_of(mlflow_server.uri), authority.certificate()) as front:
            yield front

    @pytest.fixture
    def environment(
        self, mlflow_server: MLflowServer, front: TlsFront, monkeypatch: pytest.MonkeyPatch
    ) -> pytest.MonkeyPatch:
        for name, value in {**mlflow_server.environment, "MLFLOW_TRACKING_URI": front.url}.items():
            monkeypatch.setenv(name, value)
        return monkeypatch

    def test_a_private_authority_is_trusted_where_it_is_named(
        self, environment: pytest.MonkeyPatch, front: TlsFront, authority: Authority
    ) -> None:
        """By what reads the registry, and by MLflow's own library, which logs a training."""
        environment.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(authority.bundle))
        settings = load_settings()
        rest = MlflowRest(settings)
        experiment = rest.send("POST", "/experiments/create", name="over TLS")["experiment_id"]
        run = rest.send("POST", "/runs/create", experiment_id=experiment)["run"]["info"]
        log_files(settings, front.url, run["run_id"], {"gate/report.json": b"{}"})
        assert rest.artifact(f"{run['artifact_uri']}/gate/report.json") == b"{}"

    def test_without_its_authority_a_server_gets_no_password(
        self, environment: pytest.MonkeyPatch, stranger: Authority
    ) -> None:
        for bundle in ("", str(stranger.bundle)):
            environment.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", bundle)
            with pytest.raises(StoreUnavailableError, match="does not answer"):
                MlflowRest(load_settings()).get("/experiments/search", max_results=1)

    def test_a_certificate_for_another_address_is_refused(
        self, environment: pytest.MonkeyPatch, mlflow_server: MLflowServer, authority: Authority
    ) -> None:
        elsewhere = authority.certificate("127.0.0.9")
        with TlsFront(port_of(mlflow_server.uri), elsewhere) as front:
            environment.setenv("MLFLOW_TRACKING_URI", front.url)
            environment.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(authority.bundle))
            with pytest.raises(StoreUnavailableError):
                MlflowRest(load_settings()).get("/experiments/search", max_results=1)
