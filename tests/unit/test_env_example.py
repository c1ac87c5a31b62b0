"""`.env.example` is what the settings say."""

from __future__ import annotations

import runpy
from pathlib import Path

from medloop.settings import Settings, load_named_settings, load_settings, variable_name
from medloop.stack.plan import Locals

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLE = REPOSITORY / ".env.example"


def test_it_is_current() -> None:
    script = runpy.run_path(str(REPOSITORY / "scripts" / "env_example.py"))
    assert EXAMPLE.read_text("utf-8") == script["render"](), "run `make docs`"


def test_it_lists_every_setting_with_a_comment() -> None:
    lines = EXAMPLE.read_text("utf-8").splitlines()
    for name in Settings.model_fields:
        variable = variable_name(name)
        (place,) = [number for number, line in enumerate(lines) if line.startswith(f"#{variable}=")]
        assert lines[place - 1].startswith(f"# {variable}: "), variable


def test_with_every_line_taken_in_it_changes_nothing() -> None:
    before, started = load_settings(), local_systems()
    lines = [
        line.removeprefix("#")
        for line in EXAMPLE.read_text("utf-8").splitlines()
        if not line.startswith("# ")
    ]
    Path(".env").write_text("\n".join(line for line in lines if not line.startswith("#")))
    assert load_settings() == before
    assert local_systems() == started == Locals(s3=True, mlflow=True, airflow=True)


def local_systems() -> Locals:
    """What `medloop up` would start itself."""
    return Locals.of(load_named_settings(), with_airflow=True)


def test_a_bucket_that_is_named_is_the_users_own_even_under_the_default_name() -> None:
    """So the example must not name it, and says what naming it means."""
    Path(".env").write_text("MEDLOOP_S3_BUCKET=medloop\n")
    assert local_systems() == Locals(s3=False, mlflow=True, airflow=True)
    text = EXAMPLE.read_text("utf-8")
    assert "\n#MEDLOOP_S3_BUCKET=\n" in text
    assert text.count("`medloop up` then starts none") == 3
