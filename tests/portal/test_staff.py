"""Team, invitations, the invited colleague's first page, and the profile."""

import re

import pytest
from django.core import mail
from django.test import Client
from pytest_django.fixtures import Settings

from apps.accounts.models import AuditEntry, StaffInvitation, User
from apps.accounts.selectors import user_roles
from tests.portal.test_settings import logged_in

pytestmark = pytest.mark.django_db
PASSWORD = "violet-kettle-41-harbour"


def invite(adam: User, email: str = "nina@shop.example") -> str:
    page = (
        logged_in(adam).post("/settings/team/invite/", {"email": email, "role": "analyst"}).content.decode()
    )
    link = re.search(r'id="invitation-link">(http://testserver/welcome/[\w-]+/)<', page)
    assert link
    return link[1].removeprefix("http://testserver")


def test_an_invited_colleague_chooses_a_password_and_starts(adam: User) -> None:
    path = invite(adam)
    visitor = Client()
    page = visitor.get(path).content.decode()
    assert "nina@shop.example" in page
    assert "Analyst" in page
    facts = {"first_name": "Nina", "last_name": "", "password": PASSWORD, "repeated": PASSWORD}
    assert visitor.post(path, facts)["Location"] == "/"
    nina = User.objects.get(username="nina@shop.example")
    assert user_roles(nina) == {"analyst"}
    assert visitor.get("/profile/").status_code == 200
    assert Client().get(path).status_code == 404


def test_weak_and_differing_passwords_are_refused(adam: User) -> None:
    path = invite(adam)
    differing = Client().post(path, {"password": PASSWORD, "repeated": "other"})
    assert b"The two passwords differ" in differing.content
    weak = Client().post(path, {"password": "12345678", "repeated": "12345678"})
    assert b"too common" in weak.content
    assert not User.objects.filter(username="nina@shop.example").exists()


def test_a_withdrawn_invitation_no_longer_works(adam: User) -> None:
    path = invite(adam)
    invitation = StaffInvitation.objects.get()
    logged_in(adam).post(f"/settings/team/invitations/{invitation.pk}/withdraw/")
    answer = Client().get(path)
    assert answer.status_code == 404
    assert b"This invitation no longer works" in answer.content


def test_the_link_is_mailed_where_a_mail_server_is_set_up(adam: User, settings: Settings) -> None:
    settings.EMAIL_HOST = "mail.shop.example"
    path = invite(adam)
    assert [message.to for message in mail.outbox] == [["nina@shop.example"]]
    assert path in str(mail.outbox[0].body)


def test_admin_changes_roles_but_not_own(adam: User, ana: User) -> None:
    client = logged_in(adam)
    assert client.get(f"/settings/team/{ana.pk}/roles/").status_code == 200
    client.post(f"/settings/team/{ana.pk}/roles/save/", {"roles": ["merchandiser", "analyst"]})
    assert user_roles(ana) == {"merchandiser", "analyst"}
    answer = client.post(f"/settings/team/{adam.pk}/roles/save/", {"roles": ["analyst"]})
    assert b"take the admin role from yourself" in answer.content
    assert user_roles(adam) == {"admin"}


def test_others_change_no_roles(maya: User, ana: User) -> None:
    assert (
        logged_in(maya).post(f"/settings/team/{maya.pk}/roles/save/", {"roles": ["admin"]}).status_code == 403
    )
    assert user_roles(maya) == {"merchandiser"}
    assert not AuditEntry.objects.exists()


def test_profile_changes_language_and_password(ana: User) -> None:
    client = logged_in(ana)
    client.post("/profile/language/", {"language": "zh-hans"})
    ana.refresh_from_db()
    assert ana.language == "zh-hans"
    assert client.get("/profile/").headers["Content-Language"] == "zh-hans"
    facts = {"old_password": "a-long-test-password", "new_password1": PASSWORD, "new_password2": PASSWORD}
    assert client.post("/profile/password/", facts).status_code == 302
    assert client.get("/profile/").status_code == 200
    ana.refresh_from_db()
    assert ana.check_password(PASSWORD)


def test_a_wrong_old_password_changes_nothing(ana: User) -> None:
    facts = {"old_password": "no", "new_password1": PASSWORD, "new_password2": PASSWORD}
    assert logged_in(ana).post("/profile/password/", facts).status_code == 200
    ana.refresh_from_db()
    assert ana.check_password("a-long-test-password")


def test_the_profiles_language_follows_to_another_browser(ana: User) -> None:
    ana.language = "zh-hans"
    ana.save()
    page = logged_in(ana).get("/profile/", headers={"Accept-Language": "en"})
    assert page.headers["Content-Language"] == "zh-hans"
    assert '<html lang="zh-hans"' in page.content.decode()


def test_ten_wrong_passwords_lock_the_name_with_clear_words(ana: User) -> None:
    client = Client()
    for _ in range(10):
        answer = client.post("/admin/login/", {"username": "ana", "password": "wrong"})
    assert answer.status_code == 429
    assert b"Too many wrong passwords" in answer.content
    right = client.post("/admin/login/", {"username": "ana", "password": "a-long-test-password"})
    assert right.status_code == 429
    other = Client(REMOTE_ADDR="10.0.0.9")
    assert (
        other.post("/admin/login/", {"username": "ana", "password": "a-long-test-password"}).status_code
        == 302
    )
