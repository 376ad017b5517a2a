"""A server of 12/CHP as the Guide's clonesrv6 behaves: python3 map_server.py PORT

It counts from 0 at each start, numbers HUGZ, sends uuid and properties in snapshots, names no subtree at
their end, and takes each KVSET again that comes again.
"""
import json
import struct
import sys
import time
import zmq

port = int(sys.argv[1])
context = zmq.Context()


def bound(kind, offset):
    socket = context.socket(kind)
    socket.linger = 0
    socket.bind(f"tcp://127.0.0.1:{port + offset}")
    return socket


snapshots, updates, collector = bound(zmq.ROUTER, 0), bound(zmq.PUB, 1), bound(zmq.SUB, 2)
collector.subscribe(b"")
store, sequence, hug_at = {}, 0, 0


def number(value):
    return struct.pack("!Q", value)


def publish(key, uuid, properties, value):
    global sequence
    sequence += 1
    store.pop(key, None)
    if value:
        store[key] = (sequence, uuid, properties, value)
    updates.send_multipart([key, number(sequence), uuid, properties, value])


print(json.dumps({"event": "ready"}), flush=True)
while True:
    if time.monotonic() >= hug_at:
        updates.send_multipart([b"HUGZ", number(sequence), b"", b"", b""])
        hug_at = time.monotonic() + 1
    ready = zmq.select([snapshots, collector], [], [], 0.1)[0]
    if collector in ready:
        key, _, uuid, properties, value = collector.recv_multipart()
        publish(key, uuid, properties, value)
    if snapshots in ready:
        identity, asked, subtree = snapshots.recv_multipart()
        for key, (at, uuid, properties, value) in store.items():
            if key.startswith(subtree):
                snapshots.send_multipart([identity, key, number(at), uuid, properties, value])
        snapshots.send_multipart([identity, b"KTHXBAI", number(sequence), b"", b"", b""])
