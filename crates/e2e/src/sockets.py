"""A WebSocket server that echoes, and a client that sends messages of all kinds and sizes and compares what comes back.

`sockets.py serve HOST PORT`; `sockets.py echo HOST PORT SEED` prints `ok`, or what went wrong.
"""
import asyncio
import random
import sys

import websockets


async def serve(host, port):
    async def echo(socket, *_):
        async for message in socket:
            await socket.send(message)

    async with websockets.serve(echo, host, int(port), max_size=1 << 24, compression=None):
        print("ready", flush=True)
        await asyncio.Future()


async def echo(host, port, seed):
    luck = random.Random(int(seed))
    async with websockets.connect(f"ws://{host}:{port}/chat", max_size=1 << 24, compression=None) as socket:
        for _ in range(300):
            size = luck.choice([0, 1, 125, 126, 127, 1000, 16_384, 65_535, 65_536, luck.randrange(300_000)])
            message = luck.randbytes(size) if luck.random() < 0.7 else "ä" * (size // 2)
            await socket.send(message)
            back = await asyncio.wait_for(socket.recv(), 20)
            assert back == message, f"{size} bytes came back as {len(back)} others (seed {seed})"
        await asyncio.wait_for(await socket.ping(), 20)
    print("ok")


if __name__ == "__main__":
    asyncio.run({"serve": serve, "echo": echo}[sys.argv[1]](*sys.argv[2:]))
