"""The README is held to the truth: verbs, settings, relations, files and examples stand in it, and exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import duckdb
import pytest
from typer.main import get_command

from vidpipe.adapters import sqlfiles
from vidpipe.cli import app
from vidpipe.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_verb_is_in_the_table_and_no_other() -> None:
    verbs = set(get_command(app).commands)  # type: ignore[attr-defined]
    assert set(re.findall(r"^\| `vidpipe ([\w-]+)` \|", README, re.M)) == verbs


def test_every_next_command_that_an_error_names_exists() -> None:
    verbs = set(get_command(app).commands)  # type: ignore[attr-defined]
    code = "".join(f.read_text(encoding="utf-8") for f in ROOT.glob("vidpipe/**/*.py"))
    named = set(re.findall(r'next_step=f?"(?:[^"]*[ ;])?vidpipe ([\w-]+)', code))
    assert named - {"version", "that"} <= verbs  # "the vidpipe version that …" is prose


def test_every_dataset_format_is_in_the_table_and_no_other() -> None:
    formats = set(get_command(app).commands["manifest"].commands)  # type: ignore[attr-defined]
    section = README.split("## Datasets people have")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)", section, re.M)) - {"FORMAT"} == formats


def test_every_option_that_the_readme_names_exists() -> None:
    verbs = get_command(app).commands.values()  # type: ignore[attr-defined]
    commands = [c for verb in verbs for c in (verb, *getattr(verb, "commands", {}).values())]
    known = {o for c in commands for p in c.params for o in p.opts} | {"--help"}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README))
    others = {
        "--kills",
        "--backend-store-uri",
        "--host",
        "--no-prompt",
        "--all",
        "--pool",
        "--type",
        "--env-manager",
        "--detach",
        "--build",
        "--constraint",
        "--background",
        "--artifacts-destination",
        "--watch",
        "--nthreads",
    }  # other programs'
    assert named - others <= known


def test_every_setting_is_in_the_table_with_its_default() -> None:
    rows = dict(re.findall(r"^\| (`VIDPIPE_[^|]+?) \| ([^|]+?) \|", README, re.M))
    names = {n for row in rows for n in re.findall(r"VIDPIPE_\w+", row)}
    assert names == {f"VIDPIPE_{name.upper()}" for name in Settings.model_fields}
    for row, default in rows.items():
        values = re.findall(r"`([^`]+)`", default)
        for name, value in zip(re.findall(r"VIDPIPE_(\w+)", row), values, strict=False):
            field = Settings.model_fields[name.lower()]
            if value != "SQLite":
                assert str(field.default).removesuffix(".0") == value, name


def test_every_public_relation_is_named() -> None:
    with duckdb.connect() as connection:
        for _, _, text in sqlfiles.migrations():
            connection.execute(text)
        connection.execute(sqlfiles.views())
        rows = connection.execute(
            "select view_name from duckdb_views() where not internal and schema_name = 'main'"
        ).fetchall()
    assert [name for (name,) in rows if f"`{name}`" not in README] == []
    assert "`champion_as_of(ts)`" in README


def test_every_example_query_is_linked_with_its_question() -> None:
    for file in sqlfiles.examples():
        question = file.read_text(encoding="utf-8").splitlines()[0].removeprefix("-- ")
        assert f"[`{file.name}`](sql/examples/{file.name}): {question}" in README


@pytest.mark.parametrize("name", re.findall(r"^  ([a-z_]+\.py)", README, re.M))
def test_every_file_of_the_map_exists(name: str) -> None:
    assert (ROOT / "vidpipe" / name).is_file()


def test_the_map_leaves_no_module_out() -> None:
    modules = {f.name for f in (ROOT / "vidpipe").glob("*.py") if not f.name.startswith("__")}
    assert [m for m in modules if m not in README] == []


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_no_sql_longer_than_a_line_stands_in_python() -> None:
    verbs = re.compile(r"\s*(select|insert|update|delete|merge|create|with)\s", re.I)
    for file in [*ROOT.glob("vidpipe/**/*.py"), *ROOT.glob("flows/*.py")]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not (verbs.match(node.value) and "\n" in node.value), (file, node.value)


def test_every_sql_statement_is_used() -> None:
    code = "".join(f.read_text(encoding="utf-8") for f in ROOT.glob("vidpipe/**/*.py"))
    for file in (sqlfiles.ROOT / "statements").glob("*.sql"):
        assert f'"{file.stem}"' in code, f"{file.name} is dead"
