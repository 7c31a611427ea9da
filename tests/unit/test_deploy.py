"""What deploy/ ships is taken by each tool's own validator; no container engine is needed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from sqlalchemy.engine import make_url

from monitor.settings.file import load
from monitor.settings.sections import WebSettings
from monitor.web import files
from monitor.web.clients.reauthorize import Reauthorize
from monitor.web.console.contents import declared
from monitor.web.ops import Ops
from monitor.web.signin import SignIn
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


def compose():
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def kubernetes(name):
    return list(yaml.safe_load_all((DEPLOY / "kubernetes" / f"{name}.yaml").read_text()))


def test_the_dockerfile():
    run("hadolint", str(DEPLOY / "Dockerfile"))
    text = (DEPLOY / "Dockerfile").read_text()
    assert "USER 10001" in text and "HEALTHCHECK" in text


def test_compose_and_what_it_mounts():
    run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(DEPLOY / "compose.yaml"))
    for service in compose()["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).exists(), source
            else:
                assert source in compose()["volumes"]
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), "nothing listens to the world by default"


def test_compose_lets_clients_in_by_the_proxy_only_and_metrics_out_to_nobody():
    services, networks = compose()["services"], compose()["networks"]
    assert services.keys() == {
        "token-health", "proxy", "certificates", "postgres", "prometheus", "alertmanager", "grafana", "mailpit",
    }  # fmt: skip
    service, proxy = services["token-health"], services["proxy"]
    assert "ports" not in service and "ports" not in services["postgres"]
    assert (
        "inside" not in proxy["networks"]
        and networks["clients"]["internal"]
        and networks["inside"]["internal"]
    )
    assert [name for name, one in services.items() if "clients" in one.get("networks", ())] == [
        "token-health",
        "proxy",
    ]
    web = tomllib.loads((DEPLOY / "token-health.toml").read_text())["web"]
    assert web["proxies"] == [proxy["networks"]["clients"]["ipv4_address"]]
    assert web["clients_listen"] == service["networks"]["clients"]["ipv4_address"] + ":8080"
    port = web["operations_listen"].split(":")[1]
    scraped = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())["scrape_configs"][0]
    assert scraped["static_configs"][0]["targets"] == [f"token-health:{port}"]
    assert f"127.0.0.1:{port}/healthz" in (DEPLOY / "Dockerfile").read_text()


def test_every_container_of_compose_has_no_more_rights_than_it_needs():
    for name, service in compose()["services"].items():
        assert service["read_only"] and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"] and service["ulimits"] == {"core": 0}, (
            name
        )
        assert "privileged" not in service and ("cap_add" in service) == (name == "certificates"), name


def test_compose_speaks_tls_with_its_database_and_its_mail_server():
    services = compose()["services"]
    configuration = tomllib.loads((DEPLOY / "token-health.toml").read_text())
    mail, web = configuration["smtp"], configuration["web"]
    assert (
        mail["starttls"] == "always"
        and services["mailpit"]["environment"]["MP_SMTP_REQUIRE_STARTTLS"] == "true"
    )
    url = services["token-health"]["environment"]["DATABASE_URL"]
    secret = kubernetes("secret.example")[0]
    for one in (url, secret["stringData"]["DATABASE_URL"]):
        query = make_url(one.replace("${POSTGRES_PASSWORD:?set it in .env}", "x")).query
        assert query["sslmode"] == "verify-full" and query["sslrootcert"].endswith("/ca.crt")
    assert "authority:" + str(Path(mail["ca_file"]).parent) + ":ro" in services["token-health"]["volumes"]
    assert mail["ca_file"] in url
    # The certificates that are made have the names that are asked for, and their folders are mounted.
    made = services["certificates"]["entrypoint"][3:]
    for folder, name, user in zip(made[::3], made[1::3], made[2::3], strict=True):
        one = services[Path(folder).name]
        assert one["user"].split(":")[0] == user
        assert any(volume.startswith(f"{Path(folder).name}-tls:") for volume in one["volumes"])
        assert name in (Path(folder).name, urlsplit(web["public_url"]).hostname)


def test_images_are_named_by_an_exact_version_or_a_digest():
    texts = [(DEPLOY / "compose.yaml"), (DEPLOY / "Dockerfile"), *(DEPLOY / "kubernetes").glob("*.yaml")]
    found = {
        name
        for text in texts
        for name in re.findall(r"^ *(?:image: |ARG PYTHON=|FROM )([^ $\n]+)", text.read_text(), re.MULTILINE)
    }
    assert len(found) >= 7
    for name in found:
        assert re.search(r":v?\d+\.\d+(\.\d+)?(-[a-z-]+)?$|@sha256:[0-9a-f]{64}$", name), name


def test_the_proxy_passes_on_every_header_that_the_clients_pages_read():
    conf = (DEPLOY / "nginx" / "token-health.conf").read_text()
    passed = {name.lower() for name in re.findall(r"proxy_set_header ([\w-]+)", conf)}
    read = set()
    for path in (ROOT / "monitor" / "web").rglob("*.py"):
        # What is for operators and for programs does not come through this proxy.
        if path.name not in ("ops.py", "doorkeeper.py", "signin.py", "files.py") and not {
            "api",
            "console",
        } & set(path.parts):
            read |= set(re.findall(r"request\.headers(?:\.get\(|\[)\"([\w-]+)\"", path.read_text()))
    assert {"sec-fetch-site", "accept-language"} <= read <= passed


def test_the_proxy_publishes_every_page_for_clients_and_none_for_operators():
    conf = (DEPLOY / "nginx" / "token-health.conf").read_text()
    published = re.findall(r'^    "~(.*)" 1;$', conf, re.MULTILINE)
    pages = Reauthorize.routes(object.__new__(Reauthorize))
    assert len(pages) >= 5
    kept = [*Ops.routes(object.__new__(Ops)), *files.routes()]
    asked = [(method, one.path, True) for one in pages for method in one.methods - {"HEAD"}]
    asked += [(method, one.path, False) for one in kept for method in one.methods - {"HEAD"}]
    asked += [(method, one.path, False) for one in declared() for method in ("GET", "POST")]
    for method, path, wanted in asked:
        line = f"{method} {re.sub(r'{[a-z:]+}', 'clio-us', path)}"
        assert any(re.search(one, line) for one in published) is wanted, line


@pytest.mark.parametrize(
    "name", ["namespace", "deployment", "proxy", "service", "networkpolicy", "secret.example"]
)
def test_kubernetes(name):
    run("kubernetes-validate", "--strict", str(DEPLOY / "kubernetes" / f"{name}.yaml"))


def test_the_service_monitor_finds_the_service():
    monitor = kubernetes("servicemonitor")[0]["spec"]
    found = [
        one for one in kubernetes("service")
        if monitor["selector"]["matchLabels"].items() <= one["metadata"]["labels"].items()
    ]  # fmt: skip
    assert [one["metadata"]["name"] for one in found] == ["token-health-operations"]
    assert monitor["endpoints"][0]["port"] in [port["name"] for port in found[0]["spec"]["ports"]]


def test_kustomize_finds_its_files():
    for folder in (DEPLOY / "kubernetes", DEPLOY / "nginx"):
        kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
        for name in kustomization.get("resources", []) + kustomization["configMapGenerator"][0]["files"]:
            assert (folder / name).exists()


def test_kubernetes_lets_in_and_out_what_is_named_and_nothing_else():
    policies = {one["metadata"]["name"]: one["spec"] for one in kubernetes("networkpolicy")}
    assert policies["nothing"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for policy in policies.values():
        assert policy["policyTypes"] == ["Ingress", "Egress"]
        assert all(rule["from"] and rule["ports"] for rule in policy.get("ingress", ()))
        assert all(rule["to"] and rule["ports"] for rule in policy.get("egress", ()))
    clients, operations = policies["token-health"]["ingress"]
    proxy = kubernetes("proxy")[0]["spec"]["template"]["metadata"]["labels"]
    assert clients["from"] == [{"podSelector": {"matchLabels": proxy}}]
    assert "namespaceSelector" in operations["from"][0] and "podSelector" in operations["from"][0]
    ports = {
        p["name"]: p["containerPort"]
        for p in kubernetes("deployment")[0]["spec"]["template"]["spec"]["containers"][0]["ports"]
    }
    web = tomllib.loads((DEPLOY / "kubernetes/token-health.toml").read_text())["web"]
    assert web["clients_listen"].endswith(f":{ports[clients['ports'][0]['port']]}")
    assert web["operations_listen"].endswith(f":{ports[operations['ports'][0]['port']]}")
    # Only the proxy is for the world; the cloud's metadata is for nobody.
    assert [one["metadata"]["name"] for one in [*kubernetes("service"), *kubernetes("proxy")]
            if one["spec"].get("type")] == ["token-health-proxy"]  # fmt: skip
    world = [
        b["ipBlock"] for rule in policies["token-health"]["egress"] for b in rule["to"] if "ipBlock" in b
    ]
    assert all("169.254.0.0/16" in b["except"] for b in world if b["cidr"] == "0.0.0.0/0")


def test_pods_have_no_more_rights_than_they_need():
    for name in ("deployment", "proxy"):
        pod = kubernetes(name)[0]["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["seccompProfile"]
        for container in pod["containers"]:
            rights = container["securityContext"]
            assert rights["readOnlyRootFilesystem"] and not rights["allowPrivilegeEscalation"]
            assert rights["capabilities"] == {"drop": ["ALL"]}


def test_the_systemd_unit(tmp_path):
    unit = (DEPLOY / "systemd" / "token-health.service").read_text()
    assert "\nLimitCORE=0\n" in unit, "a core file has every token"
    assert int(re.findall(r"(?m)^LimitNOFILE=(\d+)$", unit)[0]) >= 4096
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
    volumes = compose()["services"]["grafana"]["volumes"]
    assert f"../dashboards/generated:{path}:ro" in volumes
    yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())


@pytest.mark.parametrize("name", ["token-health.toml", "kubernetes/token-health.toml"])
def test_the_configurations_load(name, tmp_path):
    text = (DEPLOY / name).read_text()
    for key in {"clients_listen", "operations_listen"} - WebSettings.model_fields.keys():
        text = re.sub(rf"^{key} .*\n", "", text, flags=re.MULTILINE)
    (tmp_path / "token-health.toml").write_text(text)
    found = load(tmp_path / "token-health.toml", {"DATABASE_URL": "postgresql://x@y/z", "CLIO_SECRET": "s"})
    assert found.settings.apps[0].team == "integrations"
    assert found.database_url() == "postgresql://x@y/z"
    assert found.mail_server().starttls is True
    host = urlsplit(found.settings.web.public_url).netloc
    conf = (DEPLOY / "nginx" / "token-health.conf").read_text()
    assert conf.count(host) == 4 and f"proxy_set_header Host {host};" in conf


def test_the_apis_proxy_publishes_the_api_and_the_console_and_nothing_else():
    conf = (DEPLOY / "nginx" / "token-health-api.conf").read_text()
    (kept,) = re.findall(r"location ~ (\S+) {", conf)
    ours = [route.path for route in SignIn.routes(object.__new__(SignIn))]
    ours += [one.path for one in declared()]
    assert not any(re.search(kept, path) for path in [*ours, "/api/v1/me"])
    others = (
        *Ops.routes(object.__new__(Ops)),
        *Reauthorize.routes(object.__new__(Reauthorize)),
    )
    assert all(re.search(kept, route.path) for route in others)
    assert "proxy_set_header X-Forwarded-Proto https;" in conf and "deny all;" in conf
    listens = {
        tomllib.loads((DEPLOY / name).read_text())["web"]["listen"]
        for name in ("token-health.toml", "kubernetes/token-health.toml")
    }
    assert listens == {"127.0.0.1:8082"} and "server 127.0.0.1:8082 " in conf
