"""The local stack: SeaweedFS, MLflow, Airflow and the page, supervised on this machine."""
