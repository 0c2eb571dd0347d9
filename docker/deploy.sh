#!/bin/sh
# Register the work pool and the deployments of prefect.yaml on the server that PREFECT_API_URL names.
# Again is no harm: a pool that exists stays as it is, paused or not; runs that are late stay late.
set -eu
prefect work-pool inspect vidpipe >/dev/null 2>&1 || prefect work-pool create vidpipe --type process
prefect --no-prompt deploy --all
