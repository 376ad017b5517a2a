"""What a receiver of webhooks does first: it asks whether the broker sent this, a short while ago."""

import base64
import hashlib
import hmac
import time


def is_from_broker(headers, body, secret):
    """`body`: the bytes as they came; `secret`: the line of `http.webhookSecretFile`, which begins with `whsec_`."""
    sent, given = headers["webhook-timestamp"], headers["webhook-signature"]
    if abs(time.time() - int(sent)) > 300:  # an old one, sent again by somebody else
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{sent}.".encode() + body
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(each.removeprefix("v1,"), wanted) for each in given.split(" "))
