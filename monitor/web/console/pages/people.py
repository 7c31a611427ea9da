"""People: added, given another role or password, removed. A password that is made is shown once."""

from __future__ import annotations

from monitor.errors import ConfigurationError
from monitor.operations import passwords, people
from monitor.operations.actor import Right
from monitor.operations.roles import Role
from monitor.secret import Secret
from monitor.web.console.answers import Ask, Done, Field, Shown
from monitor.web.console.declared import action
from monitor.web.console.texts import N_, gettext
from monitor.web.console.visit import Visit

ROLES = {
    Role.VIEWER: N_("viewer: sees, and changes nothing; addresses are masked"),
    Role.OPERATOR: N_("operator: does the daily work"),
    Role.ADMIN: N_("admin: people, keys, webhooks, settings and the audit, too"),
}


def _password(hint: str) -> Field:
    return Field("password", gettext("Password"), "password", hint=hint)


def _roles(chosen: str) -> Field:
    options = [(role.value, gettext(words)) for role, words in ROLES.items()]
    return Field("role", gettext("Role"), "radio", chosen, options=options)


async def _ask_whom(visit: Visit) -> Ask:
    return Ask(
        gettext("Add somebody who signs in with a password"),
        [gettext("They sign in by this name from then on, and see what their role may see.")],
        gettext("Add them"),
        "/access",
        fields=[
            Field("name", gettext("Name"), value=visit.given("name"), required=True,
                  hint=gettext("As it will stand in the audit: dana.")),
            _roles(visit.given("role", Role.VIEWER.value)),
            _password(gettext("At least 12 characters. Leave it empty, and one is made and shown once.")),
        ],
        here="/access",
    )  # fmt: skip


@action("/access/people/new", Right.USERS_WRITE, api=("create_user",), asks=_ask_whom)
async def add_person(visit: Visit) -> Shown | Done:
    """Add somebody."""
    given, made = _given(visit)
    one = await people.add(visit.parts, visit.actor, visit.given("name"), visit.given("role"), given)
    if made:
        return _once(one.name, given)
    return Done("/access", gettext("%(name)s may sign in, as %(role)s.", name=one.name, role=one.role))


async def _ask_role(visit: Visit) -> Ask:
    one = await people.show(visit.parts, visit.actor, visit.path["person"])
    return Ask(
        gettext("Give %(name)s another role", name=one.name),
        [gettext("They are signed out everywhere, and sign in again with what the new role may.")],
        gettext("Change the role"),
        "/access",
        fields=[_roles(visit.given("role", one.role))],
        hidden=[("revision", str(one.revision))],
        here="/access",
    )


@action("/access/people/{person}/role", Right.USERS_WRITE, api=("change_user",), asks=_ask_role)
async def change_role(visit: Visit) -> Done:
    """Give somebody another role."""
    one = await people.change(
        visit.parts, visit.actor, visit.path["person"], role=visit.given("role"), revision=revision(visit)
    )
    return Done("/access", gettext("%(name)s is %(role)s now.", name=one.name, role=one.role))


async def _ask_password(visit: Visit) -> Ask:
    one = await people.show(visit.parts, visit.actor, visit.path["person"])
    return Ask(
        gettext("Give %(name)s another password", name=one.name),
        [gettext("The one before is no good from then on, and they are signed out everywhere.")],
        gettext("Change the password"),
        "/access",
        fields=[
            _password(gettext("At least 12 characters. Leave it empty, and one is made and shown once."))
        ],
        hidden=[("revision", str(one.revision))],
        here="/access",
    )


@action("/access/people/{person}/password", Right.USERS_WRITE, api=("change_user",), asks=_ask_password)
async def reset_password(visit: Visit) -> Shown | Done:
    """Give somebody another password."""
    given, made = _given(visit)
    one = await people.change(
        visit.parts, visit.actor, visit.path["person"], password=given, revision=revision(visit)
    )
    if made:
        return _once(one.name, given)
    return Done("/access", gettext("%(name)s has another password.", name=one.name))


async def _ask_removal(visit: Visit) -> Ask:
    one = await people.show(visit.parts, visit.actor, visit.path["person"])
    return Ask(
        gettext("Remove %(name)s", name=one.name),
        [
            gettext("They are signed out everywhere and cannot sign in any more."),
            gettext("Keys that they made stay good; what they did stays in the audit."),
        ],
        gettext("Remove %(name)s", name=one.name),
        "/access",
        hidden=[("revision", str(one.revision))],
        danger=True,
        note=gettext("It cannot be taken back; they can be added anew."),
        here="/access",
    )


@action("/access/people/{person}/remove", Right.USERS_WRITE, api=("remove_user",), asks=_ask_removal)
async def remove_person(visit: Visit) -> Done:
    """Forget somebody."""
    one = await people.remove(visit.parts, visit.actor, visit.path["person"], revision=revision(visit))
    return Done("/access", gettext("%(name)s is removed.", name=one.name))


def _given(visit: Visit) -> tuple[Secret, bool]:
    """Return the password that was chosen, as it was typed; or one that is made, and that it is."""
    text = visit.form.get("password", "")
    if isinstance(text, str) and text:
        return Secret(text), False
    return passwords.made(), True


def _once(name: str, password: Secret) -> Shown:
    """Show a password that was made, on this page and never again."""
    return Shown(
        "once.html.j2",
        gettext("The password of %(name)s", name=name),
        "/access",
        secret=password.reveal(),
        says=gettext(
            "Hand it over now: nobody can show it again. They sign in with it at %(url)s.", url="/sign-in"
        ),
        back="/access",
        how=None,
    )


def revision(visit: Visit) -> int | None:
    """Return which revision a form was filled in for, None without. Raises ConfigurationError."""
    given = visit.given("revision")
    if not given:
        return None
    if not (given.isascii() and given.isdecimal() and len(given) < 10):
        raise ConfigurationError(gettext("This form is none of this page's; open it again."))
    return int(given)
