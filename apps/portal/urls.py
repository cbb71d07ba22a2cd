"""The staff site's addresses."""

from django.urls import path

from apps.portal.pages import find, jobs_drawer, overview, placements, profile, settings, staff

app_name = "portal"
urlpatterns = [
    path("", overview.overview, name="overview"),
    path("overview/<slug:key>.csv", overview.overview_csv, name="overview_csv"),
    path("settings/", settings.settings, name="settings"),
    path("settings/save/", settings.settings_save, name="settings_save"),
    path("settings/keys/", settings.keys, name="settings_keys"),
    path("settings/keys/new/", settings.key_create, name="key_create"),
    path("settings/keys/<int:client_id>/ask/<slug:what>/", settings.key_ask, name="key_ask"),
    path("settings/keys/<int:client_id>/rotate/", settings.key_rotate, name="key_rotate"),
    path("settings/keys/<int:client_id>/revoke/", settings.key_revoke, name="key_revoke"),
    path("settings/placements/", placements.placements, name="settings_placements"),
    path("settings/placements/new/", placements.placement_add, name="placement_add"),
    path(
        "settings/placements/<int:placement_id>/ask/<slug:what>/",
        placements.placement_ask,
        name="placement_ask",
    ),
    path("settings/placements/<int:placement_id>/back/", placements.placement_back, name="placement_back"),
    path(
        "settings/placements/<int:placement_id>/do/<slug:what>/", placements.placement_do, name="placement_do"
    ),
    path("settings/team/", staff.team, name="settings_team"),
    path("settings/team/invite/", staff.invite, name="invite"),
    path("settings/team/<int:user_id>/roles/", staff.roles_ask, name="roles_ask"),
    path("settings/team/<int:user_id>/roles/save/", staff.roles_save, name="roles_save"),
    path(
        "settings/team/invitations/<int:invitation_id>/withdraw/",
        staff.invitation_withdraw,
        name="invitation_withdraw",
    ),
    path("welcome/<str:token>/", profile.welcome, name="welcome"),
    path("profile/", profile.profile, name="profile"),
    path("profile/language/", profile.profile_language, name="profile_language"),
    path("profile/password/", profile.profile_password, name="profile_password"),
    path("find/shoppers/", find.shoppers, name="find_shoppers"),
    path("find/products/", find.products, name="find_products"),
    path("find/surprise/", find.surprise, name="surprise"),
    path("jobs/drawer/", jobs_drawer.drawer, name="jobs_drawer"),
    path("jobs/badge/", jobs_drawer.badge, name="jobs_badge"),
    path("jobs/<int:job_id>/log/", jobs_drawer.log, name="job_log"),
    path("jobs/<int:job_id>/cancel/", jobs_drawer.cancel, name="job_cancel"),
]
