"""Models in a browser: retrain on a real worker and watch the bar, promote against the gate, roll back."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from apps.accounts.models import AuditEntry, User
from apps.training.models import ModelVersion, Recipe, VersionStatus
from apps.training.recipes import recipes_ensure
from tests.browser.studio import Login, grave_findings
from tests.portal.test_models import version_made
from tests.processes import RealProcess
from tests.training.planted import shop_plant


def test_retraining_is_watched_to_its_end(
    page: Page, browser_login: Login, mel: User, celery_worker_process: Callable[..., RealProcess]
) -> None:
    shop_plant()
    recipes_ensure()
    Recipe.objects.update(preset="tiny")
    celery_worker_process("train")
    browser_login(mel)
    page.goto("/models/")
    assert grave_findings(page) == []
    page.get_by_role("button", name="Retrain Taste match").click()
    page.wait_for_url("**/models/runs/*/")
    bar = page.locator("#run-state progress")
    expect(bar).to_be_visible()
    expect(page.locator("#run-state")).to_contain_text("Version 1", timeout=120_000)
    expect(page.locator("#run-state")).to_contain_text("Done")
    expect(bar).to_have_attribute("value", "100")
    # The curve comes once more when the run is over, without a reload.
    expect(page.locator("#run-curve [data-chart].is-drawn")).to_be_visible()
    expect(page.locator("#run-curve")).to_contain_text("Training on everything")
    assert grave_findings(page) == []
    version = ModelVersion.objects.get()
    page.get_by_role("link", name="Compare versions").click()
    expect(page.get_by_role("heading", name="Versions side by side")).to_be_visible()
    expect(page.locator(".rp-compare")).to_contain_text(f"{version.metrics['new']['ndcg10']:.4f}")
    assert grave_findings(page) == []


@pytest.fixture
def ease(committed_db: None, tmp_path: Path) -> Recipe:
    """A recipe with a retired, a live and a refused version."""
    recipe = {one.code: one for one in recipes_ensure()}["ease"]
    version_made(recipe, 1, ndcg=0.10, status="retired", folder=tmp_path)
    version_made(recipe, 2, ndcg=0.12, status="live", folder=tmp_path)
    version_made(recipe, 3, ndcg=0.05, status="refused", folder=tmp_path, reasons=("Too weak.",))
    return recipe


def test_promoting_against_the_gate_needs_a_reason_and_can_be_rolled_back(
    page: Page, browser_login: Login, mel: User, ease: Recipe
) -> None:
    browser_login(mel)
    page.goto("/models/recipe/ease/")
    dialog = page.locator("#modal")
    page.get_by_role("button", name="Promote v3").click()
    expect(dialog).to_contain_text("The gate refuses it")
    expect(dialog).to_contain_text("Too weak.")
    assert grave_findings(page) == []
    reason = dialog.get_by_label("Reason to promote it all the same")
    reason.fill("Summer sale")
    dialog.get_by_role("button", name="Promote all the same").click()
    expect(page.get_by_text("Product links v3 is live.")).to_be_visible()
    expect(page.locator(".rp-compare")).to_contain_text("by override")
    page.get_by_role("button", name="Roll back").click()
    expect(dialog).to_contain_text("Version 2 takes the place of version 3")
    dialog.get_by_label("Reason").fill("Fewer clicks")
    dialog.get_by_role("button", name="Roll back to version 2").click()
    expect(page.get_by_text("Product links v2 is live again.")).to_be_visible()
    assert ModelVersion.objects.get(status=VersionStatus.LIVE).number == 2
    assert AuditEntry.objects.filter(reason__in=["Summer sale", "Fewer clicks"]).count() == 2


def test_a_merchandiser_looks_but_finds_no_buttons(
    page: Page, browser_login: Login, maya: User, ease: Recipe
) -> None:
    browser_login(maya)
    page.goto("/models/recipe/ease/")
    expect(page.get_by_text("that needs the ML engineer role")).to_be_visible()
    for name in ("Retrain", "Roll back", "Promote v3"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    page.goto("/models/recipe/ease/settings/")
    expect(page.get_by_label("Regularisation")).to_be_disabled()
    expect(page.get_by_role("button", name="Save")).to_have_count(0)


def test_settings_name_what_is_wrong_at_its_field(
    page: Page, browser_login: Login, mel: User, ease: Recipe
) -> None:
    browser_login(mel)
    page.goto("/models/recipe/ease/settings/")
    page.get_by_label("Regularisation").fill("-3")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Write at least")).to_be_visible()
    assert grave_findings(page) == []
    page.get_by_label("Regularisation").fill("300")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The next run of Product links uses it.")).to_be_visible()
    ease.refresh_from_db()
    assert ease.config == {"regularisation": 300.0}
