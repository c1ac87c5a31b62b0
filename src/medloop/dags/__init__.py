"""The loop in Airflow. The only place that imports airflow; everything heavy is imported inside tasks."""
