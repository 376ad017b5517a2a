"""Client and worker for Majordomo, the request-reply broker for ZeroMQ (7/MDP, 18/MDP).

    from majordomo import Client, Worker
"""

from .client import Client, connect
from .errors import (
    BodyError,
    ClosedError,
    EndpointError,
    ForbiddenError,
    LimitError,
    MajordomoError,
    NoWorkerError,
    OptionError,
    RefusedError,
    RequestTimeoutError,
    ServiceError,
    TooLargeError,
    UnreachableError,
    UnsupportedError,
)
from .message import Message, Reply, Request
from .worker import Worker

__all__ = [
    "BodyError",
    "Client",
    "ClosedError",
    "EndpointError",
    "ForbiddenError",
    "LimitError",
    "MajordomoError",
    "Message",
    "NoWorkerError",
    "OptionError",
    "RefusedError",
    "Reply",
    "Request",
    "RequestTimeoutError",
    "ServiceError",
    "TooLargeError",
    "UnreachableError",
    "UnsupportedError",
    "Worker",
    "connect",
]
