"""Metrics: what happened since the server started, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REQUEST_BUCKETS_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30)
JOB_BUCKETS_S = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600)


class Metrics:
    """Counters of one server, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        labels = ("route", "method", "status")
        self.requests = Counter("emoscope_requests", "Requests answered.", labels, registry=registry)
        self.request_seconds = Histogram(
            "emoscope_request_seconds",
            "From request to answer.",
            ("route",),
            registry=registry,
            buckets=REQUEST_BUCKETS_S,
        )
        self.pictures = Counter("emoscope_pictures", "Pictures read.", registry=registry)
        self.faces = Counter("emoscope_faces", "Faces found in pictures.", registry=registry)
        self.live_frames = Counter("emoscope_live_frames", "Live frames read.", registry=registry)
        self.live_dropped = Counter("emoscope_live_dropped", "Live frames skipped for newer ones.", registry=registry)
        self.live_connections = Gauge("emoscope_live_connections", "Live connections now.", registry=registry)
        self.jobs = Gauge("emoscope_jobs", "Jobs now.", ("state",), registry=registry)
        self.job_seconds = Histogram(
            "emoscope_job_seconds", "From a job's start to its end.", registry=registry, buckets=JOB_BUCKETS_S
        )

    def render(self) -> bytes:
        """Return all of them in Prometheus's text format."""
        return generate_latest(self.registry)
