#!/usr/bin/env bash
# A night is due at 02:30 in Berlin. On the morning of the spring change there is no 02:30: the clock goes from 02:00 to
# 03:00. Cron daemons and systemd run such a job at or after the gap; by the time before the change (UTC+1) it is due at
# 01:30 UTC, which the wall clock calls 03:30. Prefect's CronSchedule and RRuleSchedule with a time zone both start it at
# 00:30 UTC, wall clock 01:30: an hour early. IntervalSchedule starts it at the right instant, and keeps 03:30 all summer.
# What is right all year: a schedule in UTC.
# Seen with prefect 3.8.8:
#     cron     28 01:30, 29 02:30
#     rrule    28 01:30, 29 02:30
#     interval 28 03:30, 29 03:30
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q prefect==3.8.8 'fastapi<0.151'
export PREFECT_HOME="$work/prefect" PREFECT_SERVER_ANALYTICS_ENABLED=false DO_NOT_TRACK=true
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import asyncio
import sys
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import prefect
from prefect.server.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule

zone = ZoneInfo("Europe/Berlin")
schedules = {
    "cron": CronSchedule(cron="30 2 * * *", timezone=zone.key),
    "rrule": RRuleSchedule(rrule="DTSTART:20270101T023000\nRRULE:FREQ=DAILY", timezone=zone.key),
    "interval": IntervalSchedule(
        interval=timedelta(days=1), anchor_date=datetime(2027, 1, 1, 2, 30, tzinfo=zone), timezone=zone.key
    ),
}
print("prefect", prefect.__version__)
found = {}
for name, schedule in schedules.items():
    dates = asyncio.run(schedule.get_dates(n=2, start=datetime(2027, 3, 28, tzinfo=zone)))
    found[name] = ", ".join(f"{date.astimezone(zone):%d %H:%M}" for date in dates)
    print(f"{name:<8} {found[name]}")
early = "28 01:30, 29 02:30"
sys.exit(0 if found == {"cron": early, "rrule": early, "interval": "28 03:30, 29 03:30"} else 1)
PYTHON
