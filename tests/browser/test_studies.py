"""Tuning in a browser: a study on a real worker is watched to its end, and its best settings are kept."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from apps.accounts.models import User
from apps.training.models import Recipe, Study
from apps.training.recipes import recipes_ensure
from tests.browser.studio import Login, grave_findings
from tests.processes import RealProcess
from tests.training.planted import shop_plant


def test_a_study_is_started_watched_and_kept(
    page: Page, browser_login: Login, mel: User, celery_worker_process: Callable[..., RealProcess]
) -> None:
    shop_plant()
    recipes_ensure()
    Recipe.objects.update(preset="tiny")
    celery_worker_process("train")
    browser_login(mel)
    page.goto("/models/")
    page.get_by_role("link", name="Tune Product links").click()
    expect(page.get_by_role("heading", name="What to search")).to_be_visible()
    assert grave_findings(page) == []
    page.get_by_label("Trials at most").fill("6")
    page.get_by_label("Stop poor trials early").uncheck()
    page.get_by_role("button", name="Start the study").click()
    page.wait_for_url("**/models/studies/*/")
    state = page.locator("#study-state")
    expect(state).to_contain_text("6 of 6 trials", timeout=120_000)
    expect(state).to_contain_text("Done")
    # The charts come once more when it is over, without a reload.
    for key in ("study-history", "study-parallel", "study-importance"):
        expect(page.locator(f"#chart-{key} [data-chart].is-drawn")).to_be_visible()
    assert grave_findings(page) == []
    page.get_by_role("button", name="Keep them", exact=True).click()
    expect(page.get_by_text("The next run of Product links uses the best settings.")).to_be_visible()
    study = Study.objects.get()
    assert study.applied_at is not None
    expect(page.get_by_role("heading", name="Studies")).to_be_visible()
    assert grave_findings(page) == []


def test_a_recipe_is_made_and_put_away(
    page: Page, browser_login: Login, mel: User, committed_db: None
) -> None:
    recipes_ensure()
    browser_login(mel)
    page.goto("/models/new/?from=copy:ease")
    assert grave_findings(page) == []
    page.get_by_label("Name").fill("Slow links")
    page.get_by_label("Code").fill("slow_links")
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_text("Slow links is made.")).to_be_visible()
    page.goto("/models/recipe/slow_links/")
    expect(page.get_by_role("heading", name="What it is")).to_be_visible()
    assert grave_findings(page) == []
    page.get_by_role("button", name="Archive").click()
    dialog = page.locator("#modal")
    expect(dialog).to_contain_text("Archive Slow links?")
    assert grave_findings(page) == []
    dialog.get_by_role("button", name="Archive").click()
    expect(page.get_by_text("Slow links is archived.")).to_be_visible()
    assert Recipe.objects.get(code="slow_links").archived_at is not None
