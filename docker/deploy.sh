#!/bin/sh
# Register the work pool, the deployments of prefect.yaml, and the automation of flows/silence.py on the server that
# PREFECT_API_URL names. Waits for a server that is still starting. Again is no harm: a pool that exists stays as it is,
# paused or not; runs that are late stay late.
set -eu
health="${PREFECT_API_URL:?the address of a Prefect server, such as http://127.0.0.1:4200/api}/health"
tries=90
until python -c 'import sys, urllib.request as u; u.urlopen(sys.argv[1], timeout=5)' "$health" 2>/dev/null; do
  tries=$((tries - 1))
  [ "$tries" -gt 0 ] || { echo "No Prefect server answers at $health" >&2; exit 1; }
  sleep 2
done
python -m flows.silence  # first: says what is wrong with the login, where it is refused
prefect work-pool inspect vidpipe >/dev/null 2>&1 || prefect work-pool create vidpipe --type process
prefect --no-prompt deploy --all
