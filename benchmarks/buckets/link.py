"""A long line to a server: `python link.py PORT MILLISECONDS` listens, prints its own port, and delays every byte.

Each direction takes half of the round trip. A new connection costs one round trip before its first byte, as a
handshake does. Nothing limits the bandwidth except the two sides, and 16 MiB under way on each connection.
"""

import asyncio
import contextlib
import sys

_PIECE = 256 << 10
_UNDER_WAY = 64


async def _read(source: asyncio.StreamReader, line: asyncio.Queue[tuple[float, bytes]], delay: float) -> None:
    clock = asyncio.get_running_loop().time
    while True:
        piece = await source.read(_PIECE)
        await line.put((clock() + delay, piece))
        if not piece:
            return


async def _write(line: asyncio.Queue[tuple[float, bytes]], target: asyncio.StreamWriter) -> None:
    clock = asyncio.get_running_loop().time
    while True:
        due, piece = await line.get()
        if (early := due - clock()) > 0:
            await asyncio.sleep(early)
        if not piece:
            if target.can_write_eof():
                target.write_eof()
            return
        target.write(piece)
        await target.drain()


async def _carry(source: asyncio.StreamReader, target: asyncio.StreamWriter, delay: float) -> None:
    line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_UNDER_WAY)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_read(source, line, delay))
        tasks.create_task(_write(line, target))


async def _serve(port: int, round_trip: float) -> None:
    async def connect(near: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ExceptionGroup):
            await asyncio.sleep(round_trip)
            far, requests = await asyncio.open_connection("127.0.0.1", port, limit=_PIECE)
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(_carry(near, requests, round_trip / 2))
                    tasks.create_task(_carry(far, answers, round_trip / 2))
            finally:
                requests.close()
        answers.close()

    server = await asyncio.start_server(connect, "127.0.0.1", 0, limit=_PIECE)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2]) / 1e3))
