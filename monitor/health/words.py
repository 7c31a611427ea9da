"""What the description of a refusal says by itself, before any memory or clock of ours is asked.

Most servers describe `invalid_grant` and `invalid_token` in a sentence that names every reason there may
be ("invalid, expired, revoked, or ..."): that says nothing. Some name the one: Doorkeeper's "The access
token was revoked", Entra's "has expired due to inactivity". Only a sentence that names one reason and
hedges nothing is believed.
"""

from __future__ import annotations

import re

from monitor.health.causes import Cause
from monitor.health.evidence import Answer

_RAN_OUT = re.compile(r"\b(expired|inactivity)\b", re.IGNORECASE)
_WITHDRAWN = re.compile(r"\b(revoked|withdrawn|deauthori[sz]ed)\b", re.IGNORECASE)
# A choice, a negation or a perhaps: the sentence lists what may be, it does not say what is.
_HEDGED = re.compile(
    r"\b(or|nor|not|never|unless|if|may|might|could|invalid|incorrect|malformed|unknown)\b|n['’]t\b|\w/\w",
    re.IGNORECASE,
)


def told(answer: Answer) -> Cause | None:
    """Return `revoked` or `refresh_expired` where the answer's own words say which, else None."""
    text = answer.description or ""
    if _HEDGED.search(text):
        return None
    ran_out, withdrawn = bool(_RAN_OUT.search(text)), bool(_WITHDRAWN.search(text))
    if ran_out == withdrawn:
        return None
    return Cause.REFRESH_EXPIRED if ran_out else Cause.REVOKED
