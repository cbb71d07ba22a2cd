"""An experiment designed and launched in a browser, by keyboard where it matters; axe finds nothing grave."""

import re

from playwright.sync_api import Page, expect

from apps.accounts.models import User
from apps.experiments.models import Experiment, VariantPublication
from tests.browser.studio import Login, grave_findings
from tests.portal.experiment_forms import draft_make
from tests.portal.small_shop import SmallShop


def go_on(page: Page, step: str) -> None:
    """Press the way on and see the next step."""
    page.get_by_role("button", name="Save and go on").last.click()
    expect(page.locator("[aria-current=step]")).to_contain_text(step)


def test_an_experiment_is_designed_and_launched(
    page: Page, browser_login: Login, maya: User, shop: SmallShop
) -> None:
    browser_login(maya)
    page.goto("/")
    # By keyboard: g e goes to the list, whose one button starts the design.
    page.keyboard.press("g")
    page.keyboard.press("e")
    expect(page.get_by_role("heading", name="No experiment yet")).to_be_visible()
    assert grave_findings(page) == []
    page.get_by_role("link", name="Design the first experiment").press("Enter")
    page.get_by_label("Name").fill("More taste")
    page.get_by_label("Hypothesis").fill("If taste counts more, more shoppers buy.")
    page.get_by_role("radio", name=re.compile("Other weights")).press("ArrowDown")
    page.get_by_role("radio", name=re.compile("A rule")).press("ArrowUp")
    expect(page.get_by_role("radio", name=re.compile("Other weights"))).to_be_checked()
    assert grave_findings(page) == []
    go_on(page, "Variants")
    # What is refused stays as it was typed, with the remedy at its field.
    page.get_by_label("Home page").check()
    expect(page.locator("#blend-1-home")).to_be_visible()
    page.locator("#v-1-name").fill("Sharper taste")
    page.get_by_role("button", name="Save and go on").last.click()
    expect(page.get_by_text("It shows the same as As it is now.")).to_be_visible()
    expect(page.locator("#v-1-name")).to_have_value("Sharper taste")
    # A slider by keyboard; its number follows, and the slates show what it does.
    slider = page.locator("#blend-1-home").get_by_role("slider", name="Taste match")
    slider.focus()
    page.keyboard.press("End")
    expect(page.locator("#w-1-home-als")).to_have_value("1.00")
    page.get_by_role("button", name="Look at the slates side by side").press("Enter")
    expect(page.locator("#preview-1-home .rp-move").first).to_be_visible()
    page.locator("#preview-1-home [data-slate]").last.locator("[data-slate-card]").first.press("Enter")
    expect(page.locator("#side-panel")).to_be_visible()
    page.keyboard.press("Escape")
    assert grave_findings(page) == []
    # One variant more and gone again; the split is even and says so.
    page.get_by_role("button", name="Add a variant").click()
    expect(page.locator("#v-2-name")).to_be_focused()
    expect(page.locator("#v-2-share")).to_have_value("33.33")
    page.get_by_role("button", name="Remove Variant C").click()
    expect(page.locator("#v-2-name")).to_have_count(0)
    page.locator("#v-1-share").fill("40")
    expect(page.locator("[data-split-sum]")).to_have_text("The shares add up to 90 %, not to 100.")
    page.get_by_role("button", name="Split evenly").click()
    expect(page.locator("#v-1-share")).to_have_value("50")
    expect(page.locator("#w-1-home-als")).to_have_value("1")
    go_on(page, "Audience")
    page.get_by_label("Start", exact=True).select_option("careful")
    expect(page.get_by_label("Hours on each step")).to_be_visible()
    assert grave_findings(page) == []
    go_on(page, "Metrics")
    page.get_by_label("The metric that decides").select_option("cart_rate")
    page.get_by_label("Sessions per shopper must not suffer").check()
    expect(page.locator("#plan")).to_contain_text("shoppers were given a slate here")
    assert grave_findings(page) == []
    # Leave it and come back: the draft is in the list as it was.
    page.get_by_role("button", name="Save and leave").click()
    expect(page.get_by_role("link", name="More taste")).to_be_visible()
    assert grave_findings(page) == []
    page.get_by_role("link", name="More taste").click()
    page.get_by_role("button", name="Metrics").click()
    expect(page.get_by_label("The metric that decides")).to_have_value("cart_rate")
    go_on(page, "Check and launch")
    expect(page.get_by_text("No two variants show the same.")).to_be_visible()
    expect(page.locator("#check-history")).to_contain_text("Too little history")
    assert grave_findings(page) == []
    page.get_by_role("button", name="Launch").press("Enter")
    expect(page).to_have_url(re.compile("/experiments/more-taste/$"))
    made = Experiment.objects.get()
    assert (made.status, made.traffic, made.ramp_step) == ("running", 0.01, 0)
    assert made.guardrails == [{"metric": "sessions_per_shopper", "margin": 0.02}]
    shown = VariantPublication.objects.get(variant__experiment=made, variant__code="b").publication
    assert shown.weights["als"] == 1.0
    # Who publishes there now is told; History shows the trial as one.
    page.goto("/history/?placement=home&only=1")
    expect(page.locator(".rp-entry").first).to_contain_text("For an experiment")
    assert grave_findings(page) == []


def test_a_slice_is_taken_by_a_button_and_a_draft_goes_by_its_name(
    page: Page, browser_login: Login, maya: User, shop: SmallShop
) -> None:
    draft_make(layer_from=0, layer_to=5_000)
    browser_login(maya)
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto("/experiments/taste/design/audience/")
    page.get_by_role("button", name=re.compile("^Take it")).click()
    expect(page.get_by_label("Slice to (%)")).to_have_value("100")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert grave_findings(page) == []
    go_on(page, "Metrics")
    assert Experiment.objects.get().layer_to == 10_000
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Delete draft").click()
    dialog = page.locator("#modal")
    dialog.get_by_label("Type the name to go on").fill("taste")
    dialog.get_by_role("button", name="Delete draft").click()
    expect(dialog).to_contain_text("That is not the name")
    dialog.get_by_label("Type the name to go on").fill("Taste")
    dialog.get_by_role("button", name="Delete draft").click()
    expect(page.get_by_text("The draft “Taste” is deleted.")).to_be_visible()
    assert not Experiment.objects.exists()


def test_a_metric_is_defined_with_its_count_in_sight(
    page: Page, browser_login: Login, maya: User, shop: SmallShop
) -> None:
    browser_login(maya)
    page.goto("/experiments/metrics/")
    assert grave_findings(page) == []
    page.get_by_role("link", name="New metric").click()
    page.get_by_label("Name").fill("Carts filled")
    page.get_by_label("Meaning").first.select_option("cart")
    expect(page.locator("#metric-count dd")).to_have_text("6")
    expect(page.get_by_role("heading", name="What it is divided by")).to_be_hidden()
    page.get_by_label("What is compared").select_option("ratio")
    page.get_by_label("Count").last.select_option("session")
    expect(page.locator("#metric-count dd")).to_have_count(2)
    assert grave_findings(page) == []
    page.get_by_role("button", name="Define the metric").click()
    expect(page.get_by_text("“Carts filled” can be used in experiments.")).to_be_visible()
    page.get_by_role("button", name="Archive Carts filled").click()
    page.locator("#modal").get_by_role("button", name="Archive").click()
    expect(page.get_by_text("1 archived metric")).to_be_visible()
    assert grave_findings(page) == []
