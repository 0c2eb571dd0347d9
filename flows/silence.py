"""Prefect automation that marks flow runs without a heartbeat as crashed (zombie runs).

Registered once for each server: `python -m flows.silence`.

A process that is killed cannot say so: its run would stay Running, and keep its deployment's only slot. Each
run sends a heartbeat every three minutes (Prefect's PREFECT_FLOWS_HEARTBEAT_FREQUENCY). One that sends none
for ten, and does not end, is gone. Runs that have ended keep their state: the server rejects the change.
"""

import asyncio
from datetime import timedelta

from prefect.automations import Automation
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

from flows.alert import register
from flows.shared import errors_on_one_line, need_server

HEARTBEAT = "prefect.flow-run.heartbeat"
ENDED = {f"prefect.flow-run.{name}" for name in ("Completed", "Skipped", "Failed", "Cancelled", "Crashed")}
PATIENCE = timedelta(minutes=10)
"""Three heartbeats, and a minute for a server that is started anew."""


async def silence(patience: timedelta = PATIENCE) -> None:
    """Register the automation."""
    trigger = EventTrigger(
        after={HEARTBEAT},
        expect={HEARTBEAT, *ENDED},
        match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=patience,
    )
    message = f"no sign of life for {patience.total_seconds():.0f} s: its process or its machine is gone."
    crash = ChangeFlowRunState(name=None, state=StateType.CRASHED, message=message, force=False)
    await register(
        Automation(
            name="vidpipe-silence",
            description="Calls a run crashed that sends no heartbeat any more.",
            trigger=trigger,
            actions=[crash],
        )
    )


if __name__ == "__main__":
    with errors_on_one_line():
        need_server()
        asyncio.run(silence())
