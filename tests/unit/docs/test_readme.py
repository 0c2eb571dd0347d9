"""README and docs are held to the truth: verbs, settings, relations, files and examples stand there."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from inspect import signature

import duckdb
from conftest import ROOT
from typer.main import get_command

from vidpipe.adapters.database import sqlfiles
from vidpipe.adapters.database.views import create_views
from vidpipe.cli.main import NOUNS, app
from vidpipe.settings import Settings

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {file.name: file.read_text(encoding="utf-8") for file in (ROOT / "docs").glob("*.md")}


def test_every_verb_is_in_the_table_and_no_other() -> None:
    verbs = set(get_command(app).commands)  # type: ignore[attr-defined]
    row = r"^\| \[`vidpipe ([\w-]+)`\]\(docs/reference\.md#vidpipe-\1\) \|"
    assert set(re.findall(row, README, re.M)) == verbs


def test_every_verb_stands_below_one_noun_of_the_help() -> None:
    verbs = get_command(app).commands  # type: ignore[attr-defined]
    assert sorted(verb for verbs_of_noun in NOUNS.values() for verb in verbs_of_noun) == sorted(verbs)


def test_every_use_case_that_a_verb_calls_takes_what_it_is_given() -> None:
    """`lazy_step` names its use case in a string: mypy does not see it, this does."""
    called = 0
    for file in ROOT.glob("vidpipe/cli/*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "lazy_step":
                name, *arguments = node.args
                assert isinstance(name, ast.Constant)
                module, _, function = str(name.value).partition(".")
                use_case = getattr(import_module(f"vidpipe.steps.{module}"), function or module)
                given = {keyword.arg: None for keyword in node.keywords}
                signature(use_case).bind("ports", *arguments, **given)  # type: ignore[arg-type]
                called += 1
    assert called >= 14


def words_not_used() -> re.Pattern[str]:
    """The second list of docs/glossary.md."""
    table = PAGES["glossary.md"].split("## Not used")[1]
    words = [word.strip() for row in re.findall(r"^\| (.+?) \|", table, re.M)[1:] for word in row.split(",")]
    assert "exam" in words
    return re.compile(rf"\b({'|'.join(map(re.escape, words))})\b", re.I)


def test_docs_help_settings_and_sql_comments_use_the_glossary_s_words() -> None:
    """A word of the second list stands nowhere else."""
    told = {name: text for name, text in PAGES.items() if name != "glossary.md"}  # reference.md has the help
    told |= {"README.md": README}
    told |= {f.name: f.read_text(encoding="utf-8") for f in sqlfiles.ROOT.glob("*/*.sql")}
    prose = {name: re.sub(r"`[^`\n]*`|^ *[\w.]+\.py\b", "", text, flags=re.M) for name, text in told.items()}
    pattern = words_not_used()
    found = [
        (name, line) for name, text in prose.items() for line in text.splitlines() if pattern.search(line)
    ]
    assert found == []


RIDDLE = re.compile(r"(what|who|which|whose|how|where|when|why|of|as|the same|such as)\b|.*\?$", re.I)
"""How a first sentence begins or ends that no search finds: a question or a relative clause."""


def test_the_first_sentence_of_a_docstring_is_a_plain_statement() -> None:
    pattern, found, read = words_not_used(), [], 0
    for file in [*ROOT.glob("vidpipe/**/*.py"), *ROOT.glob("flows/*.py")]:
        name = file.relative_to(ROOT).as_posix()
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (
                text := ast.get_docstring(node)
            ):
                first = " ".join(re.split(r"(?<=[.?])\s|\n\n", text, maxsplit=1)[0].split())
                read += 1
                if RIDDLE.match(first) or pattern.search(first):
                    found.append((name, getattr(node, "name", ""), first))
    assert read > 1000
    assert found == []


def test_every_next_command_that_an_error_names_exists() -> None:
    verbs = set(get_command(app).commands)  # type: ignore[attr-defined]
    code = "".join(f.read_text(encoding="utf-8") for f in ROOT.glob("vidpipe/**/*.py"))
    named = set(re.findall(r'next_step=f?"(?:[^"]*[ ;])?vidpipe ([\w-]+)', code))
    assert named - {"version", "that"} <= verbs  # "the vidpipe version that …" is prose


def test_every_dataset_format_is_in_the_table_and_no_other() -> None:
    formats = set(get_command(app).commands["manifest"].commands)  # type: ignore[attr-defined]
    section = PAGES["tutorial.md"].split("## Datasets people have")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `([\w-]+)", section, re.M)) - {"FORMAT"} == formats


def test_every_option_that_readme_or_docs_name_exists() -> None:
    verbs = get_command(app).commands.values()  # type: ignore[attr-defined]
    commands = [c for verb in verbs for c in (verb, *getattr(verb, "commands", {}).values())]
    known = {o for c in commands for p in c.params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
    told = "".join([README, *PAGES.values()])
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", told))
    others = {
        "--kills",
        "--panel",
        "--choices",
        "--accuracy",
        "--backend-store-uri",
        "--host",
        "--no-prompt",
        "--no-deps",
        "--all",
        "--pool",
        "--param",
        "--type",
        "--env-manager",
        "--detach",
        "--build",
        "--constraint",
        "--background",
        "--artifacts-destination",
        "--watch",
        "--nthreads",
        "--samples",
        "--simulate",
        "--hours",
        "--videos",
        "--ablation",
    }  # other programs'
    assert named - others <= known


def test_every_setting_is_in_the_table_with_its_default() -> None:
    rows = re.findall(r"^\| `VIDPIPE_(\w+)` \| ([^|]*?) ?\|", PAGES["reference.md"], re.M)
    assert sorted(name for name, _ in rows) == sorted(name.upper() for name in Settings.model_fields)
    for name, default in rows:
        field = Settings.model_fields[name.lower()]
        is_computed = field.default is None or field.default_factory is not None
        assert default == ("" if is_computed else f"`{str(field.default).removesuffix('.0')}`"), name


def test_every_setting_that_readme_or_docs_name_exists() -> None:
    told = "".join([README, *PAGES.values()])
    named = set(re.findall(r"VIDPIPE_([A-Z]\w*)", told))
    assert named - {"GATE_"} <= {name.upper() for name in Settings.model_fields}


def test_every_public_relation_is_named() -> None:
    with duckdb.connect() as connection:
        for _, _, text in sqlfiles.migrations():
            connection.execute(text)
        create_views(connection)
        rows = connection.execute(
            "select view_name from duckdb_views() where not internal and schema_name = 'main'"
        ).fetchall()
    assert [name for (name,) in rows if f"`{name}`" not in PAGES["sql.md"]] == []
    assert "`champion_as_of(ts)`" in PAGES["sql.md"]


def test_every_example_query_is_linked_with_its_question() -> None:
    for file in sqlfiles.examples():
        question = file.read_text(encoding="utf-8").splitlines()[0].removeprefix("-- ")
        assert f"[`{file.name}`](../sql/examples/{file.name}): {question}" in PAGES["sql.md"]


def mapped() -> set[str]:
    """The files that the map of `docs/architecture.md` names: `name.py` lines below their folder's line."""
    block = PAGES["architecture.md"].split("## What every file is")[1].split("```")[1]
    folders: list[str] = []
    found = set()
    for line in block.splitlines():
        if entry := re.match(r"( *)([\w/]+)/(?= |$)", line):
            folders = [*folders[: len(entry[1]) // 2], entry[2]]
        elif entry := re.match(r"( +)(\w+\.py)(?= |$)", line):
            found.add("/".join([*folders[: len(entry[1]) // 2], entry[2]]))
    return found


def test_the_map_names_every_file_and_no_other() -> None:
    """A new file gets its line in docs/architecture.md, below its folder: `name.py  what it does`."""
    globs = ("vidpipe/**/*.py", "flows/*.py", "benchmarks/*.py", "docs/*.py")
    files = {str(f.relative_to(ROOT)) for glob in globs for f in ROOT.glob(glob)}
    assert mapped() == {f for f in files if not f.endswith(("__init__.py", "__main__.py"))}


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
