"""The clients of the soak: each kind does one thing again and again, and checks what it gets.

A request that may be repeated must succeed whatever happens to servers. What may not be repeated,
and bodies that were on their way, may be lost with a killed server: an excuse, which is counted and
holds only for as long as the server has just been killed. A wrong answer has no excuse.
Used by `soak` only.
"""

import asyncio
import collections
import itertools
import random
import socket
import struct
import time

ANSWER_SECONDS_MAX = 10
RESET = struct.pack("ii", 1, 0)
# Of each kind: how many clients, and its share of the rate.
KINDS = {"kept": (16, 0.55), "fresh": (4, 0.15), "upload": (4, 0.06), "large": (4, 0.08),
         "tunnel": (3, 0.08), "leaver": (3, 0.04), "fault": (2, 0.03), "dawdler": (6, 0.01)}
FAULTS = {"close": {502}, "garbage": {502}, "reset": {502}, "delay": {200}, "surplus": {200},
          "truncate": {None}, "reset-body": {None}}


class Lost(Exception):
    """No whole answer came."""


class Clients:
    """All clients of one proxy."""

    def __init__(self, port, rate):
        self.port, self.rate = port, rate
        self.numbers = itertools.count()
        self.random = random.Random(1)
        self.forget()

    def forget(self):
        self.counts = collections.Counter(sent=0, errors=0, wrong=0, excused=0)
        self.kinds, self.by_client = collections.Counter(), collections.Counter()

    async def go_on(self, limit, troubles):
        tasks = []
        for kind, (count, share) in KINDS.items():
            pause = count / (self.rate * share)
            tasks += [self.repeat(kind, pause, limit, troubles) for _ in range(count)]
        await asyncio.gather(*tasks)

    async def repeat(self, kind, pause, limit, troubles):
        """One client at its own rate until the time is over."""
        act, kept = getattr(self, kind), Kept(self.port)
        due = time.monotonic() + self.random.random() * pause
        while due < limit:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due = max(due + pause, time.monotonic())
            self.counts["sent"] += 1
            self.by_client[kind] += 1
            began = time.monotonic()
            try:
                async with asyncio.timeout(ANSWER_SECONDS_MAX + 15):
                    await act(kept)
            except (Lost, OSError, EOFError, TimeoutError, ValueError) as why:
                await kept.close()
                self.lost(kind, why, began, troubles)
        await kept.close()

    def lost(self, kind, why, began, troubles):
        may_be_lost = kind in ("upload", "large", "tunnel", "fault")
        if may_be_lost and troubles.excuses(began):
            self.counts["excused"] += 1
            return
        self.counts["errors"] += 1
        self.kinds[f"{kind}: {type(why).__name__} {why}"] += 1
        print(f"soak: port {self.port}: {kind} that began {began - troubles.killed_at:.2f} s after "
              f"a kill ended {time.monotonic() - began:.2f} s later: {why!r}", flush=True)

    def expect(self, got, wanted, token):
        if got != wanted:
            self.counts["wrong"] += 1
            self.kinds[f"wrong answer to {token}: {got[:60]!r}"] += 1

    async def kept(self, kept):
        token = f"k{next(self.numbers)}"
        status, body = await kept.ask("GET", f"/echo/{token}")
        need_200(status)
        self.expect(body, f"{token}\n".encode(), token)

    async def fresh(self, kept):
        await self.kept(kept)
        await kept.close()

    async def upload(self, kept):
        token = f"u{next(self.numbers)}"
        sent = self.random.randbytes(self.random.choice([0, 1, 4096, 70_000, 300_000]))
        status, body = await kept.ask("POST", f"/echo/{token}", sent)
        need_200(status)
        self.expect(body, f"{token}\n".encode() + sent, token)

    async def large(self, kept):
        status, body = await kept.ask("GET", "/b/65536")
        need_200(status)
        self.expect(body, b"x" * 65536, "/b/65536")

    async def tunnel(self, kept):
        """An upgrade, some messages both ways, an end from one side."""
        await kept.open()
        await kept.send(b"GET /upgrade HTTP/1.1\r\nHost: example.test\r\nConnection: Upgrade\r\n"
                        b"Upgrade: websocket\r\n\r\n")
        head = await kept.reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101 "):
            raise Lost(head.split(b"\r\n")[0].decode())
        for size in (1, 125, 5000, 40_000):
            message = self.random.randbytes(size)
            await kept.send(message)
            self.expect(await kept.reader.readexactly(size), message, "a message")
        await kept.close()

    async def leaver(self, kept):
        """Leaves in the middle of something, by a reset or in good order."""
        await kept.open()
        await kept.send(self.random.choice([
            b"GET /fault/delay HTTP/1.1\r\nHost: example.test\r\n\r\n",
            b"GET /fault/stall HTTP/1.1\r\nHost: example.test\r\n\r\n",
            b"GET /b/4000000 HTTP/1.1\r\nHost: example.test\r\n\r\n",
            b"POST /echo/x HTTP/1.1\r\nHost: example.test\r\nContent-Length: 50000\r\n\r\nabc",
            b"GET /echo/x HTTP/1.1\r\nHos",
        ]))
        await asyncio.sleep(self.random.random() / 10)
        await kept.close(by_reset=self.random.random() < 0.5)

    async def fault(self, kept):
        kind = self.random.choice(list(FAULTS))
        try:
            status, _ = await kept.ask("GET", f"/fault/{kind}")
        except (EOFError, OSError):
            status = None
        await kept.close()
        if status not in FAULTS[kind]:
            raise Lost(f"{kind}: {status}")

    async def dawdler(self, kept):
        """A head, or a body, that comes too slowly, until the proxy has had enough."""
        await kept.open()
        start = self.random.choice([b"GET /", b"POST /echo/x HTTP/1.1\r\nHost: example.test\r\n"
                                              b"Content-Length: 9999\r\n\r\n"])
        await kept.send(start)
        for _ in range(40):
            await asyncio.sleep(0.3)
            if kept.reader.at_eof() or kept.writer.is_closing():
                break
            try:
                await kept.send(b"x")
            except OSError:
                break
        await kept.close()


def need_200(status):
    if status != 200:
        raise Lost(f"status {status}")


class Kept:
    """A connection that is opened when it is needed, and may have ended while it was idle."""

    def __init__(self, port):
        self.port, self.reader, self.writer, self.cookie = port, None, None, ""

    async def open(self):
        await self.close()
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)

    async def close(self, by_reset=False):
        if self.writer is None:
            return
        if by_reset:
            peer = self.writer.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:
            pass
        self.reader = self.writer = None

    async def send(self, payload):
        self.writer.write(payload)
        await self.writer.drain()

    async def ask(self, method, target, body=b""):
        """Status and body of one exchange."""
        if self.writer is None or self.reader.at_eof():
            await self.open()
        lines = [f"{method} {target} HTTP/1.1", "Host: example.test"]
        if self.cookie:
            lines.append(f"Cookie: {self.cookie}")
        if body or method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        await self.send("\r\n".join([*lines, "", ""]).encode() + body)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status_line, *fields = head.split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in
                  (field.partition(":") for field in fields)}
        answer = await self.reader.readexactly(int(fields["content-length"]))
        if fields.get("set-cookie", "").startswith("sid="):
            self.cookie = fields["set-cookie"].split(";")[0]
        if fields.get("connection", "").lower() == "close":
            await self.close()
        return int(status_line.split(" ")[1]), answer
