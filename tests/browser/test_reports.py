"""Reports in a browser: a model is put to the test on a real worker, a crowd is found and left out."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from apps.accounts.models import User
from apps.datasets.models import LeftOutShopper
from apps.training.models import Recipe
from apps.training.recipes import recipes_ensure
from tests.browser.studio import Login, grave_findings
from tests.processes import RealProcess
from tests.training.planted import shop_plant
from tests.training.test_reports import BOTS, bots_plant


def test_a_model_is_put_to_the_test_and_a_crowd_is_left_out(
    page: Page, browser_login: Login, mel: User, celery_worker_process: Callable[..., RealProcess]
) -> None:
    shop_plant()
    bots_plant()
    recipes_ensure()
    Recipe.objects.update(preset="tiny")
    celery_worker_process("train")
    browser_login(mel)
    page.goto("/models/recipe/ease/")
    assert grave_findings(page) == []
    page.get_by_role("button", name="Test it – How it stands bad data").click()
    page.wait_for_url("**/models/reports/*/")
    # What was found comes without a reload, its chart drawn.
    expect(page.get_by_role("heading", name="What was found")).to_be_visible(timeout=120_000)
    expect(page.locator("#chart-robustness [data-chart].is-drawn")).to_be_visible()
    assert grave_findings(page) == []
    with page.expect_download() as download:
        page.locator("#chart-robustness a[download]").click()
    assert download.value.path().read_text("utf-8-sig").startswith("Damage,Share of interactions,NDCG@10")
    page.goto("/data/suspects/")
    page.get_by_role("button", name="Look for them").click()
    leave = page.get_by_role("button", name="Leave them out of training")
    expect(leave.first).to_be_visible(timeout=60_000)
    expect(page.locator("#chart-crowds [data-chart].is-drawn")).to_be_visible()
    assert grave_findings(page) == []
    leave.first.click()
    expect(page.get_by_text("are left out of training from the next snapshot on.")).to_be_visible()
    assert LeftOutShopper.objects.count() >= 0.8 * BOTS
    page.get_by_role("button", name="Undo").first.click()
    expect(page.get_by_text("teach again from the next snapshot on.")).to_be_visible()
    assert not LeftOutShopper.objects.exists()
