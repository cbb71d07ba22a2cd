"""Raw records of accounts: admins edit staff; keys, invitations and the audit trail are only read."""

from typing import Any, ClassVar

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from apps.accounts.models import ApiClient, AuditEntry, ShopSettings, StaffInvitation, User
from apps.accounts.records import ReadOnlyRecordAdmin, RecordAdmin

for model in (Group, AccessAttempt, AccessFailureLog, AccessLog):
    admin.site.unregister(model)


@admin.register(User)
class StaffAdmin(UserAdmin, RecordAdmin):
    """Staff: who they are; the role groups they are in are only shown."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "first_name", "last_name", "is_active", "last_login")
    list_filter = ("is_active", "groups")
    secret_fields = ("password",)
    exclude = ("user_permissions",)
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (_("Person"), {"fields": ("first_name", "last_name", "email", "language")}),
        (_("Access"), {"fields": ("is_active", "is_staff", "groups")}),
        (_("Dates"), {"fields": ("last_login", "date_joined")}),
    )
    # Roles are given on the Team page, whose service asks whether an admin is left and writes it down.
    readonly_fields = ("groups", "last_login", "date_joined")


@admin.register(Group)
class RoleAdmin(ReadOnlyRecordAdmin):
    """Roles; their permissions are written in `accounts.roles`, not here."""

    list_display = ("name",)
    search_fields = ("name",)
    filter_horizontal: ClassVar[tuple[str, ...]] = ()


@admin.register(ApiClient)
class ApiClientAdmin(ReadOnlyRecordAdmin):
    """API keys; they are made, rotated and revoked on the settings page."""

    list_display = ("name", "prefix", "scopes", "last_used_at", "revoked_at")
    search_fields = ("name", "prefix")
    secret_fields = ("key_hash",)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyRecordAdmin):
    """Who changed what, with before and after."""

    list_display = ("at", "actor", "verb", "object_type", "object_label", "reason")
    list_filter = ("verb", "object_type")
    list_select_related = ("actor",)
    search_fields = ("object_label", "verb", "object_id", "actor__username")
    date_hierarchy = "at"


@admin.register(ShopSettings)
class ShopSettingsAdmin(ReadOnlyRecordAdmin):
    """The shop's one row; it is changed on the settings page."""

    list_display = ("name", "currency", "time_zone", "attribution_hours")


@admin.register(StaffInvitation)
class StaffInvitationAdmin(ReadOnlyRecordAdmin):
    """Invitations; they are sent on the settings page."""

    list_display = ("email", "role", "created_at", "expires_at", "accepted_at", "invited_by")
    list_filter = ("role",)
    list_select_related = ("invited_by",)
    search_fields = ("email",)
    secret_fields = ("token_hash",)


@admin.register(AccessAttempt)
class AccessAttemptAdmin(ReadOnlyRecordAdmin):
    """Wrong passwords; deleting a row lets a locked colleague try again at once."""

    list_display = ("username", "ip_address", "failures_since_start", "attempt_time")
    search_fields = ("username", "ip_address")
    date_hierarchy = "attempt_time"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """By permission, which admins have."""
        return request.user.has_perm("axes.delete_accessattempt")
