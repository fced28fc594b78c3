"""Experiment trackers: a finished run in; its config and curves in MLflow. TensorBoard's file is in every run."""

from collections.abc import Callable

from emoscope.errors import InputError, MissingExtraError
from emoscope.study.runs import Run


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
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError as e:
        raise MissingExtraError("--mlflow needs MLflow; install it: pip install 'emoscope[mlflow]'") from e
    try:
        client = MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(experiment)
        experiment_id = found.experiment_id if found else client.create_experiment(experiment)
    except (MlflowException, OSError) as e:
        reason = " ".join(str(e).split())[:200]
        raise InputError(f"cannot log to the MLflow at {uri} ({reason}); name a tracking URI that answers") from e

    def log_run(run: Run) -> None:
        name, result = run.folder.name, run.load_result()
        if client.search_runs([experiment_id], f"attributes.run_name = '{name}'"):
            return
        entry = client.create_run(experiment_id, run_name=name).info.run_id
        for key, value in run.config.to_dict().items():
            client.log_param(entry, key, value)
        for row in run.load_history():
            for key, value in row.items():
                client.log_metric(entry, key, value, step=int(row["epoch"]))
        for key in ("accuracy", "macro_f1", "ece"):
            client.log_metric(entry, f"best_validation_{key}", result["validation"][key])
        client.set_terminated(entry)

    return log_run
