"""Experiment trackers: a finished run in; its config and curves in MLflow. TensorBoard's file is in every run."""

import logging
import math
import time
from collections.abc import Callable
from importlib.util import find_spec

from emoscope.core.errors import InputError, MissingExtraError, shorten
from emoscope.study.training.run_folder import Run

log = logging.getLogger(__name__)

MAX_METRICS = 1000
"""MLflow takes no more at once."""


def create_tracker(uri: str | None, experiment: str) -> Callable[[Run], None]:
    """Return what is to be told of every finished run: it logs to an MLflow, or does nothing without a URI.

    Args:
        uri: MLflow's tracking URI, for example `http://localhost:5000` or `sqlite:///mlflow.db`.
        experiment: name under which the runs stand there.

    Raises:
        MissingExtraError: MLflow is not installed.
        InputError: the URI cannot be used.
    """
    if uri is None:
        return lambda run: None
    if find_spec("mlflow") is None:
        raise MissingExtraError.create("--mlflow needs MLflow", "mlflow")
    return _Tracker(uri, experiment).log_run


class _Tracker:
    """Logs each run once to one experiment of an MLflow."""

    def __init__(self, uri: str, experiment: str) -> None:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        self.logged: set[str] = set()
        self.failures = MlflowException, OSError
        try:
            self.client = MlflowClient(tracking_uri=uri)
            found = self.client.get_experiment_by_name(experiment)
            self.experiment_id = found.experiment_id if found else self.client.create_experiment(experiment)
        except self.failures as e:
            raise InputError(
                f"cannot log to the MLflow at {uri} ({shorten(e)}); name a tracking URI that answers"
            ) from e

    def log_run(self, run: Run) -> None:
        """Log a run that is not there yet; a warning says what could not be logged."""
        name = run.folder.name
        if name in self.logged:
            return
        self.logged.add(name)
        try:
            if not self.find_finished(name):
                self.write(run)
        except self.failures as e:
            log.warning("the run %s is not in MLflow (%s); run the command again to log it", name, shorten(e))

    def find_finished(self, name: str) -> bool:
        """Return whether a run is there as a whole; take out what a killed process left half written."""
        for entry in self.client.search_runs([self.experiment_id], f"attributes.run_name = '{name}'"):
            if entry.info.status == "FINISHED":
                return True
            self.client.delete_run(entry.info.run_id)
        return False

    def write(self, run: Run) -> None:
        """Write a run's config, curves and best figures."""
        from mlflow.entities import Metric, Param

        entry_id = self.client.create_run(self.experiment_id, run_name=run.folder.name).info.run_id
        self.client.log_batch(entry_id, params=[Param(key, str(v)) for key, v in run.config.to_dict().items()])
        now, best = int(time.time() * 1000), run.load_result()["validation"]
        figures = [(key, v, int(row["epoch"])) for row in run.load_history() for key, v in row.items()]
        metrics = [Metric(key, v, now, epoch) for key, v, epoch in figures if not math.isnan(v)]
        for key, value in (("accuracy", best["accuracy"]), ("macro_f1", best["macro_f1"]), ("ece", best["ece"])):
            metrics.append(Metric(f"best_validation_{key}", value, now, 0))
        for i in range(0, len(metrics), MAX_METRICS):
            self.client.log_batch(entry_id, metrics[i : i + MAX_METRICS])
        self.client.set_terminated(entry_id)
