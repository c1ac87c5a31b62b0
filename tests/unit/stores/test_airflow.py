"""The Airflow client where there is no Airflow; tests/services/test_dag.py has it talk to a real
one.
"""

from __future__ import annotations

import pytest
from pydantic import SecretStr
from tests.listening import Webhook

from medloop.errors import SettingsError, StoreUnavailableError
from medloop.settings import Settings
from medloop.stores.airflow import Airflow


def test_nothing_set_is_said_with_the_names_of_the_settings():
    with pytest.raises(SettingsError, match="MEDLOOP_AIRFLOW_URL"):
        Airflow(Settings())


def test_an_airflow_that_is_away_is_unavailable_and_named():
    with Webhook() as gone:
        pass
    settings = Settings(
        airflow_url=gone.url, airflow_username="ada", airflow_password=SecretStr("secret-word")
    )
    with pytest.raises(StoreUnavailableError, match="does not answer") as caught:
        Airflow(settings).dag()
    assert "secret-word" not in str(caught.value)
