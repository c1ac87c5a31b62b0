"""The loop in Airflow. Everything heavy is imported inside tasks."""
