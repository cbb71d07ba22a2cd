"""How the staff site looks: Unfold's settings. The menu is built by role in apps.portal.navigation."""

from typing import Any

from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

# Text on these passes AA: 600 on white, 500 on the dark background (Unfold uses just those two for text).
PRIMARY = {
    "50": "oklch(96.2% .018 272.3)",
    "100": "oklch(93% .034 272.8)",
    "200": "oklch(87% .065 274)",
    "300": "oklch(78.5% .115 274.7)",
    "400": "oklch(72% .15 276.9)",
    "500": "oklch(67% .17 277.1)",
    "600": "oklch(51.1% .23 277)",
    "700": "oklch(45.7% .22 277)",
    "800": "oklch(39.8% .18 277.4)",
    "900": "oklch(35.9% .14 278.7)",
    "950": "oklch(25.7% .09 281.3)",
}

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "RecoPortal",
    "SITE_HEADER": "RecoPortal",
    "SITE_SUBHEADER": "apps.portal.navigation.shop_name",
    "SITE_SYMBOL": "storefront",
    "SITE_URL": None,
    "SHOW_LANGUAGES": True,
    "SHOW_HISTORY": True,
    "SHOW_BACK_BUTTON": True,
    "BORDER_RADIUS": "8px",
    "COLORS": {
        "primary": PRIMARY,
        "font": {
            "subtle-light": "var(--color-base-500)",
            "subtle-dark": "var(--color-base-400)",
            "default-light": "var(--color-base-600)",
            "default-dark": "var(--color-base-300)",
            "important-light": "var(--color-base-900)",
            "important-dark": "var(--color-base-100)",
        },
    },
    "ACCOUNT": {"navigation": [{"title": _("Profile"), "link": reverse_lazy("portal:profile")}]},
    "LOGIN": {"image": "apps.portal.navigation.login_image"},
    "GLOBAL_CALLBACK": "apps.portal.navigation.shell_context",
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": "apps.portal.navigation.sidebar",
    },
}
