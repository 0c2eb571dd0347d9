"""HTTP 401 and 403 of MLflow's and Prefect's servers, and the login that clients send to them.

Source: https://mlflow.org/docs/latest/self-hosting/security/basic-http-auth/
Source: https://docs.prefect.io/v3/advanced/security-settings#basic-authentication
"""

from __future__ import annotations

import base64
import configparser
import os
import re
import tomllib
import urllib.parse
import urllib.request
from contextlib import suppress
from pathlib import Path

from vidpipe.errors import ConfigurationError

REFUSALS = (401, 403)
MLFLOW_LOGIN = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
PREFECT_URL = "PREFECT_API_URL"
PREFECT_LOGIN = ("PREFECT_API_AUTH_STRING",)
_MLFLOW_TOKEN, _PREFECT_KEY = "MLFLOW_TRACKING_TOKEN", "PREFECT_API_KEY"


def without_login(text: str) -> str:
    """Text whose URLs have lost user and password."""
    return re.sub(r"//[^/\s@]*@", "//", text)


def request(url: str, authorization: str | None) -> urllib.request.Request:
    """GET request with the login in the URL, else with `authorization`."""
    parts = urllib.parse.urlsplit(url)
    if parts.username:
        pair = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        authorization = _basic(pair)  # as clients do
    headers = {"Authorization": authorization} if authorization else {}
    return urllib.request.Request(without_login(url), headers=headers)  # noqa: S310  (as configured)


def mlflow_authorization() -> str | None:
    """Authorization header of MLflow's client, from its variables or its file; None without a login."""
    user, password = (os.environ.get(name) or _from_file(name) for name in MLFLOW_LOGIN)
    if user and password:
        return _basic(f"{user}:{password}")
    token = os.environ.get(_MLFLOW_TOKEN)
    return f"Bearer {token}" if token else None


def _from_file(name: str) -> str | None:
    """Value of `~/.mlflow/credentials`, which MLflow's client reads as well."""
    found = configparser.ConfigParser(interpolation=None)
    with suppress(OSError, configparser.Error, UnicodeDecodeError):
        found.read(Path.home() / ".mlflow" / "credentials")
    return found.get("mlflow", name.lower(), fallback=None)


def prefect_authorization(login: str | None = None, key: str | None = None) -> str | None:
    """Authorization header of Prefect's client, by default from its variables; None without a login."""
    if login := login or os.environ.get(PREFECT_LOGIN[0]):
        return _basic(login)
    key = key or os.environ.get(_PREFECT_KEY)
    return f"Bearer {key}" if key else None


def prefect_server(home: Path) -> tuple[str | None, str | None]:
    """Address and authorization header that flows use: of the variables, else of Prefect's active profile.

    `home` is where flows keep Prefect's state, unless PREFECT_HOME says otherwise.
    """
    profile = _prefect_profile(home)
    login = prefect_authorization() or prefect_authorization(
        profile.get(PREFECT_LOGIN[0]), profile.get(_PREFECT_KEY)
    )
    return os.environ.get(PREFECT_URL) or profile.get(PREFECT_URL), login


def _prefect_profile(home: Path) -> dict[str, str]:
    """Settings of the active profile. Source: https://docs.prefect.io/v3/concepts/settings-and-profiles"""
    folder = Path(os.environ.get("PREFECT_HOME") or home)
    file = Path(os.environ.get("PREFECT_PROFILES_PATH") or folder / "profiles.toml").expanduser()
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    active = os.environ.get("PREFECT_PROFILE") or found.get("active")
    profile = found.get("profiles", {}).get(active, {})
    return {name: str(value) for name, value in profile.items()}


def refusal(server: str, uri: str, status: int, is_sent: bool, names: tuple[str, ...]) -> ConfigurationError:
    """Error for a server that answers 401 or 403.

    Args:
        server: Its name, such as MLflow.
        uri: Its address; a login in it is not shown.
        status: Of its answer.
        is_sent: Whether a login was sent: a wrong one and a missing one are told apart.
        names: Variables of the login.
    """
    where, variables = without_login(uri), " and ".join(names)
    if status == 403:
        return ConfigurationError(
            f"{server} at {where} forbids this (HTTP 403).",
            next_step=f"allow it to the user of {variables}; servers also forbid unknown host names.",
        )
    if is_sent:
        return ConfigurationError(
            f"{server} at {where} refuses the login (HTTP 401): user or password is wrong.",
            next_step=f"correct {variables}.",
        )
    return ConfigurationError(
        f"{server} at {where} asks for a login (HTTP 401), and none is set.", next_step=f"set {variables}."
    )


def _basic(pair: str) -> str:
    return f"Basic {base64.b64encode(pair.encode()).decode()}"
