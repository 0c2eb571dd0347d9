"""Prefect automation that calls a webhook when a flow run fails, crashes or is late.

Registered once for each server: `python -m flows.alert URL`. *Late* means that no worker has picked up the
run: then nothing fails, because nothing runs. The body is JSON with one key,
`text`, which chat services show as a message. Again with another URL, the automation is changed, not doubled.
"""

import argparse
import asyncio

from prefect.automations import Automation
from prefect.blocks.webhook import Webhook
from prefect.events.actions import CallWebhook
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.types import SecretDict
from pydantic import SecretStr

from flows.shared import errors_on_one_line, need_server

NAME = "vidpipe-alert"
EVENTS = {"prefect.flow-run.Failed", "prefect.flow-run.Crashed", "prefect.flow-run.Late"}
TEXT = (
    "{{ flow.name }} {{ flow_run.state.name }}:"
    "{% if flow_run.state.message %} {{ flow_run.state.message }}{% endif %} {{ flow_run|ui_url or '' }}"
)


async def alert(url: str) -> None:
    """Register the webhook and the automation that calls it."""
    headers = SecretDict({"Content-Type": "application/json"})
    block_id = await Webhook(url=SecretStr(url), headers=headers).asave(NAME, overwrite=True)
    trigger = EventTrigger(
        expect=EVENTS, for_each={"prefect.resource.id"}, posture=Posture.Reactive, threshold=1
    )
    await register(
        Automation(
            name=NAME,
            description="Calls the webhook of the same name when a run fails, crashes or is late.",
            trigger=trigger,
            actions=[CallWebhook(block_document_id=block_id, payload=_payload())],
        )
    )


async def register(automation: Automation) -> None:
    """Create the automation, or change the one of the same name."""
    try:
        automation.id = (await Automation.aread(name=automation.name)).id
    except ValueError:  # there is none
        await automation.acreate()
    else:
        await automation.aupdate()


def _payload() -> str:
    """JSON body of the webhook as a Jinja template, which escapes quotes and line breaks of an error."""
    return "{% set text %}" + TEXT + '{% endset %}{"text": {{ text|tojson }}}'


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m flows.alert", description=__doc__)
    parser.add_argument("url", help="called with POST")
    address = parser.parse_args().url
    with errors_on_one_line():
        need_server()
        asyncio.run(alert(address))
