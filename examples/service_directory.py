"""An instance of a service, in a directory of all of them: python3 service_directory.py NAME [MAP]"""
import sys, time, uuid, zmq

NAME, SUBTREE = sys.argv[1].encode(), b"/instances/upper/"
HOST, PORT = (sys.argv[2] if len(sys.argv) > 2 else "tcp://127.0.0.1:5570").rsplit(":", 1)
context = zmq.Context()

def connected(kind, offset):
    socket = context.socket(kind)
    socket.reconnect_ivl = 100 if kind == zmq.PUB else -1  # a lost connection becomes silence
    socket.connect(f"{HOST}:{int(PORT) + offset}")
    return socket

def snapshot():
    found = {}
    with connected(zmq.DEALER, 0) as asker:
        asker.send_multipart([b"ICANHAZ?", SUBTREE])
        while asker.poll(5000):
            key, number, _, _, value = asker.recv_multipart()
            if key == b"KTHXBAI": return found, number
            found[key] = value
    return None, b""

changes, renew_at = connected(zmq.PUB, 2), 0
while True:  # begin anew: subscribe, wait for HUGZ, take the snapshot, apply the updates that it lacks
    with connected(zmq.SUB, 1) as updates:
        instances, number = None, b""
        for topic in SUBTREE, b"HUGZ": updates.subscribe(topic)
        while updates.poll(5000):  # the broker says HUGZ every second
            if time.monotonic() >= renew_at:  # a key that nobody renews is gone in three seconds
                changes.send_multipart([SUBTREE + NAME, b"", uuid.uuid4().bytes, b"ttl=3\n", b"ready"])
                renew_at = time.monotonic() + 1
            key, latest, _, _, value = updates.recv_multipart()
            if key == b"HUGZ" and instances is None: instances, number = snapshot()
            elif key == b"HUGZ" or instances is None or latest <= number: continue
            else: instances, number = {**instances, key: value}, latest
            there = sorted(key[len(SUBTREE):].decode() for key, value in (instances or {}).items() if value)
            print(*there, flush=True)
