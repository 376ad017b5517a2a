"""A fleet of workers that is configured while it works: python3 live_configuration.py [WORKERS] [MAP]"""
import sys, time, zmq

SUBTREE = b"/config/greeting/"
WORKERS, MAP = sys.argv[1:] or ["tcp://127.0.0.1:5556", "tcp://127.0.0.1:5570"]
context, (HOST, PORT) = zmq.Context(), MAP.rsplit(":", 1)

def connected(kind, endpoint):
    socket = context.socket(kind)
    socket.reconnect_ivl = 100 if kind == zmq.REQ else -1  # a lost connection becomes silence
    socket.connect(endpoint)
    return socket

def snapshot():
    found = {}
    with connected(zmq.DEALER, MAP) as asker:
        asker.send_multipart([b"ICANHAZ?", SUBTREE])
        while asker.poll(5000):
            key, number, _, _, value = asker.recv_multipart()
            if key == b"KTHXBAI": return found, number
            found[key] = value
    return {}, None

config, worker = {}, connected(zmq.REQ, WORKERS)
worker.send(b"\1")  # it is ready, at a listener for one service
while True:  # begin anew: subscribe, wait for HUGZ, take the snapshot, apply the updates that it lacks
    updates, number, heard = connected(zmq.SUB, f"{HOST}:{int(PORT) + 1}"), None, time.monotonic()
    for topic in SUBTREE, b"HUGZ": updates.subscribe(topic)
    while time.monotonic() < heard + 5:  # the broker says HUGZ every second
        for socket in zmq.select([worker, updates], [], [], 1)[0]:
            if socket is worker:
                address, empty, body = worker.recv_multipart()
                word = config.get(SUBTREE + b"word") or b"hello"
                worker.send_multipart([address, empty, word + b", " + body])
            else:
                (key, latest, _, _, value), heard = updates.recv_multipart(), time.monotonic()
                if key == b"HUGZ" and number is None: config, number = snapshot()
                elif key != b"HUGZ" and number and latest > number: config[key], number = value, latest
    updates.close()
