"""Start a server behind the login of LOGIN_PASSWORD: `python login.py mlflow|prefect server ...`.

The user of both servers is `admin`. A password that could be guessed is refused, and nothing starts. `off`
means no login; it is taken only while PUBLIC_DOMAIN is empty and PUBLISHED_ADDRESS, where compose publishes
the ports, is this machine's loopback. With a domain the pages are https://mlflow.PUBLIC_DOMAIN and
https://prefect.PUBLIC_DOMAIN, which a proxy with TLS serves.

Source: https://mlflow.org/docs/latest/self-hosting/security/basic-http-auth/
Source: https://docs.prefect.io/v3/advanced/security-settings#basic-authentication
"""

import ipaddress
import os
import re
import secrets
import sys
import tempfile
from collections.abc import Mapping

USER = "admin"
SHORTEST = 16
"""Characters of the shortest password."""
FEWEST = 6
"""Different characters that stay when all that is easily guessed has gone."""
GUESSED = (
    "password", "passwort", "passwd", "changeme", "change", "secret", "letmein", "welcome", "admin", "root",
    "user", "login", "test", "default", "example", "mlflow", "prefect", "vidpipe", "docker", "qwerty",
    "qwertz", "asdfgh", "zxcvbn", "iloveyou", "monkey", "dragon", "abcdefghijklmnopqrstuvwxyz",
    "abcdef", "abc", "1234567890", "123456", "0987654321", "654321", "1234", "123",
)  # fmt: skip
OPEN = "off"
REMEMBERED_S = 60
"""So long MLflow takes a right login without hashing it again: a hash takes 0.1 s, and each request asks."""
NEXT = (
    "Next: write the output of `openssl rand -hex 24` behind LOGIN_PASSWORD= in docker/.env,"
    " then docker compose -f docker/compose.yaml up --detach."
)


def main(command: list[str]) -> None:
    """Become the server."""
    try:
        environment = check(os.environ)
    except ValueError as error:
        sys.exit(f"login: {error}\n{NEXT}")
    is_open = environment["LOGIN_PASSWORD"] == OPEN
    server = {"mlflow": mlflow, "prefect": prefect}[command[0]]
    os.execvpe(command[0], [*command, *server(environment, is_open)], environment)  # noqa: S606  (no shell)


def check(given: Mapping[str, str]) -> dict[str, str]:
    """A copy of the environment.

    Raises:
        ValueError: The password is missing, could be guessed, or is `off` where others come in.
    """
    where = published(given)
    password, domain = given.get("LOGIN_PASSWORD", ""), given.get("PUBLIC_DOMAIN", "")
    if domain and not re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", domain):
        raise ValueError(f"PUBLIC_DOMAIN is {domain!r}; expected a host name alone, such as example.org.")
    if password == OPEN:
        if domain:
            raise ValueError(
                f"LOGIN_PASSWORD is off, and PUBLIC_DOMAIN is {domain}; expected a password there."
            )
        if not where.is_loopback:
            raise ValueError(
                f"LOGIN_PASSWORD is off, and PUBLISHED_ADDRESS is {where}, which other machines reach;"
                " expected a password there, or the address 127.0.0.1."
            )
    elif why := weakness(password):
        raise ValueError(f"LOGIN_PASSWORD {why}.")
    elif not where.is_loopback:
        sys.stderr.write(f"login: at {where} the password crosses the network as it is, without TLS\n")
    return dict(given)


def published(given: Mapping[str, str]) -> ipaddress.IPv4Address:
    """The address where compose publishes the ports.

    Raises:
        ValueError: It is not one address: browsers and servers must know it by name.
    """
    address = given.get("PUBLISHED_ADDRESS") or "127.0.0.1"
    try:
        found = ipaddress.IPv4Address(address)
    except ValueError:
        found = None
    if found is None or found.is_unspecified:
        raise ValueError(
            f"PUBLISHED_ADDRESS is {address!r}; expected the one IPv4 address of this machine that browsers"
            " call, such as 192.168.1.5, or 127.0.0.1."
        )
    return found


def weakness(password: str) -> str | None:
    """What is wrong with a password, without showing it; None for a good one."""
    if len(password) < SHORTEST:
        return f"has {len(password)} characters; expected {SHORTEST} or more"
    if not re.fullmatch(r"[!-~]+", password):
        return "has spaces or characters outside ASCII; expected letters, digits and signs"
    rest = re.sub("|".join(sorted(GUESSED, key=len, reverse=True)), "", password.lower())
    if (kinds := len(set(rest))) < FEWEST:
        return (
            f"has {kinds} different characters besides words and rows of digits that are tried first;"
            f" expected {FEWEST} or more"
        )
    return None


def prefect(environment: dict[str, str], is_open: bool) -> list[str]:
    """Complete the environment of Prefect's server; more arguments."""
    environment.pop("PREFECT_SERVER_API_AUTH_STRING", None)  # an empty one would ask for an empty login
    if not is_open:
        environment["PREFECT_SERVER_API_AUTH_STRING"] = f"{USER}:{environment['LOGIN_PASSWORD']}"
    if domain := environment.get("PUBLIC_DOMAIN"):
        environment["PREFECT_UI_URL"] = f"https://prefect.{domain}"
        environment["PREFECT_SERVER_UI_API_URL"] = f"https://prefect.{domain}/api"
    return []


def mlflow(environment: dict[str, str], is_open: bool) -> list[str]:
    """Complete the environment of MLflow's server; more arguments."""
    if domain := environment.get("PUBLIC_DOMAIN"):
        environment["MLFLOW_SERVER_ALLOWED_HOSTS"] += f",mlflow.{domain}"
        environment["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"] = f"https://mlflow.{domain}"
    if is_open:
        return []
    environment |= {
        "MLFLOW_AUTH_CONFIG_PATH": auth_config(environment["MLFLOW_BACKEND_STORE_URI"]),
        "MLFLOW_AUTH_ADMIN_USERNAME": USER,
        "MLFLOW_AUTH_ADMIN_PASSWORD": environment["LOGIN_PASSWORD"],
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(32),  # of all workers, new at each start
    }
    os.environ.update(environment)  # read by MLflow on import
    follow_password(environment["MLFLOW_BACKEND_STORE_URI"], environment["LOGIN_PASSWORD"])
    return ["--app-name", "basic-auth"]


def auth_config(database: str) -> str:
    """A file that only we can read: users lie in tables of their own beside the runs, not in a file."""
    handle, name = tempfile.mkstemp(prefix="mlflow-auth-", suffix=".ini")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(
            "[mlflow]\ndefault_permission = READ\n"
            f"auth_cache_ttl_seconds = {REMEMBERED_S}\n"
            f"database_uri = {database.replace('%', '%%')}\n"
        )
    return name


def follow_password(database: str, password: str) -> None:
    """Give `admin` the new password: MLflow reads its variable at the very first start alone."""
    from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore()
    store.init_db(database)
    if store.has_user(USER) and not store.authenticate_user(USER, password):
        store.update_user(USER, password=password)
        sys.stderr.write("login: the password of MLflow's user admin follows LOGIN_PASSWORD\n")


if __name__ == "__main__":
    main(sys.argv[1:])
