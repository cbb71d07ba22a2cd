"""First run: what an empty shop needs, step by step, with ticks for what is there."""

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from apps.accounts.selectors import shop_settings_get
from apps.accounts.services import shop_settings_update
from apps.core.clock import now
from apps.core.errors import RecoPortalError
from apps.merchandising.services import placements_ensure
from apps.portal.access import can_change, person
from apps.portal.forms.shop import StartForm
from apps.portal.pages.shell import action, done, page, show
from apps.portal.start_steps import start_steps
from apps.training.recipes import recipes_ensure


@page
def start(request: HttpRequest) -> HttpResponse:
    """The steps, and the shop's form while nobody has filled it in."""
    row = shop_settings_get()
    initial = {
        "name": "" if row.set_up_at is None else row.name,
        "currency": row.currency,
        "time_zone": row.time_zone,
    }
    return _start_page(request, StartForm(initial=initial | {"languages": row.languages or ["en"]}))


def _start_page(request: HttpRequest, form: StartForm) -> HttpResponse:
    steps = [(step, not step.area or can_change(request.user, step.area)) for step in start_steps()]
    return show(
        request, "portal/start/page.html", title=_("Get started"), steps=steps, form=form,
        zones=form.zones(), open_form=not steps[0][0].done and steps[0][1],
        finished=sum(step.done for step, _may in steps),
    )  # fmt: skip


@action("settings")
def start_save(request: HttpRequest) -> HttpResponse:
    """Set the shop up: its settings, the usual placements and the built-in recipes."""
    form = StartForm(request.POST)
    if not form.is_valid():
        return _start_page(request, form)
    try:
        shop_settings_update(actor=person(request), set_up_at=now(), **form.cleaned_data)
    except RecoPortalError as error:
        form.take(error)
        return _start_page(request, form)
    placements_ensure()
    recipes_ensure()
    return done(request, "portal:start", _("“%(name)s” is set up.") % {"name": form.cleaned_data["name"]})
