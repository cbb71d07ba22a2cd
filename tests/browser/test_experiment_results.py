"""An experiment's page in a browser: read, shipped by its dialog, written up; and a file analysed."""

from pathlib import Path

import numpy as np
import pandas as pd
from playwright.sync_api import Page, expect

from apps.accounts.models import User
from apps.experiments.learnings import learnings_get
from apps.experiments.models import Experiment
from tests.browser.studio import Login, grave_findings
from tests.portal.running_experiment import experiment_make
from tests.portal.small_shop import SmallShop

PHONE_WIDTH = 390


def test_an_experiment_is_read_shipped_and_written_up(
    page: Page, browser_login: Login, maya: User, shop: SmallShop
) -> None:
    experiment = experiment_make(maya)
    browser_login(maya)
    page.goto("/experiments/taste/")
    expect(page.get_by_role("heading", name="Ship Bold")).to_be_visible()
    expect(page.locator("#chart-effects [data-chart].is-drawn")).to_be_visible()
    assert grave_findings(page) == []
    page.get_by_role("link", name="Bayesian").click()
    expect(page.get_by_role("columnheader", name="Chance to be better")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Parquet – Figures").click()
    assert download.value.suggested_filename == "taste-results.parquet"
    for tab, chart in (("Over time", "so-far"), ("Segments", "segments"), ("Health", "exposures")):
        page.get_by_role("link", name=tab, exact=True).press("Enter")
        expect(page.locator(f"#chart-{chart} [data-chart].is-drawn")).to_be_visible()
        assert grave_findings(page) == []
    page.get_by_role("link", name="Variants", exact=True).click()
    expect(page.locator("[data-slate]")).to_have_count(2)
    page.locator("[data-slate] [data-slate-card]").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#side-panel")).to_be_visible()
    assert grave_findings(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Ship…").click()
    dialog = page.locator("#modal")
    expect(dialog).to_contain_text("It can be taken back from here")
    assert grave_findings(page) == []
    dialog.get_by_label("Why (kept in the log)").fill("Clear enough")
    dialog.get_by_role("button", name="Ship it").click()
    expect(page.get_by_text("It is shipped: every shopper gets it")).to_be_visible()
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": PHONE_WIDTH, "height": 800})
    page.get_by_role("link", name="Post-mortem").click()
    page.get_by_label("In your own words").fill("Try it on the product page.")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("What was learned is kept.")).to_be_visible()
    assert grave_findings(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE_WIDTH
    experiment = Experiment.objects.get()
    assert (experiment.decision, experiment.winner) == ("ship", "bold")
    assert learnings_get(experiment=experiment) == "Try it on the product page."


def test_a_file_is_mapped_and_analysed(
    page: Page, browser_login: Login, ana: User, shop: SmallShop, tmp_path: Path
) -> None:
    random, count = np.random.default_rng(7), 3_000
    bold = random.random(count) < 0.5
    units = pd.DataFrame(
        {
            "user_id": [f"u{n}" for n in range(count)],
            "variant": np.where(bold, "bold", "control"),
            "day": np.array([f"2026-03-{n % 9 + 1:02d}" for n in range(count)]),
            "bought": (random.random(count) < np.where(bold, 0.3, 0.2)).astype(int),
        }
    )
    units.to_csv(tmp_path / "units.csv", index=False)
    browser_login(ana)
    page.goto("/experiments/files/")
    page.set_input_files("input[type=file]", tmp_path / "units.csv")
    expect(page.get_by_label("Unit: who was assigned")).to_have_value("user_id")
    expect(page.get_by_label("Which variant is control")).to_have_value("control")
    assert grave_findings(page) == []
    page.get_by_label("Planned split").fill("control=0.5, bold=0.9")
    page.get_by_role("button", name="Analyse", exact=True).click()
    expect(page.get_by_text("make them sum to 1")).to_be_visible()
    page.get_by_label("Planned split").fill("control=0.5, bold=0.5")
    page.get_by_role("button", name="Analyse", exact=True).click()
    expect(page.get_by_role("heading", name="Ship bold")).to_be_visible()
    expect(page.locator("#chart-so-far [data-chart].is-drawn")).to_be_visible()
    expect(page.locator("[data-focus-result]")).to_be_focused()
    assert grave_findings(page) == []
    with page.expect_download() as download:
        page.get_by_role("link", name="Results (CSV)").click()
    assert download.value.path().read_text("utf-8-sig").startswith("metric,kind,role")
