#!/usr/bin/env bash
# DuckDB's two ways to ask for a storage version differ for a file that exists. `attach FILE (storage_version 'v1.0.0')`
# refuses one that was written in a newer format, even to read it; the setting `storage_compatibility_version` of the
# connection counts for new files alone, and attaches and writes the same file without a word, in the newer format.
# So who pins the format in the attach, for readers of an older DuckDB, cannot open what a newer program has made.
# Seen with DuckDB 2.0.0:
#     attach: opens, v2.0.0+
#     attach with the option v1.0.0: InvalidInputException
#     attach under the setting v1.0.0: opens, v2.0.0+
#     new file under the setting v1.0.0: opens, v1.0.0+
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q duckdb==2.0.0
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import sys

import duckdb

print("DuckDB", duckdb.__version__)
made = duckdb.connect("made.duckdb", config={"storage_compatibility_version": "latest"})
made.execute("create table t as select 1 as a")
made.close()


def tried(statement: str, config: dict[str, str]) -> str:
    connection = duckdb.connect(config=config)
    try:
        connection.execute(statement)
        (tags,) = connection.execute("select tags from duckdb_databases() where database_name = 'x'").fetchone()
        if "made" in statement:
            connection.execute("insert into x.t values (2)")
        return f"opens, {tags['storage_version']}"
    except duckdb.Error as error:
        return type(error).__name__
    finally:
        connection.close()


old = {"storage_compatibility_version": "v1.0.0"}
seen = {
    "attach": tried("attach 'made.duckdb' as x", {}),
    "attach with the option v1.0.0": tried("attach 'made.duckdb' as x (storage_version 'v1.0.0')", {}),
    "attach under the setting v1.0.0": tried("attach 'made.duckdb' as x", old),
    "new file under the setting v1.0.0": tried("attach 'new.duckdb' as x", old),
}
for what, how in seen.items():
    print(f"{what}: {how}")
newer = "opens, v2.0.0+"
sys.exit(0 if list(seen.values()) == [newer, "InvalidInputException", newer, "opens, v1.0.0+"] else 1)
PYTHON
