"""What a run knows of its messages: who sent what to whom, and what arrived where."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Line = dict[str, Any]
# What may become of a message for a recipient at first. Anything else means that it will not come.
_HOPEFUL = {"accepted", "pending", "relayed"}


@dataclass
class Message:
    """A message of the run.

    Attributes:
        recipients: the other members when it was sent.
        fate: `sent`: its sender has said so; `in doubt`: the sender was killed before it could say; `refused`: it could not
            be sent.
        arrived: where it has come, as often as it was told.
    """

    group: str
    sender: str
    number: int
    recipients: frozenset[str]
    fate: str = "in doubt"
    arrived: Counter[str] = field(default_factory=Counter)

    @property
    def missing(self) -> frozenset[str]:
        """Recipients that wait for it."""
        return self.recipients - self.arrived.keys() if self.fate == "sent" else frozenset()


class Record:
    """Everything that was sent and told.

    Attributes:
        messages: by their text.
        told: for each client, the texts that it was told, by the number of the event.
        faults: what has gone wrong that must not.
        refusals: codes of messages that clients refused, and of other failures.
        news: set whenever anything happens.
    """

    def __init__(self) -> None:
        self.messages: dict[str, Message] = {}
        self.told: dict[str, dict[int, str]] = {}
        self.faults: list[str] = []
        self.refusals: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.news = asyncio.Event()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._under_way: dict[str, list[Message]] = {}

    def new_message(self, group: str, sender: str, recipients: Sequence[str]) -> tuple[str, Message]:
        """A message that is about to be sent; its text and itself."""
        self._counts[group, sender] += 1
        number = self._counts[group, sender]
        message = Message(group, sender, number, frozenset(recipients))
        text = f"{group[:8]} {sender} {number}"
        self.messages[text] = message
        return text, message

    def sent(self, message: Message, answer: Line) -> None:
        """Its sender has said that it is sent."""
        message.fate = "sent"
        self._under_way.setdefault(message.group, []).append(message)
        self.news.set()
        for identity, status in answer["deliveries"].items():
            if status not in _HOPEFUL:
                self.faults.append(f"{message} is {status} for {identity}")

    def happened(self, client: str, line: Line) -> None:
        """A client has told something."""
        self.news.set()
        match line["event"]:
            case "message":
                self._arrived(client, line)
            case "refused" if not line["held"]:
                self.refusals[line["code"]] += 1
            case "lost":
                self.faults.append(f"{client} was told that a message is lost: {line}")
            case "failure":
                self.failures[line["code"]] += 1

    def _arrived(self, client: str, line: Line) -> None:
        told = self.told.setdefault(client, {})
        number, text = line["number"], line["data"]
        if number in told:
            # It was killed before it knew that it had told this; an application knows by the number.
            if told[number] != text:
                self.faults.append(f"{client} was told {told[number]!r} and {text!r} as number {number}")
            return
        told[number] = text
        message = self.messages.get(text)
        if message is None or message.sender != line["sender"] or message.group != line["group"]:
            self.faults.append(f"{client} was told what nobody sent: {line}")
            return
        message.arrived[client] += 1

    def under_way(self, group: str) -> int:
        """How many messages of a group were sent and have not arrived everywhere."""
        left = [message for message in self._under_way.get(group, ()) if message.missing]
        self._under_way[group] = left
        return len(left)

    async def until_news(self, seconds: float) -> bool:
        """Wait until something happens, but not for longer; returns whether it has."""
        self.news.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.news.wait()
        return self.news.is_set()

    def verdict(self) -> list[str]:
        """What is wrong, in lines; nothing if every message arrived exactly once, in order."""
        wrong = list(self.faults)
        for text, message in self.messages.items():
            if message.fate == "in doubt" and message.arrived.keys() not in (set(), message.recipients):
                wrong.append(f"{text} (in doubt) arrived only at {', '.join(sorted(message.arrived))}")
            if message.missing:
                wrong.append(f"{text} is missing at {', '.join(sorted(message.missing))}")
            if message.fate == "refused" and message.arrived:
                wrong.append(f"{text} was refused, and arrived at {', '.join(sorted(message.arrived))}")
            for client, times in message.arrived.items():
                if client not in message.recipients:
                    wrong.append(f"{text} arrived at {client}, who is no recipient")
                if times > 1:
                    wrong.append(f"{text} arrived {times} times at {client}")
        for client, told in self.told.items():
            wrong += self._out_of_order(client, [told[number] for number in sorted(told)])
        return wrong

    def _out_of_order(self, client: str, texts: Sequence[str]) -> list[str]:
        wrong = []
        last: dict[tuple[str, str], int] = {}
        for text in texts:
            if (message := self.messages.get(text)) is not None:
                stream = message.group, message.sender
                if message.number < last.get(stream, 0):
                    wrong.append(f"{client} was told {text} after number {last[stream]}")
                last[stream] = max(message.number, last.get(stream, 0))
        return wrong
