import uuid
from pathlib import Path

import pytest
from tests.events import objects_at
from tests.object_contract import ObjectStoreContract
from tests.servers import SeaweedFS

from medloop.errors import StoreError, StoreUnavailableError
from medloop.settings import Settings
from medloop.stores.objects import ObjectStore

pytestmark = pytest.mark.services


@pytest.fixture
def objects(seaweedfs: SeaweedFS) -> ObjectStore:
    return objects_at(
        seaweedfs.endpoint, access_key=seaweedfs.access_key, secret_key=seaweedfs.secret_key
    )


class TestSeaweedFS(ObjectStoreContract):
    @pytest.fixture
    def folder(self) -> str:
        return f"contract/{uuid.uuid4()}"


@pytest.mark.parametrize(("key", "secret"), [("wrong", None), (None, "wrong")])
def test_wrong_credentials_are_named_in_every_call(
    seaweedfs: SeaweedFS, key: str | None, secret: str | None
) -> None:
    objects = objects_at(
        seaweedfs.endpoint,
        access_key=key or seaweedfs.access_key,
        secret_key=secret or seaweedfs.secret_key,
    )
    for call in (
        lambda: objects.get("a"),
        lambda: objects.put("a", b""),
        lambda: objects.ensure("a", b""),
        lambda: objects.delete("a"),
        lambda: list(objects.list("a")),
        lambda: objects.folders("a"),
    ):
        with pytest.raises(StoreError, match=r"AWS_(SECRET_)?ACCESS_KEY") as caught:
            call()
        assert not isinstance(caught.value, StoreUnavailableError)


def test_a_store_that_is_away_may_be_asked_again() -> None:
    objects = objects_at("http://127.0.0.1:9", access_key="a", secret_key="b")
    with pytest.raises(StoreUnavailableError, match="cannot be reached"):
        objects.get("a")


def test_a_profile_gives_credentials_and_renewing_it_needs_no_restart(
    seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The AWS chain is asked on first use, and again when what it gave runs out."""
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_PROFILE", "clinic")
    objects = ObjectStore.from_settings(Settings(s3_endpoint_url=seaweedfs.endpoint))
    file.write_text("[other]\naws_access_key_id = x\naws_secret_access_key = y\n")
    with pytest.raises(StoreError, match="clinic"):
        objects.put("chain/a", b"x")
    file.write_text(
        f"[clinic]\naws_access_key_id = {seaweedfs.access_key}\naws_secret_access_key = "
        f"{seaweedfs.secret_key}\n"
    )
    objects.put("chain/a", b"x")
    assert objects.get("chain/a") == b"x"


def test_without_any_credentials_the_error_says_how_to_give_them(
    seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    objects = ObjectStore.from_settings(Settings(s3_endpoint_url=seaweedfs.endpoint))
    with pytest.raises(StoreError, match="AWS_ACCESS_KEY_ID"):
        objects.get("a")
