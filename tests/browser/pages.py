"""The page of a waiting task in the two interfaces of Prefect, as a person uses it."""

import re
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, Locator, Page, Response, Route, expect
from playwright.async_api import TimeoutError as TookTooLong


async def keep_to_loopback(context: BrowserContext) -> list[str]:
    """Let pages reach this machine only; the list returned fills with what they wanted elsewhere."""
    refused: list[str] = []

    async def decide(route: Route) -> None:
        if urlsplit(route.request.url).hostname in {"127.0.0.1", "localhost"}:
            await route.continue_()
        else:
            refused.append(route.request.url)
            await route.abort()

    await context.route(re.compile("^(https?|wss?):"), decide)
    return refused


class FirstInterface:
    """The interface under /: a button on the page opens the form."""

    folder, submit_button = "", "Submit"

    def __init__(self, page: Page, host: str) -> None:
        self.page, self.host = page, host
        self.form = page.get_by_role("dialog")

    async def open(self, run_id: str) -> None:
        """Go to the run's page and press Resume."""
        await self.page.goto(f"{self.host}{self.folder}/runs/flow-run/{run_id}")
        await self._resume()
        await expect(self.form).to_contain_text("CASE-")

    async def _resume(self) -> None:
        await self.page.get_by_role("button", name="Resume").click()

    async def labels(self) -> list[str]:
        """Return the labels of the form's fields, from the top to the bottom."""
        # A checkbox has a second label, without words, around the box itself.
        return [text for text in await self.form.locator("label").all_inner_texts() if text.strip()]

    def _field(self, label: str) -> Locator:
        return self.form.locator(".p-label.schema-form-property").filter(has_text=label)

    async def choose(self, label: str, option: str) -> None:
        """Choose from a list. A click on its middle opens the list and closes it again; one on its arrows opens it."""
        await self._field(label).locator(".p-select-button__icon").click()
        await self.page.locator(".p-select-option").filter(has_text=option).click()

    async def write(self, label: str, text: str) -> None:
        """Fill in a field."""
        await self._field(label).locator("input, textarea").fill(text)

    async def submit(self) -> dict[str, object]:
        """Press the button below the form; returns what the server said."""

        def answer(response: Response) -> bool:
            return response.url.endswith("/resume") and response.request.method == "POST"

        async with self.page.expect_response(answer) as said:
            await self.form.get_by_role("button", name=self.submit_button).click()
        return await (await said.value).json()


_TRIES, _TRY_FOR = 5, 4_000


class SecondInterface(FirstInterface):
    """The interface under /v2: Resume is in the menu at the top right."""

    folder, submit_button = "/v2", "Resume"

    async def _resume(self) -> None:
        await self.page.get_by_role("button", name="Open menu").click()
        await self.page.get_by_role("menuitem", name="Resume").click()

    async def choose(self, label: str, option: str) -> None:
        """Choose from a list; where the page draws it anew and it is gone, open it again, as a person would."""
        wanted = self.page.get_by_role("option", name=option)
        for _ in range(_TRIES):
            if not await wanted.is_visible():
                await self.form.get_by_role("button", name=f"Select {label}").click()
            try:
                await wanted.click(timeout=_TRY_FOR)
            except TookTooLong:
                continue
            return
        raise AssertionError(f"the list of {label} never held still")

    async def write(self, label: str, text: str) -> None:
        """Fill in a field."""
        await self.form.get_by_label(label).fill(text)


INTERFACES = {"v1": FirstInterface, "v2": SecondInterface}
