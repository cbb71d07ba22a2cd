"""How raw records are shown in the admin: read-only unless a model's page says otherwise, changes audited.

Every app's `admin.py` builds on these two classes. Who sees what is Django's permissions, given to the role
groups by `accounts.roles`; tables that services validate are read-only here, whatever the permission, so
that there is one way to change them.
"""

import csv
import json
from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import SuspiciousOperation, ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model, QuerySet
from django.forms.models import model_to_dict
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from apps.accounts.models import User
from apps.accounts.services import audit_record
from apps.core.spreadsheets import cell_safe

EXPORT_ROWS = 10_000


@admin.action(description=_("Download selected as CSV"), permissions=["view"])
def download_csv(model_admin: Any, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse:
    """The selected rows' plain columns, at most `EXPORT_ROWS` of them."""
    hidden = set(getattr(model_admin, "secret_fields", ()))
    names = [field.attname for field in queryset.model._meta.concrete_fields if field.name not in hidden]
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{queryset.model._meta.model_name}.csv"'
    writer = csv.writer(response, lineterminator="\n")
    writer.writerow(names)
    for row in queryset.values_list(*names)[:EXPORT_ROWS]:
        writer.writerow([cell_safe(value) for value in row])
    return response


def names_translate(model: type[Model]) -> None:
    """Let the names that Django makes from class and field names be translated like all other text.

    A verbose_name in every field would only repeat the field's name; migrations never see these.
    """
    options = model._meta
    if isinstance(options.verbose_name, str):
        if "verbose_name_plural" not in options.original_attrs:
            options.verbose_name_plural = gettext_lazy(f"{options.verbose_name}s")
        options.verbose_name = gettext_lazy(options.verbose_name)
    for field in options.concrete_fields:
        if isinstance(field.verbose_name, str):
            field.verbose_name = gettext_lazy(field.verbose_name)


class RecordAdmin(ModelAdmin):
    """Raw records, edited by those who have the permission; each change lands in the audit trail."""

    actions: Sequence[Any] | None = (download_csv,)
    list_per_page = 50
    list_filter_submit = True
    secret_fields: Sequence[str] = ()

    def __init__(self, model: type[Model], admin_site: Any) -> None:
        super().__init__(model, admin_site)
        for one in (model, *(inline.model for inline in self.inlines)):
            names_translate(one)

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> Any:
        """Secrets, such as a key's hash, are shown to nobody."""
        return [*(super().get_exclude(request, obj) or ()), *self.secret_fields]

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Run an action; a selection that can be no key of the table is the sender's mistake."""
        try:
            for value in request.POST.getlist(ACTION_CHECKBOX_NAME):
                self.opts.pk.to_python(value)
        except ValidationError as error:
            raise SuspiciousOperation("The selection names no rows.") from error
        answer: HttpResponse | None = super().response_action(request, queryset)
        return answer

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        """Save and write before and after into the audit trail."""
        stored = type(obj)._default_manager.filter(pk=obj.pk).first() if change else None
        before = None if stored is None else self._plain(stored)
        super().save_model(request, obj, form, change)
        self._audit(request, obj, verb="change" if change else "add", before=before, after=self._plain(obj))

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        """Delete and keep what was there in the audit trail."""
        self._audit(request, obj, verb="delete", before=self._plain(obj), after=None)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Delete one by one, so that each is audited."""
        for obj in queryset:
            self.delete_model(request, obj)

    def _plain(self, obj: Model) -> dict[str, Any]:
        """The row's own fields, without secrets."""
        names = [field.name for field in obj._meta.concrete_fields if field.name not in self.secret_fields]
        fields = model_to_dict(obj, fields=names)
        return dict(json.loads(json.dumps(fields, cls=DjangoJSONEncoder)))

    def _audit(
        self,
        request: HttpRequest,
        obj: Model,
        *,
        verb: str,
        before: dict[str, Any] | None,
        after: dict[str, Any] | None,
    ) -> None:
        assert isinstance(request.user, User)
        audit_record(
            actor=request.user,
            verb=f"{obj._meta.model_name}.{verb}",
            object_type=obj._meta.label,
            object_id=str(obj.pk),
            object_label=str(obj),
            before=before,
            after=after,
        )


class ReadOnlyRecordAdmin(RecordAdmin):
    """Raw records nobody changes here: partitioned tables, registries, and what a page or service owns."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never."""
        return False
