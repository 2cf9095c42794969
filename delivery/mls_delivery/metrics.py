"""What the service counts (Prometheus). No label is of a person: end points, statuses, codes and kinds, all from fixed lists."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The counters of one service, in a registry of its own, so that two services in one process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = self._counter("requests", "HTTP requests answered", "endpoint", "status")
        self.request_seconds = Histogram(
            "mls_delivery_request_seconds",
            "From the head of a request to the end of its answer",
            ("endpoint",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.refusals = self._counter("refusals", "Requests refused, by the code of the answer", "code")
        self.inboxes_closed = self._counter("inboxes_closed", "Inboxes closed, by close code", "code")
        self.open_inboxes = self._gauge("open_inboxes", "Inboxes open in this process")
        self.messages_accepted = self._counter("messages_accepted", "Messages put into inboxes")
        self.messages_delivered = self._counter(
            "messages_delivered", "Messages sent to clients, those that had to be sent again included"
        )
        self.messages_expired = self._counter(
            "messages_expired", "Messages that nobody had taken when their time was over"
        )
        self.waiting_messages = self._gauge(
            "waiting_messages", "Messages in all inboxes of the database, at the time of the scrape"
        )
        self.relay_waiting = self._gauge(
            "relay_waiting",
            "Messages that wait for other domains, once for each recipient, at the time of the scrape",
        )
        self.relay_settled = self._counter(
            "relay_settled",
            "Messages that other domains have answered for, once for each recipient",
            "status",
        )
        self.relay_postponed = self._counter(
            "relay_postponed", "Requests that another domain did not answer, or not now"
        )
        self.key_sets = self._counter("key_sets_handed_out", "Key sets handed out, by kind", "kind")

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(f"mls_delivery_{name}", documentation, labels, registry=self.registry)

    def _gauge(self, name: str, documentation: str) -> Gauge:
        return Gauge(f"mls_delivery_{name}", documentation, registry=self.registry)
