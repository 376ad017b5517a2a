"""Client and worker for Majordomo, the request-reply broker for ZeroMQ (7/MDP, 18/MDP).

    from majordomo_client import Client, Worker
"""

from .aio import AsyncClient, AsyncJob
from .client import Client, Job, connect
from .curve import Curve
from .errors import *
from .jobs import JobState
from .map import SharedMap
from .map_copy import Change
from .message import Message, ProgressPart, Reply, Request, StreamPart
from .publisher import Publisher, PublisherCurve
from .schedules import Schedule
from .serving import Worker
from .stream import StreamMessage
from .subscriber import AsyncSubscriber, Subscriber
from .typed import TypedService

# Literals, because type checkers read nothing else.
__all__ = [
    "AsyncClient", "AsyncJob", "AsyncSubscriber", "BodyError", "Change", "Client", "ClosedError", "Curve",
    "EndpointError", "EndpointInUseError", "ForbiddenError", "Job", "JobDeadError", "JobKeyReusedError",
    "JobPendingError", "JobRefusedError", "JobState", "JobUnknownError", "JobUnsupportedError", "KeyRefusedError",
    "LimitError", "MajordomoError", "MapLimitError", "Message", "NoWorkerError", "OptionError",
    "OutcomeUnknownError", "ProgressPart", "Publisher", "PublisherCurve", "RefusedError", "Reply", "Request",
    "RequestTimeoutError", "Schedule", "ServiceError", "SharedMap", "StreamBrokenError", "StreamGapError",
    "StreamHeaderError", "StreamMessage", "StreamPart", "StreamTooSlowError", "Subscriber", "TooLargeError", "TypedService",
    "UnreachableError", "UnsupportedError", "UsageError", "Worker", "connect",
]
