"""What deploy/ ships is taken by each tool's own validator; no container engine is needed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from monitor import settings
from tests.conftest import missing

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
BIN = Path(sys.executable).parent


def run(*words: str) -> None:
    program = shutil.which(words[0]) or shutil.which(str(BIN / words[0]))
    if program is None:
        missing(f"{words[0]} is not installed")
    done = subprocess.run([program, *words[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dockerfile():
    run("hadolint", str(DEPLOY / "Dockerfile"))
    text = (DEPLOY / "Dockerfile").read_text()
    assert "USER 10001" in text and "HEALTHCHECK" in text


def test_compose_and_what_it_mounts():
    run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(DEPLOY / "compose.yaml"))
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    assert services.keys() == {
        "token-health", "proxy", "postgres", "prometheus", "alertmanager", "grafana", "mailpit",
    }  # fmt: skip
    assert "ports" not in services["token-health"], "clients come through the proxy, operators from inside"
    for service in services.values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith(".") and source != "./tls":  # the operator's certificate
                assert (DEPLOY / source).exists(), source
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), "nothing listens to the world by default"


@pytest.mark.parametrize(
    "name", ["namespace", "deployment", "service", "ingress", "networkpolicy", "secret.example"]
)
def test_kubernetes(name):
    run("kubernetes-validate", "--strict", str(DEPLOY / "kubernetes" / f"{name}.yaml"))


def test_the_service_monitor_finds_the_service():
    folder = DEPLOY / "kubernetes"
    monitor = yaml.safe_load((folder / "servicemonitor.yaml").read_text())
    chosen = monitor["spec"]["selector"]["matchLabels"].items()
    services = list(yaml.safe_load_all((folder / "service.yaml").read_text()))
    (service,) = [one for one in services if chosen <= one["metadata"]["labels"].items()]
    assert monitor["spec"]["endpoints"][0]["port"] in [port["name"] for port in service["spec"]["ports"]]
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    for name in kustomization["resources"] + kustomization["configMapGenerator"][0]["files"]:
        assert (folder / name).exists()


def test_the_systemd_unit(tmp_path):
    unit = (DEPLOY / "systemd" / "token-health.service").read_text()
    # The program is wherever it was installed; systemd wants it to be there.
    (tmp_path / "token-health.service").write_text(
        unit.replace("/opt/token-health/bin/token-health", shutil.which("true") or "/bin/true")
    )
    run("systemd-analyze", "verify", str(tmp_path / "token-health.service"))
    run(
        "systemd-analyze",
        "security",
        "--offline=true",
        "--threshold=20",
        str(tmp_path / "token-health.service"),
    )


def test_prometheus_loads_its_configuration_with_the_rules(tmp_path):
    shutil.copy(DEPLOY / "prometheus" / "prometheus.yml", tmp_path)
    shutil.copy(ROOT / "alerts" / "rules" / "token-health.rules.yml", tmp_path)
    run("promtool", "check", "config", str(tmp_path / "prometheus.yml"))
    run("amtool", "check-config", str(DEPLOY / "alertmanager" / "alertmanager.yml"))


def test_grafana_finds_its_dashboards():
    provider = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/token-health.yml").read_text())
    path = provider["providers"][0]["options"]["path"]
    volumes = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["grafana"]["volumes"]
    assert f"../dashboards/generated:{path}:ro" in volumes
    yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())


@pytest.mark.parametrize("name", ["token-health.toml", "kubernetes/token-health.toml"])
def test_the_configurations_load(name, monkeypatch):
    found = settings.load(DEPLOY / name, {"DATABASE_URL": "postgresql://x@y/z", "CLIO_SECRET": "s"})
    assert found.settings.apps[0].team == "integrations"
    assert found.database_url() == "postgresql://x@y/z"
    web = found.settings.web
    assert [(one.clients, one.operations) for one in web.listeners] == [(True, False), (False, True)]
    assert urlsplit(web.public_url).scheme == "https" and not any(
        proxy == "127.0.0.1" for proxy in web.proxies
    )


def test_only_who_needs_a_door_comes_to_it():
    policy = yaml.safe_load((DEPLOY / "kubernetes/networkpolicy.yaml").read_text())["spec"]["ingress"]
    assert [rule["ports"][0]["port"] for rule in policy] == ["clients", "operations"]
    assert all(rule["from"] for rule in policy)
    unit = (DEPLOY / "systemd/token-health.service").read_text()
    assert "LimitCORE=0" in unit and "LimitNOFILE=" in unit


def test_where_the_network_is_not_ours_mails_and_the_database_go_by_tls():
    found = settings.load(
        DEPLOY / "kubernetes/token-health.toml",
        {"DATABASE_URL": "x", "CLIO_SECRET": "s", "SMTP_PASSWORD": "p"},
    )
    assert found.mail_server().starttls is True
    secret = next(yaml.safe_load_all((DEPLOY / "kubernetes/secret.example.yaml").read_text()))
    assert "sslmode=verify-full&sslrootcert=/" in secret["stringData"]["DATABASE_URL"]
