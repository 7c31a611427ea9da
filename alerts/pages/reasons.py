"""Why a page to on-call is where it is, in one sentence."""

from __future__ import annotations

from datetime import datetime

from alerts.outbox.listing import Told
from alerts.pages.story import Slot
from monitor.text.spans import span


def why(told: Told, now: datetime) -> str:
    """Say why it is as it is."""
    over = told.slot == Slot.CLEAR
    match told.state:
        case "waiting" if told.due_at > now and over:
            return f"It is over; on-call is told when it has stayed so for {span(told.due_at - now)} more."
        case "waiting" if told.due_at > now:
            return f"It may pass: on-call is told if it still stands in {span(told.due_at - now)}."
        case "waiting":
            return "It is due, and goes within seconds."
        case "sending":
            return _on_its_way(told, now)
        case "failed":
            answers = dict.fromkeys(f"{one.channel}: {one.answer}" for one in told.envelopes if one.answer)
            return f"{'; '.join(answers) or told.outcome}."
        case "withdrawn":
            return f"{(told.outcome or 'taken back').capitalize()}."
    missing = [one for one in told.envelopes if one.state == "failed"]
    said = "On-call was told that it is over." if over else _said(told)
    return said + "".join(f" {one.channel} did not take it: {one.answer}." for one in missing)


def _said(told: Told) -> str:
    description = str(told.content.get("description") or told.reason or told.kind)
    first, stop, _ = description.partition(". ")
    return first + ("." if stop else "")


def _on_its_way(told: Told, now: datetime) -> str:
    tried = [one for one in told.envelopes if one.state == "waiting" and one.answer]
    if not tried:
        return "It is being handed to the channel."
    first = min(tried, key=lambda one: one.next_at or now)
    again = f"; tried again in {span(first.next_at - now)}" if first.next_at and first.next_at > now else ""
    return f"{first.channel} did not take it ({first.answer}){again}."
