"""Data in a browser: a feed with bad rows from upload to the downloaded report, and a new event kind."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from apps.accounts.models import User
from apps.catalog.models import Product
from tests.browser.studio import Login, grave_findings
from tests.processes import RealProcess

FEED = (
    "sku,title,price,title_zh_hans\nm1,Blue mug,9.50,蓝色马克杯\n,Nameless,3,\nm3,Pan,cheap,\nm4,Bowl,4,碗\n"
)


def test_a_feed_with_bad_rows_lands_and_its_report_is_downloaded(
    page: Page,
    browser_login: Login,
    mel: User,
    celery_worker_process: Callable[..., RealProcess],
    tmp_path: Path,
) -> None:
    celery_worker_process("default")
    file = tmp_path / "autumn.csv"
    file.write_text(FEED, encoding="utf-8")
    browser_login(mel)
    page.goto("/data/")
    assert grave_findings(page) == []
    page.get_by_label("Drop a CSV").set_input_files(file)
    expect(page.locator("[data-file-name]")).to_have_text("autumn.csv")
    page.get_by_role("button", name="Import", exact=True).click()
    result = page.locator("#feed-result")
    expect(result).to_be_visible(timeout=40_000)
    expect(result).to_contain_text("Rows4")
    expect(result).to_contain_text("New2")
    expect(result).to_contain_text("Refused2")
    assert grave_findings(page) == []
    with page.expect_download() as download:
        page.get_by_role("link", name="Download all 2 rows").click()
    lines = Path(download.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert lines[0] == "line,field,value,remedy"
    assert [line.split(",")[0] for line in lines[1:]] == ["3", "4"]
    assert set(Product.objects.values_list("sku", flat=True)) == {"m1", "m4"}
    page.get_by_role("link", name="All imports").click()
    expect(page.get_by_role("link", name="autumn.csv")).to_be_visible()


def test_an_event_kind_is_added_in_the_browser(page: Page, browser_login: Login, mel: User) -> None:
    browser_login(mel)
    page.goto("/data/kinds/")
    assert grave_findings(page) == []
    page.get_by_role("button", name="New kind").click()
    dialog = page.locator("#modal")
    dialog.get_by_label("Name").fill("Quiz answer")
    dialog.get_by_label("Code").fill("view")
    dialog.get_by_label("Meaning").select_option("like")
    dialog.get_by_label("Training weight").fill("2.5")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_contain_text("already")
    dialog.get_by_label("Code").fill("quiz")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_text("“Quiz answer” is saved.")).to_be_visible()
    expect(page.get_by_role("row", name="Quiz answer")).to_contain_text("+2.5")


def test_quality_and_snapshots_have_no_grave_finding(page: Page, browser_login: Login, ana: User) -> None:
    browser_login(ana)
    for path in ("/data/quality/", "/data/snapshots/", "/pipeline/"):
        page.goto(path)
        assert grave_findings(page) == [], path
