"""Metrics that may have no data on the demo, by parts of their names, with the reason.

An entry whose metrics all have data fails the test, so that this list stays correct.
"""

LEGITIMATELY_EMPTY = {
    "portcullis_rate_limit_service_": "Prometheus scrapes another Envoy than the two of the fleet",
    "portcullis_rate_limit_fleet_": "the same",
}
