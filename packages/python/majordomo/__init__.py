"""Client and worker for Majordomo, the request-reply broker for ZeroMQ (7/MDP, 18/MDP).

    from majordomo import Client, Worker
"""

from .aio import AsyncClient, AsyncJob
from .client import Client, Job, connect
from .curve import Curve
from . import errors
from .errors import *
from .jobs import JobState
from .map import SharedMap
from .map_copy import Change
from .message import Message, ProgressPart, Reply, Request, StreamPart
from .schedules import Schedule
from .serving import Worker

__all__ = [
    "AsyncClient", "AsyncJob", "Change", "Client", "Curve", "Job", "JobState", "Message", "ProgressPart", "Reply",
    "Request", "Schedule", "SharedMap", "StreamPart", "Worker", "connect",
    *errors.__all__,
]
