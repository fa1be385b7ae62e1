"""How long may each step towards a model server take?"""

from __future__ import annotations

from claracore.core.config.fields import Seconds, SecondsOrUnset, Section, option


class Timeouts(Section):
    """How long the connection to a model server may take; 0 means no limit."""

    connect_seconds: Seconds = option(30.0, "Opening the connection.", key="connect")
    keepalive_seconds: Seconds = option(30.0, "Interval of TCP keep-alive probes.", key="keepalive", later=True)
    response_header_seconds: SecondsOrUnset = option(
        None,
        "Waiting for the response head: after this long the request ends with 504, 0 means never. Unset, a server may "
        "take as long as it lives (see above).",
        key="responseHeader",
        default_text="while the server lives",
    )
    tls_handshake_seconds: Seconds = option(10.0, "TLS handshake, for https.", key="tlsHandshake", later=True)
    expect_continue_seconds: Seconds = option(1.0, "Waiting for `100 Continue`.", key="expectContinue", later=True)
    idle_conn_seconds: Seconds = option(90.0, "An idle connection is kept this long.", key="idleConn", later=True)
