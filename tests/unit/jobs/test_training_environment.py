"""What a training ran with, and what is another now."""

from __future__ import annotations

from medloop.jobs.training_environment import differences, environment


def test_it_names_packages_and_processor():
    found = environment(device="cpu")
    assert found["torch"].startswith("2.")
    assert found["processor"]
    assert found["GPU"] == "none"


def test_only_what_differs_is_named():
    now = {"torch": "2.13", "numpy": "2.4", "cores": "2"}
    assert differences(now, now) == []
    assert differences({"torch": "2.12", "numpy": "2.4"}, now) == [
        "torch was 2.12 and is 2.13",
        "cores was not recorded and is 2",
    ]
