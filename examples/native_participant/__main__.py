"""Join a call from a terminal, with a generated picture and tone, or a file:

    python -m examples.native_participant bob@b.example --service a.example=http://127.0.0.1:8101 --service b.example=http://127.0.0.1:8102

It waits until somebody adds it to a group, joins the call there, and says each second what it receives. With `--invite alice@a.example`
it begins a group itself. `requirements/development.txt` has what it needs besides the package: aiortc, with PyAV.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections import Counter

from aiortc import MediaStreamTrack
from aiortc.contrib.media import MediaPlayer
from aiortc.mediastreams import MediaStreamError

from mls_federation.client import Event, GroupJoined, MessageReceived, RemovedFromGroup
from mls_federation.errors import MLSError
from mls_federation.io import connected_client

from .participant import Participant, Peer, in_call
from .signals import is_signal
from .sources import Picture, Tone


async def _count(peer: Peer, track: MediaStreamTrack, seen: Counter[str]) -> None:
    """Take what somebody sends, as a program that shows or records it would."""
    with contextlib.suppress(MediaStreamError):
        while True:
            await track.recv()
            seen[f"{track.kind} of {peer.identity}"] += 1


async def _report(participant: Participant, seen: Counter[str]) -> None:
    while True:
        await asyncio.sleep(1)
        sent = ", ".join(f"{one.sent} {media}" for media, one in participant.broadcasts.items())
        decoded = ", ".join(f"{count} {what}" for what, count in sorted(seen.items())) or "nothing"
        refused = {
            peer.identity: dict(sum((Counter(one.refused) for one in peer.received.values()), Counter()))
            for peer in participant.peers.values()
        }
        epoch = participant.media_keys.current.sframe.epoch
        print(f"epoch {epoch}; sent {sent}; decoded {decoded}; refused {refused}", flush=True)


def _sources(file: str | None) -> list[MediaStreamTrack]:
    if file is None:
        return [Tone(), Picture((120, 90, 200))]
    player = MediaPlayer(file, loop=True)
    return [track for track in (player.audio, player.video) if track is not None]


async def take_part(arguments: argparse.Namespace) -> None:
    """Until the call ends for us, or for so many seconds."""
    services = dict(service.split("=", 1) for service in arguments.service)
    events: asyncio.Queue[Event] = asyncio.Queue()
    async with connected_client(
        arguments.identity, services, events.put_nowait, storage=arguments.storage
    ) as client:
        if arguments.invite:
            group_id = (await client.create_group()).group_id
            await client.add(group_id, arguments.invite)
        else:
            print(f"{arguments.identity} waits to be added to a group", flush=True)
            while not isinstance(event := await events.get(), GroupJoined):
                pass
            group_id = event.group_id
        seen: Counter[str] = Counter()
        tasks: set[asyncio.Task[None]] = set()

        def on_track(peer: Peer, track: MediaStreamTrack) -> None:
            tasks.add(asyncio.create_task(_count(peer, track, seen)))

        async with in_call(client, group_id, *_sources(arguments.file), on_track=on_track) as participant:
            tasks.add(asyncio.create_task(_report(participant, seen)))
            try:
                async with asyncio.timeout(arguments.seconds):
                    while not isinstance(event := await events.get(), RemovedFromGroup):
                        participant.handle(event)
                        if isinstance(event, MessageReceived) and not is_signal(event.data):
                            print(f"{event.sender}: {event.data.decode('utf-8', 'replace')}", flush=True)
            except TimeoutError:
                print("the time is over", flush=True)
            finally:
                for task in tasks:
                    task.cancel()


def main() -> None:
    """Parse the command line, and take part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("identity", help="name@domain")
    parser.add_argument("--service", action="append", required=True, metavar="DOMAIN=URL")
    parser.add_argument("--invite", metavar="IDENTITY", help="begin a group with this person")
    parser.add_argument("--file", help="media to send, in place of a generated picture and tone")
    parser.add_argument("--storage", help="the file in which the client is kept between runs")
    parser.add_argument("--seconds", type=float, help="leave after so long")
    try:
        asyncio.run(take_part(parser.parse_args()))
    except MLSError as error:
        raise SystemExit(f"{error.message} ({error.code})") from error


if __name__ == "__main__":
    main()
