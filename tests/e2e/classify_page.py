"""The Classify page as a test uses it: by the keys that `medloop.app.main` promises, waiting for
conditions.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass

from playwright.sync_api import Page, expect

from medloop.app.kit.wording import class_name

PRESSES, REACTION_MS = 10, 5_000
ENTRY = re.compile(r"^(?P<name>[^:]+): (?P<said>[^,]+), ")


@dataclass(frozen=True)
class ClassifyPage:
    """One open tab."""

    page: Page

    def open(self, url: str) -> None:
        self.page.goto(f"{url}/classify")
        expect(self.page.locator(".st-key-uploads input[type=file]")).to_be_attached(timeout=60_000)

    def start_upload(self, files: Mapping[str, bytes]) -> None:
        """Drop files, and don't wait."""
        given = [
            {"name": name, "mimeType": "image/png", "buffer": data} for name, data in files.items()
        ]
        self.page.locator(".st-key-uploads input[type=file]").set_input_files(given)

    def wait_for_pictures(self, count: int) -> None:
        """Until so many have their answer; a single one has no row above it."""
        if count == 1:
            expect(self.page.locator(".st-key-answer h2").first).to_be_visible()
        else:
            self._wait("summary", f"{count} pictures")

    def upload(self, files: Mapping[str, bytes], *, unreadable: int = 0) -> None:
        """Drop files, and wait until each that can be read has its answer."""
        self.start_upload(files)
        self.wait_for_pictures(len(files) - unreadable)

    @property
    def headline(self) -> str:
        """What the page says the picture shows."""
        return self.page.locator(".st-key-answer h2").inner_text()

    def correct_next(self, labels: Mapping[str, str]) -> str:
        """Press the right class's button for whichever of these files is looked at; the name of the
        file.

        As a person would, it presses again if the page does not react: a click right after the last
        is taken for half of a double click, and while Streamlit redraws the first such button may
        be the last picture's. Each holds its picture's id, so that no click lands on another
        picture.
        """
        shown = self._wait("picture", re.compile("|".join(map(re.escape, labels))))
        name = next(name for name in labels if name in shown)
        kind = f"st-key-class-{labels[name]}-"
        buttons = self.page.locator(f'[class*="{kind}"]')
        expect(buttons.first).to_be_visible()
        keys = buttons.evaluate_all(
            f"found => found.map(one => one.className.match(/{kind}[^ ]+/)[0])"
        )
        receipt = self.page.locator(
            ".st-key-receipt", has_text=f"{name} is {class_name(labels[name])}."
        ).first
        for key in itertools.islice(itertools.cycle(keys), PRESSES):
            button = self.page.locator(f".{key} button").first
            if button.is_visible():
                button.click()
            with contextlib.suppress(AssertionError):
                expect(receipt).to_be_visible(timeout=REACTION_MS)
                return name
        raise AssertionError(f"the page did not say what became of {name}")

    def wait_for_receipt(self, words: str, *, timeout_s: float | None = None) -> None:
        self._wait("receipt", words, timeout_s=timeout_s)

    def says_version(self, version: str) -> bool:
        """Whether the page has announced that this version answers now, and shown a picture's
        answer by it.
        """
        announced = self.page.locator(
            ".st-key-model-state", has_text=f"Version {version} answers now."
        ).first
        answered = self.page.locator(
            ".st-key-answer", has_text=f"Answered by model version {version}"
        ).first
        return announced.is_visible() and answered.is_visible()

    def answers(self, *, count: int) -> dict[str, str]:
        """What the page says about each of `count` files, by file name, in the page's words."""
        entries = self.page.locator(".st-key-gallery button[aria-label]")
        expect(entries).to_have_count(count)
        labels = entries.evaluate_all(
            "buttons => buttons.map(button => button.getAttribute('aria-label'))"
        )
        return {match["name"]: match["said"] for match in map(ENTRY.match, labels) if match}

    def _wait(
        self, key: str, words: str | re.Pattern[str], *, timeout_s: float | None = None
    ) -> str:
        """The text of the part with this key, once it says the words. While Streamlit redraws,
        there may be two.
        """
        part = self.page.locator(f".st-key-{key}", has_text=words).first
        expect(part).to_be_visible(timeout=timeout_s and timeout_s * 1000)
        return part.inner_text()
