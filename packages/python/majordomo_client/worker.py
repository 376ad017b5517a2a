"""``majordomo-worker MODULE:FUNCTION``: offers a function of a module as a service."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from typing import Optional, Sequence

from .curve import Curve
from .errors import MajordomoError
from .serving import Worker


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Runs the worker until SIGTERM or SIGINT.

    The exit status is 2 if the command line is wrong. Raises what the module raises when it is imported, and what ``Worker.run`` raises.
    """
    parser = argparse.ArgumentParser(
        prog="majordomo-worker",
        description="Offers a function of a Python module as a service. It gets a majordomo_client.Request and returns a body.",
        epilog="Exit status: 0 after SIGTERM or SIGINT; 1 if the worker or its module failed; 2 if the command line is wrong.",
    )
    parser.add_argument("handler", metavar="MODULE:FUNCTION", help="for example resize:handle, of resize.py")
    parser.add_argument("--endpoint", help="the broker, or the nodes of a pair with commas; default: $MAJORDOMO_URL")
    parser.add_argument("--service", help="name of the service; default: that of the function")
    parser.add_argument("--name", help="name of the worker in lists and logs; default: HOST:PID")
    parser.add_argument("--concurrency", type=int, default=1, help="requests at the same time; default: 1")
    parser.add_argument("--run-in", choices=["threads", "processes"], default="threads", help="default: threads")
    parser.add_argument("--protocol", choices=["0.1", "0.2"], default="0.2", help="version of MDP; default: 0.2")
    parser.add_argument("--curve-key-file", help="file of the secret key, for a listener with CURVE")
    parser.add_argument("--curve-server-key", help="the broker's public key, or a file with it")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    module, _, function = given.handler.partition(":")
    if not module or not function:
        parser.error("the handler must be MODULE:FUNCTION")
    if (given.curve_key_file is None) != (given.curve_server_key is None):
        parser.error("--curve-key-file and --curve-server-key belong together")
    # As for `python -m`: modules of the present directory are found.
    sys.path.insert(0, "")
    try:
        handler = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        # What the module itself imports may be missing, too: that is a fault of its own.
        if isinstance(error, ModuleNotFoundError) and not f"{module}.".startswith(f"{error.name}."):
            raise
        parser.error(str(error))
    try:
        curve = Curve.from_file(given.curve_key_file, given.curve_server_key) if given.curve_key_file else None
        worker = Worker(
            given.endpoint, given.service or function, handler, name=given.name, concurrency=given.concurrency,
            run_in=given.run_in, protocol=given.protocol, curve=curve,
        )
    except MajordomoError as error:
        parser.error(str(error))
    worker.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
