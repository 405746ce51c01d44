"""Every file that describes a deployment means what its own program understands by it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from gateway.proxies import networks_of
from rpn.settings import SERVICES, AgentSettings, GatewaySettings, SchedulerSettings, Settings, variable
from tests.deploy.engine import HOUSE

DEPLOY = HOUSE / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
MANIFESTS = sorted(path for path in KUBERNETES.glob("*.yaml") if path.name != "kustomization.yaml")
KUBERNETES_VERSION = "1.32"
OF_THE_BALANCER = {"RPN_TLS_CERT", "RPN_TLS_KEY"}
"""settings that a gateway behind a balancer has no use for: TLS ends there, or before it"""
METRICS_OF_OTHERS = ("up", "process_", "haproxy_")


def understood_by(name: str, *words: str) -> None:
    """A program, of the system or beside this Python, says that a file is right; skipped without it."""
    program = shutil.which(name) or shutil.which(name, path=Path(sys.executable).parent)
    if program is None:
        pytest.skip(f"no {name} here")
    done = subprocess.run([program, *words], cwd=HOUSE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def compose_file() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((HOUSE / "docker-compose.yml").read_text())
    return found


def documents(path: Path) -> Iterator[dict[str, Any]]:
    yield from yaml.safe_load_all(path.read_text())


def test_prometheus_understands_its_configuration_and_rules() -> None:
    understood_by("promtool", "check", "config", "--syntax-only", "deploy/prometheus/prometheus.yml")
    understood_by("promtool", "check", "rules", "deploy/prometheus/alerts.yml")


@pytest.mark.slow
def test_every_alert_rings_when_it_should_and_only_then() -> None:
    understood_by("promtool", "test", "rules", "deploy/prometheus/alerts_test.yml")


def test_every_alert_has_a_test() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"][0]["rules"]
    proved = (DEPLOY / "prometheus/alerts_test.yml").read_text()
    assert [rule["alert"] for rule in rules if f'alertname="{rule["alert"]}"' not in proved] == []


def test_haproxy_understands_its_configuration() -> None:
    understood_by("haproxy", "-c", "-f", "deploy/haproxy/haproxy.cfg")


@pytest.mark.parametrize("profile", ["demo", "observe", "grafana", "ha"])
def test_compose_understands_its_file(profile: str) -> None:
    understood_by("docker-compose", "--profile", profile, "config", "--quiet")


def test_caddy_understands_its_file() -> None:
    understood_by("caddy", "validate", "--config", "deploy/Caddyfile")


def test_only_the_balancer_and_what_an_owner_asks_for_is_published() -> None:
    services = compose_file()["services"]
    always = {name for name, service in services.items() if "ports" in service and "profiles" not in service}
    assert always == {"lb"}
    assert not any("container_name" in service for service in services.values())
    for service in services.values():
        assert all("127.0.0.1" in port for port in service.get("ports", []))


def test_every_service_is_hardened() -> None:
    for service in compose_file()["services"].values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def handed_on(service: str) -> set[str]:
    """The settings that compose gives a service, or hands on to it."""
    return {one.removesuffix("_FILE") for one in compose_file()["services"][service]["environment"]}


@pytest.mark.parametrize(
    ("service", "kind"), [("gateway", GatewaySettings), ("scheduler", SchedulerSettings)]
)
def test_compose_hands_every_setting_on(service: str, kind: type[Settings]) -> None:
    assert handed_on(service) == set(map(variable, kind.__struct_fields__)) - OF_THE_BALANCER


def test_every_setting_that_compose_hands_to_the_agent_exists() -> None:
    assert handed_on("agent") <= set(map(variable, AgentSettings.__struct_fields__))


def test_gateways_have_longer_to_stop_than_to_drain() -> None:
    default = re.search(r":-(\d+)s", compose_file()["services"]["gateway"]["stop_grace_period"])
    assert default is not None
    notice_s = float(
        compose_file()["services"]["gateway"]["environment"]["RPN_DRAIN_NOTICE_S"].strip("${}").split(":-")[1]
    )
    assert int(default[1]) >= notice_s + GatewaySettings().drain_s + 10
    (gateway,) = [one for one in documents(KUBERNETES / "gateway.yaml") if one["kind"] == "Deployment"]
    (settings,) = documents(KUBERNETES / "settings.yaml")
    grace_s = gateway["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace_s >= 5 + float(settings["data"]["RPN_DRAIN_S"]) + 10


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: str(path.name))
def test_kubernetes_understands_the_manifests(path: Path) -> None:
    for document in documents(path):
        kubernetes_validate.validate(document, KUBERNETES_VERSION, strict=True)


def test_kustomize_knows_every_manifest() -> None:
    (kustomization,) = documents(KUBERNETES / "kustomization.yaml")
    assert sorted(kustomization["resources"]) == [path.name for path in MANIFESTS]


def test_the_settings_for_kubernetes_exist_and_can_be_read() -> None:
    (settings,) = documents(KUBERNETES / "settings.yaml")
    known = {variable(field) for service in SERVICES for field in service.__struct_fields__}
    assert set(settings["data"]) - known == set()
    assert networks_of(settings["data"]["RPN_TRUSTED_PROXIES"])


def test_every_panel_and_alert_asks_for_a_metric_that_is_told() -> None:
    told = "".join(
        path.read_text() for folder in ("gateway", "scheduler") for path in (HOUSE / folder).glob("*.py")
    )
    board = json.loads((DEPLOY / "grafana/boards/pool.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    rules = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"][0]["rules"]
    asked += [rule["expr"] for rule in rules]
    for name in sorted(set(re.findall(r"\brpn_\w+", " ".join(asked)))):
        stem = name.removesuffix("_total").removesuffix("_info").removesuffix("_bucket")
        short = re.sub(r"^rpn_(gateway|scheduler)_", "", stem)
        assert f'"{stem}"' in told or f'"{short}"' in told, name
