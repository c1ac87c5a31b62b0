"""Where each setting may come from, which source wins, and that no secret is shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import medloop
from medloop.errors import SettingsError
from medloop.settings import LOCAL_ENV, Settings, load_named_settings, load_settings, read_config_py

LOCAL = {
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:8333",
    "AWS_ACCESS_KEY_ID": "local-key",
    "AWS_SECRET_ACCESS_KEY": "local-secret",
    "MEDLOOP_S3_BUCKET": "local-bucket",
    "MLFLOW_TRACKING_URI": "http://127.0.0.1:5000",
    "MLFLOW_TRACKING_USERNAME": "local-user",
    "MLFLOW_TRACKING_PASSWORD": "local-password",
    "MEDLOOP_AIRFLOW_URL": "http://127.0.0.1:8080",
    "MEDLOOP_AIRFLOW_PASSWORD": "local-airflow",
    "MEDLOOP_IDENTITY_KEY": "local-identity",
}
SECRETS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "DAGSHUB_USER_TOKEN",
    "MEDLOOP_AIRFLOW_PASSWORD",
    "MEDLOOP_IDENTITY_KEY",
    "MEDLOOP_NOTIFY_WEBHOOK",
)


def _secret(settings: Settings, name: str) -> str | None:
    value = getattr(settings, name)
    return value.get_secret_value() if value else None


def _local_stack(values: dict[str, str] = LOCAL, home: Path = Path(".medloop")) -> None:
    home.mkdir(parents=True, exist_ok=True)
    (home / LOCAL_ENV).write_text("".join(f"{name}={value}\n" for name, value in values.items()))


COMPILED_IN = re.compile(
    r"(AKIA|ASIA)[0-9A-Z]{16}|(secret|password|token|key)\w*[\"']?\s*[=:]\s*[\"'][A-Za-z0-9/+=_-]{20,}[\"']",
    re.IGNORECASE,
)


def test_no_credentials_are_compiled_in() -> None:
    """The published system's front end held its AWS keys in its source."""
    for compiled in (
        'aws_key = "AKIAIOSFODNN7EXAMPLE"',
        '"aws_secret": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"',
    ):
        assert COMPILED_IN.search(compiled)
    files = [
        path
        for path in Path(medloop.__file__).parent.rglob("*")
        if path.suffix in {".py", ".toml", ".css", ".md"}
    ]
    assert len(files) > 100
    assert [str(path) for path in files if COMPILED_IN.search(path.read_text("utf-8"))] == []
    settings = load_settings()
    assert {
        name
        for name in Settings.model_fields
        if "SecretStr" in str(Settings.model_fields[name].annotation)
        and getattr(settings, name) is not None
    } == set()


def test_without_anything_there_are_defaults() -> None:
    settings = load_settings()
    assert (settings.s3_bucket, settings.model_name, settings.host) == (
        "medloop",
        "medical-mnist",
        "127.0.0.1",
    )
    assert settings.s3_endpoint_url is settings.mlflow_tracking_uri is settings.airflow_url is None


@pytest.mark.parametrize(
    ("variable", "field", "value"),
    [
        ("AWS_ENDPOINT_URL_S3", "s3_endpoint_url", "https://s3.example"),
        ("AWS_ENDPOINT_URL", "s3_endpoint_url", "https://s3.example"),
        ("AWS_REGION", "aws_region", "eu-central-1"),
        ("AWS_DEFAULT_REGION", "aws_region", "eu-central-1"),
        ("MEDLOOP_S3_BUCKET", "s3_bucket", "clinic"),
        ("MLFLOW_TRACKING_URI", "mlflow_tracking_uri", "https://mlflow.example"),
        ("MLFLOW_TRACKING_USERNAME", "mlflow_tracking_username", "ada"),
        ("MEDLOOP_AIRFLOW_URL", "airflow_url", "https://airflow.example"),
        ("MEDLOOP_MODEL_NAME", "model_name", "hands"),
        ("MEDLOOP_APP_PORT", "app_port", 9000),
        ("MEDLOOP_POLL_S", "poll_s", 0.5),
    ],
)
@pytest.mark.parametrize("source", ["environment", ".env"])
def test_each_setting_is_read_from_both(
    monkeypatch: pytest.MonkeyPatch, variable: str, field: str, value: object, source: str
) -> None:
    if source == "environment":
        monkeypatch.setenv(variable, str(value))
    else:
        Path(".env").write_text(f"{variable}={value}\n")
    assert getattr(load_settings(), field) == value


def test_an_override_beats_the_environment_beats_dotenv_beats_config_py(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("config.py").write_text('config = {"aws_key": "of-config", "aws_secret": "of-config"}')
    assert _secret(load_settings(), "aws_access_key_id") == "of-config"
    Path(".env").write_text("AWS_ACCESS_KEY_ID=of-dotenv\n")
    assert _secret(load_settings(), "aws_access_key_id") == "of-dotenv"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-environment")
    assert _secret(load_settings(), "aws_access_key_id") == "of-environment"
    assert (
        _secret(load_settings(aws_access_key_id="of-override"), "aws_access_key_id")
        == "of-override"
    )
    assert _secret(load_settings(), "aws_secret_access_key") == "of-config"


@pytest.mark.parametrize(
    ("strong", "weak", "field"),
    [
        ("AWS_DEFAULT_REGION", "AWS_REGION", "aws_region"),
        ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "s3_endpoint_url"),
    ],
)
def test_the_source_decides_before_the_spelling(
    monkeypatch: pytest.MonkeyPatch, strong: str, weak: str, field: str
) -> None:
    Path(".env").write_text(f"{weak}=of-dotenv\n")
    monkeypatch.setenv(strong, "of-environment")
    assert getattr(load_settings(), field) == "of-environment"


def test_in_one_source_the_spelling_that_names_s3_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://everything.example")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://s3.example")
    assert load_settings().s3_endpoint_url == "http://s3.example"


def test_an_empty_variable_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOOP_S3_BUCKET", "")
    assert load_settings().s3_bucket == "medloop"


def test_a_foreign_variable_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME_PAGE", "MODEL_NAME", "HOST", "SEED", "USER", "ENGINE"):
        monkeypatch.setenv(name, "something")
    assert load_settings().model_dump(exclude={"user"}) == Settings().model_dump(exclude={"user"})
    assert load_settings().host == "127.0.0.1"


class TestConfigPy:
    def test_gives_keys_and_any_other_setting_by_name(self) -> None:
        Path("config.py").write_text(
            'config = {"aws_key": "k", "aws_secret": "s", "s3_bucket": "b", "unknown": 1}'
        )
        settings = load_settings()
        assert (
            _secret(settings, "aws_access_key_id"),
            _secret(settings, "aws_secret_access_key"),
        ) == ("k", "s")
        assert settings.s3_bucket == "b"

    def test_is_never_executed(self) -> None:
        """The published system imported it: whoever could write the file could run code."""
        Path("config.py").write_text(
            'open("executed", "w")\nconfig = {"aws_key": "k"}\nopen("executed", "w")'
        )
        assert _secret(load_settings(), "aws_access_key_id") == "k"
        assert not Path("executed").exists()

    @pytest.mark.parametrize(
        "source",
        [
            'config = {"aws_key": open("executed", "w")}',
            'config = {"aws_key": __import__("os").getenv("X")}',
            "config = dict(aws_key='k')",
            "config = ['aws_key']",
            "config = {'aws_key': 'geheim'",
            "config = {[]: 1}",
        ],
    )
    def test_anything_but_a_literal_is_refused_in_a_sentence(self, source: str) -> None:
        Path("config.py").write_text(source)
        with pytest.raises(SettingsError, match=r"config\.py") as refused:
            load_settings()
        assert "geheim" not in str(refused.value)
        assert not Path("executed").exists()

    def test_without_a_config_in_it_counts_as_none(self) -> None:
        assert read_config_py("password = 'x'\n") == {}

    @given(
        st.dictionaries(st.text(), st.one_of(st.text(), st.integers(), st.none(), st.booleans()))
    )
    def test_reads_back_any_literal_dictionary(self, values: dict[str, object]) -> None:
        assert read_config_py(f"# comment\nimport os\nconfig = {values!r}\n") == values

    @given(st.text())
    def test_any_text_is_read_or_refused(self, source: str) -> None:
        try:
            assert isinstance(read_config_py(source), dict)
        except SettingsError as error:
            assert "config.py" in str(error)  # noqa: PT017  both outcomes are right


class TestDagsHub:
    def test_its_token_is_the_password_where_none_is_given(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DAGSHUB_USER_TOKEN", "token")
        settings = load_settings()
        assert _secret(settings, "mlflow_password") == "token"
        assert settings.mlflow_username == "token"

    def test_a_password_of_its_own_wins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DAGSHUB_USER_TOKEN", "token")
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "password")
        settings = load_settings()
        assert (settings.mlflow_username, _secret(settings, "mlflow_password")) == (
            "ada",
            "password",
        )

    def test_without_either_nobody_logs_in(self) -> None:
        assert load_settings().mlflow_password is None
        assert load_settings().mlflow_username is None


class TestLocalStack:
    def test_fills_in_what_nobody_names(self) -> None:
        _local_stack()
        settings = load_settings()
        assert settings.s3_endpoint_url == LOCAL["AWS_ENDPOINT_URL_S3"]
        assert _secret(settings, "mlflow_password") == "local-password"
        assert _secret(settings, "identity_key") == "local-identity"

    def test_lies_in_the_home_that_the_settings_name(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        _local_stack(home=tmp_path / "elsewhere")
        assert load_settings().s3_bucket == "medloop"
        monkeypatch.setenv("MEDLOOP_HOME", str(tmp_path / "elsewhere"))
        assert load_settings().s3_bucket == "local-bucket"

    def test_aws_keys_for_something_else_do_not_reach_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _local_stack()
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-another-project")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-another-project")
        Path("config.py").write_text('config = {"aws_key": "of-another-project"}')
        settings = load_settings()
        assert _secret(settings, "aws_access_key_id") == "local-key"
        assert _secret(settings, "aws_secret_access_key") == "local-secret"

    @pytest.mark.parametrize(
        "name", ["MEDLOOP_S3_BUCKET", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]
    )
    def test_its_keys_never_go_to_another_s3(
        self, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        _local_stack()
        monkeypatch.setenv(name, "theirs")
        settings = load_settings()
        assert settings.aws_access_key_id is settings.aws_secret_access_key is None
        assert _secret(settings, "mlflow_password") == "local-password"

    def test_its_password_never_goes_to_another_mlflow(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _local_stack()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://dagshub.com/ada/hands.mlflow")
        monkeypatch.setenv("DAGSHUB_USER_TOKEN", "token")
        settings = load_settings()
        assert (settings.mlflow_username, _secret(settings, "mlflow_password")) == (
            "token",
            "token",
        )
        assert settings.s3_bucket == "local-bucket"

    def test_its_password_never_goes_to_another_airflow(self) -> None:
        _local_stack()
        settings = load_settings(airflow_url="https://airflow.example")
        assert (settings.airflow_url, settings.airflow_password) == (
            "https://airflow.example",
            None,
        )

    def test_a_setting_of_no_system_gives_way_to_what_is_named(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _local_stack()
        monkeypatch.setenv("MEDLOOP_IDENTITY_KEY", "shared by all front ends")
        assert _secret(load_settings(), "identity_key") == "shared by all front ends"

    def test_whoever_starts_the_stack_does_not_see_the_last_one(self) -> None:
        _local_stack()
        settings = load_named_settings()
        assert settings.s3_endpoint_url is settings.mlflow_tracking_uri is None
        assert settings.model_fields_set == set()


class TestSecrets:
    @pytest.mark.parametrize("name", SECRETS)
    def test_are_never_shown(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        monkeypatch.setenv(name, "geheim")
        settings = load_settings()
        assert any(
            value.get_secret_value() == "geheim"
            for _, value in settings
            if hasattr(value, "get_secret_value")
        )
        for shown in (
            repr(settings),
            str(settings),
            repr(settings.model_dump()),
            settings.model_dump_json(),
        ):
            assert "geheim" not in shown

    def test_are_not_in_an_error_about_them(self) -> None:
        Path("config.py").write_text(
            'config = {"aws_key": ["geheim"], "aws_secret": {"geheim": 1}}'
        )
        with pytest.raises(SettingsError) as refused:
            load_settings()
        assert "geheim" not in str(refused.value)
        assert "geheim" not in repr(
            refused.value.__context__ if not refused.value.__suppress_context__ else None
        )


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MEDLOOP_APP_PORT", "70000"),
        ("MEDLOOP_POLL_S", "0"),
        ("MEDLOOP_ENGINE", "spark"),
        ("MEDLOOP_SEED", "one"),
    ],
)
def test_a_wrong_value_is_named_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=variable):
        load_settings()


def test_a_setting_that_does_not_exist_is_named_with_what_was_meant(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MEDLOOP_BASE_DATSET", "97486d4eff08ce22")
    Path(".env").write_text("MEDLOOP_REVIEWS=all\nANOTHER_REVIEWS=all\n")
    Path("config.py").write_text("config = {'aws_sekret': 'geheim', 'review': 'all'}")
    load_settings()
    said = caplog.text
    assert "'MEDLOOP_BASE_DATSET' (did you mean 'MEDLOOP_BASE_DATASET'?)" in said
    assert "'MEDLOOP_REVIEWS' (did you mean 'MEDLOOP_REVIEW'?)" in said
    assert "'aws_sekret' (did you mean 'aws_secret'?) in config.py" in said
    assert "ANOTHER" not in said
    assert "geheim" not in said
    caplog.clear()
    load_settings()
    assert caplog.text == "", "once per process"
