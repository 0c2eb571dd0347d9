-- Run once, when PostgreSQL makes its volume: Prefect's database is there, MLflow's is not.
create database mlflow;
