"""Settings with where they came from: what stands in other files and in the environment, and the apps."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from alerts.channels import smtp
from alerts.pages.routes import Route, routes_of
from monitor.errors import ConfigurationError, KeyMissing
from monitor.providers import catalogue
from monitor.providers.schema import Provider
from monitor.secret import Secret
from monitor.settings.environment import PREFIX
from monitor.settings.sections import (
    AppSettings,
)
from monitor.settings.whole import Settings
from monitor.tokens.vault import Cell, Key, Vault, parse_keys, read_key_file
from monitor.wire.apps import App, endpoints_of
from monitor.wire.values import why_not, with_hosts


class Loaded:
    """Settings with where they came from: relative paths are relative to the file."""

    def __init__(self, settings: Settings, path: Path, environ: Mapping[str, str]) -> None:
        self.settings, self.path, self._environ = settings, path, environ
        self.directory = path.resolve().parent

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment that it was read with; it may hold secrets."""
        return self._environ

    def database_url(self) -> str:
        """Return the database's URL; a relative SQLite file is beside the configuration."""
        db = self.settings.database
        url = db.url
        if db.url_env:
            url = self._from_environment(db.url_env, "database.url_env").reveal()
        elif db.url_file:
            url = self._from_file(db.url_file, "database.url_file").reveal()
        match = re.fullmatch(r"sqlite:///(?!/)(.+)", url)
        return f"sqlite:///{self.directory / match.group(1)}" if match else url

    def mail_server(self) -> smtp.Server:
        """Return the mail server. Raises ConfigurationError."""
        try:
            return smtp.given(self.settings.smtp, self._one_of, self.directory)
        except ValueError as error:
            raise ConfigurationError(f"{self.path}: smtp.url: {error}.") from None

    def oidc_secret(self) -> Secret:
        """Return the secret that we have with the OpenID provider. Raises ConfigurationError."""
        oidc = self.settings.oidc
        found = self._one_of("oidc.client_secret", "", oidc.client_secret_env, oidc.client_secret_file)
        return found or Secret("")

    def routes(self) -> tuple[Route, ...]:
        """Return on-call's channels. Raises ConfigurationError for an address that is not there."""
        return routes_of(self.settings.oncall, self._one_of)

    def _one_of(self, what: str, value: str, variable: str | None, file: Path | None) -> Secret | None:
        """Return a setting that may stand in the environment or a file, None where it is not set."""
        if variable:
            return self._from_environment(variable, f"{what}_env")
        if file:
            return self._from_file(file, f"{what}_file")
        return Secret(value) if value else None

    def from_environment(self) -> frozenset[str]:
        """Return which settings variables say instead of the file, as `section.key`."""
        return frozenset(
            name.removeprefix(PREFIX).lower().replace("__", ".")
            for name in self._environ
            if name.startswith(PREFIX)
        )

    def secret_variables(self) -> list[str]:
        """Return the variables that hold secrets, or may: keys, settings, and what `*_env` names."""
        named = _values_of(self.settings.model_dump(), lambda key: key.endswith("_env"))
        return ["TOKEN_HEALTH_KEYS", *(n for n in self._environ if n.startswith(PREFIX)), *named]

    def secret_files(self) -> list[Path]:
        """Return the files that hold secrets: the configuration, and what `*_file` names."""
        ends = ("url_file", "urls_file", "secret_file", "password_file")
        named = _values_of(self.settings.model_dump(), lambda key: key.endswith(ends))
        return [self.path, *(self.directory / name for name in named)]

    @property
    def key_file(self) -> Path:
        """Where the encryption keys are, unless TOKEN_HEALTH_KEYS holds them."""
        return self.directory / self.settings.security.key_file

    @property
    def keys_from_environment(self) -> bool:
        """Whether TOKEN_HEALTH_KEYS takes the key file's place."""
        return bool(self._environ.get("TOKEN_HEALTH_KEYS"))

    def keys(self) -> list[Key]:
        """Read the encryption keys."""
        text = self._environ.get("TOKEN_HEALTH_KEYS")
        return parse_keys(text, "TOKEN_HEALTH_KEYS") if text else read_key_file(self.key_file)

    def keys_stamp(self) -> object:
        """Return what changes whenever the key file does; None where there is none, or it cannot be seen."""
        if self.keys_from_environment:
            return None
        try:
            found = self.key_file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size

    def apps(self, vault: Vault) -> dict[str, App]:
        """Return the apps, ready to be asked. Raises ConfigurationError for what is missing."""
        return {entry.id: self._app(entry, vault) for entry in self.settings.apps}

    def provider(self, entry: AppSettings) -> Provider:
        """Return the provider of an app."""
        if entry.provider_file:
            return catalogue.load_file(self.directory / entry.provider_file)
        return catalogue.load(entry.provider)

    def _app(self, entry: AppSettings, vault: Vault) -> App:
        provider = self.provider(entry)
        region = entry.region or next(iter(provider.regions))
        where = provider.regions.get(region)
        if where is None:
            raise ConfigurationError(
                f"{self.path}: app {entry.id!r}: {provider.title} has no region {region!r}; it has "
                f"{', '.join(provider.regions)}."
            )
        base = entry.base_url or where.base_url
        if not base:
            raise ConfigurationError(
                f"{self.path}: app {entry.id!r}: {provider.title} is wherever you run it; set base_url."
            )
        # A base_url of the app's own stands for the whole provider, its OAuth host too.
        auth = entry.auth_url or entry.base_url or where.auth_url or base
        unknown = provider.unknown_scopes(entry.scopes)
        if unknown:
            raise ConfigurationError(
                f"{self.path}: app {entry.id!r}: {provider.title} has no scope {unknown[0]!r}; it has "
                f"{', '.join(provider.scopes)}."
            )
        limits = provider.limits.model_copy(
            update={
                key: value
                for key, value in (
                    ("requests_per_minute", entry.requests_per_minute),
                    ("share", entry.limit_share),
                )
                if value is not None
            }
        )
        hosts = self._hosts(entry, where.hosts)
        named = (entry.base_url, entry.auth_url, *entry.hosts.values())
        there = (urlsplit(url) for url in named if url)
        own = frozenset(f"{at.scheme}://{at.netloc}" for at in there)
        return App(
            id=entry.id,
            provider=provider,
            region=region,
            client_id=entry.client_id,
            client_secret=self._client_secret(entry, vault),
            scopes=frozenset(entry.scopes),
            base_url=base,
            auth_url=auth,
            limits=limits,
            rules=provider.compiled_rules(),
            endpoints=endpoints_of(provider, base, auth, hosts),
            own_callback=entry.callback == "own",
            hosts=hosts,
            values=self._values(entry, provider, own),
            own=own,
            headers={name: with_hosts(text, hosts) for name, text in provider.headers.items()},
            token_headers={
                name: with_hosts(text, hosts) for name, text in provider.oauth.token_headers.items()
            },
        )

    def _hosts(self, entry: AppSettings, theirs: Mapping[str, str]) -> dict[str, str]:
        """Return the region's further hosts; a base_url of the app's own stands for the others."""
        unknown = [name for name in entry.hosts if name not in theirs]
        if unknown:
            raise ConfigurationError(
                f"{self.path}: app {entry.id!r}: hosts: the region has no host {unknown[0]!r}; it has "
                f"{', '.join(theirs) or 'none'}."
            )
        return {name: entry.hosts.get(name) or entry.base_url or url for name, url in theirs.items()}

    def _values(self, entry: AppSettings, provider: Provider, own: frozenset[str]) -> dict[str, str]:
        """Return what stands in URLs of all connections of an app: its own values, and the defaults."""
        for name, text in entry.values.items():
            value = provider.values.get(name)
            trouble = f"values: {provider.title} has no value {name!r}"
            if value is not None:
                trouble = why_not(name, value, text, own) or ""
            if trouble:
                raise ConfigurationError(f"{self.path}: app {entry.id!r}: {trouble}.")
        defaults = {name: value.default for name, value in provider.values.items() if value.default}
        return defaults | dict(entry.values)

    def _client_secret(self, entry: AppSettings, vault: Vault) -> Secret:
        if entry.client_secret_env:
            return self._from_environment(entry.client_secret_env, f"app {entry.id!r}: client_secret_env")
        if entry.client_secret_file:
            return self._from_file(entry.client_secret_file, f"app {entry.id!r}: client_secret_file")
        return vault.open(entry.client_secret or "", secret_cell(entry.id))

    def _from_environment(self, name: str, what: str) -> Secret:
        value = self._environ.get(name)
        if not value:
            raise ConfigurationError(f"{self.path}: {what}: the environment has no variable {name}.")
        return Secret(value)

    def _from_file(self, path: Path, what: str) -> Secret:
        try:
            text = (self.directory / path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise KeyMissing(f"{self.path}: {what}: cannot read {path}: {reason}.") from None
        if not text:
            raise ConfigurationError(f"{self.path}: {what}: {path} is empty.")
        return Secret(text)


def _values_of(document: Any, wanted: Callable[[str], bool]) -> list[str]:
    """Return the texts of all settings, at any depth, whose key is wanted."""
    if isinstance(document, Mapping):
        found = [str(v) for key, v in document.items() if wanted(key) and isinstance(v, str | Path) and v]
        return found + [text for value in document.values() for text in _values_of(value, wanted)]
    if isinstance(document, list | tuple):
        return [text for value in document for text in _values_of(value, wanted)]
    return []


def secret_cell(app: str) -> Cell:
    """Where a sealed client secret stands: in the configuration of its app and nowhere else."""
    return Cell("app", app, "client_secret")
