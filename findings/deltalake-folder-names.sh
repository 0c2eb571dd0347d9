#!/usr/bin/env bash
# deltalake takes a path as a URL by halves. In a folder whose name has a percent sign it writes the data where it is told
# and looks for its log where the name decodes to (`a%2Fb` becomes `a/b`), so that the table it has just begun cannot be
# read; in one with a bracket it ends in a Rust panic, which `except Exception` does not catch. Both are valid names.
# Seen with deltalake 1.6.6:
#     plain: ok
#     a%2Fb: DeltaError
#     a[1]: PanicException, Exception: False
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q deltalake==1.6.6 pyarrow==21.0.0
cd "$work"
RUST_BACKTRACE=0 "$work/venv/bin/python" - 2>/dev/null <<'PYTHON'
import sys
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
from deltalake import write_deltalake

print("deltalake", version("deltalake"))
seen = {}
for name in ("plain", "a%2Fb", "a[1]"):
    try:
        write_deltalake(str(Path("lake") / name), pa.table({"a": [1]}))
        seen[name] = "ok"
    except BaseException as error:
        is_exception = "" if isinstance(error, Exception) else ", Exception: False"
        seen[name] = type(error).__name__ + is_exception
    print(f"{name}: {seen[name]}")
expected = {"plain": "ok", "a%2Fb": "DeltaError", "a[1]": "PanicException, Exception: False"}
sys.exit(0 if seen == expected else 1)
PYTHON
