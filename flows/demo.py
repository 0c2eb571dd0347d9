"""Prefect flow of `vidpipe demo`: ingest, extract, train, promote and classify one labelled collection.

A folder of new videos, if given, is classified, too. `vidpipe demo` runs this as `python -m flows.demo`,
because the library never imports Prefect.
"""

import argparse
from typing import Any

from prefect import flow, get_run_logger

from flows.classify import classify_flow
from flows.extract import extract_flow
from flows.ingest import ingest_flow
from flows.promote import promote_flow
from flows.shared import run_alone
from flows.train import train_flow


@flow(name="demo")
def demo_flow(source: str, manifest: str, incoming: str | None = None) -> dict[str, Any]:
    """Ingest, extract, train, promote, classify."""
    ingest_flow("demo", source, manifest)
    if incoming:
        ingest_flow("incoming", incoming)
    extract_flow()
    train_flow("demo")
    decision = promote_flow()
    if decision["decision"] == "refused":
        get_run_logger().warning("not promoted: %s", "; ".join(decision["reasons"]))
    return classify_flow()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m flows.demo", description=__doc__)
    parser.add_argument("--source", required=True)
    parser.add_argument("--manifest", required=True)
    parser.add_argument("--incoming")
    run_alone(demo_flow, **vars(parser.parse_args()))
