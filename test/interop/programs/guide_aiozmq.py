"""MDP 0.1 on aiozmq: `worker ENDPOINT SERVICE COUNT`, `client ENDPOINT SERVICE FRAME...`.

With keys in MDP_SERVER_KEY, MDP_PUBLIC_KEY and MDP_SECRET_KEY it uses CURVE.
"""

import asyncio
import json
import os
import sys

import aiozmq
import zmq

ROLE, ENDPOINT, SERVICE, *REST = sys.argv[1:]


async def connected(kind):
    stream = await aiozmq.create_zmq_stream(kind)
    if "MDP_SERVER_KEY" in os.environ:
        stream.transport.setsockopt(zmq.CURVE_SERVERKEY, os.environb[b"MDP_SERVER_KEY"])
        stream.transport.setsockopt(zmq.CURVE_PUBLICKEY, os.environb[b"MDP_PUBLIC_KEY"])
        stream.transport.setsockopt(zmq.CURVE_SECRETKEY, os.environb[b"MDP_SECRET_KEY"])
    await stream.transport.connect(ENDPOINT)
    return stream


async def worker(count):
    stream = await connected(zmq.DEALER)
    stream.write([b"", b"MDPW01", b"\x01", SERVICE.encode()])
    while count > 0:
        try:
            frames = await asyncio.wait_for(stream.read(), 1)
        except asyncio.TimeoutError:
            stream.write([b"", b"MDPW01", b"\x04"])
            continue
        if frames[2] == b"\x02":
            stream.write([b"", b"MDPW01", b"\x03", frames[3], b"", b"aiozmq", *frames[5:]])
            count -= 1
    stream.write([b"", b"MDPW01", b"\x05"])
    await stream.drain()
    stream.close()


async def client(body):
    stream = await connected(zmq.REQ)
    stream.write([b"MDPC01", SERVICE.encode(), *(frame.encode() for frame in body)])
    frames = await stream.read()
    print(json.dumps({"event": "reply", "frames": [frame.decode() for frame in frames]}), flush=True)
    stream.close()


asyncio.run(worker(int(REST[0])) if ROLE == "worker" else client(REST))
