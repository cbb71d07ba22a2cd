"""The menu by role, and what the shell around every page needs (called by Unfold, see settings/unfold)."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.accounts.selectors import shop_settings_get
from apps.jobs.selectors import jobs_active
from apps.portal.access import can_see
from apps.portal.context_bar import PageContext


@dataclass(frozen=True, slots=True)
class Entry:
    """One menu item. `go` is its letter after pressing g; `area` decides who sees it."""

    route: str
    title: str | Promise
    icon: str
    go: str
    area: str = ""
    carries_context: bool = True


# An entry whose route does not exist yet is left out, and so is a group without entries.
MENU: tuple[tuple[str | Promise, tuple[Entry, ...]], ...] = (
    (
        "",
        (
            Entry("portal:overview", _("Overview"), "space_dashboard", "o"),
            Entry("portal:inspect", _("Inspect"), "manage_search", "i"),
        ),
    ),
    (
        _("Studio"),
        (
            Entry("portal:weights", _("Weights"), "tune", "w"),
            Entry("portal:rules", _("Rules"), "rule", "r"),
            Entry("portal:campaigns", _("Campaigns"), "campaign", "c"),
            Entry("portal:history", _("History"), "history", "h"),
            Entry("portal:storefront", _("Storefront"), "storefront", "f"),
        ),
    ),
    (
        _("Experiments"),
        (Entry("portal:experiments", _("Experiments"), "science", "e"),),
    ),
    (
        _("Engine"),
        (
            Entry("portal:models", _("Models"), "model_training", "m"),
            Entry("portal:data", _("Data"), "database", "d"),
        ),
    ),
    (
        _("Operations"),
        (
            Entry("portal:pipeline", _("Pipeline"), "account_tree", "p"),
            Entry("portal:jobs", _("Jobs"), "pending_actions", "j"),
        ),
    ),
    (
        "",
        (
            Entry("portal:settings", _("Settings"), "settings", "s", area="settings"),
            Entry("admin:index", _("Raw records"), "table_view", "a", carries_context=False),
        ),
    ),
)


def _link(entry: Entry, context: PageContext) -> str | None:
    try:
        return reverse(entry.route) + (context.query() if entry.carries_context else "")
    except NoReverseMatch:
        return None


def _is_here(entry: Entry, request: HttpRequest, link: str) -> bool:
    path = link.partition("?")[0]
    return request.path == path if path == "/" else request.path.startswith(path)


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Unfold's sidebar: the groups and entries this reader may open, with the context carried on."""
    context = PageContext.of(request)
    groups: list[dict[str, Any]] = []
    for title, entries in MENU:
        links = [(entry, _link(entry, context)) for entry in entries if can_see(request.user, entry.area)]
        items = [
            {
                "title": entry.title,
                "icon": entry.icon,
                "link": link,
                "go": entry.go,
                "active": _is_here(entry, request, link),
            }
            for entry, link in links
            if link
        ]
        groups.append({"title": title, "separator": not title and bool(groups), "items": items})
    return [group for group in groups if group["items"]]


def shop_name(request: HttpRequest) -> str:
    """The line under the product's name in the sidebar."""
    return shop_settings_get().name if request.user.is_authenticated else ""


def login_image(request: HttpRequest) -> str:
    """The picture beside the login form."""
    return static("portal/login.svg")


def shell_context(request: HttpRequest) -> dict[str, Any]:
    """What the shell shows on every page, the raw records too."""
    if not can_see(request.user):
        return {}
    return {"jobs_active": jobs_active().count(), "shop": shop_settings_get()}
