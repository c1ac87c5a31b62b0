# syntax=docker/dockerfile:1
# Images of the page, the trainer, MLflow and Airflow: `docker build --target page .`
# Name the base by its digest where you build: --build-arg BASE=debian:bookworm-slim@sha256:…
# Its Python is the one that requirements.txt was resolved for.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
# hadolint ignore=DL3008,DL3009
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates python3 python3-venv
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir uv==0.13.9
WORKDIR /src
COPY pyproject.toml requirements.txt README.md LICENSE .env.example ./
COPY docs docs
COPY src src
# PyTorch's index has the CPU build; a site with a mirror names it: --find-links /wheels
ARG TORCH_SOURCE=--torch-backend=cpu
ENV UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1 UV_COMPILE_BYTECODE_TIMEOUT=600
RUN python3 -m venv --without-pip /opt/medloop

FROM build AS build-page
RUN /opt/uv/bin/uv pip install --python /opt/medloop/bin/python ${TORCH_SOURCE} -c requirements.txt '.[app,metrics]'

FROM build AS build-trainer
RUN /opt/uv/bin/uv pip install --python /opt/medloop/bin/python ${TORCH_SOURCE} -c requirements.txt '.[train,ray,metrics]'

FROM build AS build-mlflow
RUN /opt/uv/bin/uv pip install --python /opt/medloop/bin/python ${TORCH_SOURCE} -c requirements.txt '.[services,postgres]' boto3

FROM build AS build-airflow
RUN /opt/uv/bin/uv pip install --python /opt/medloop/bin/python ${TORCH_SOURCE} -c requirements.txt '.[train,airflow,postgres,metrics]'

FROM ${BASE} AS base
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates python3 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --no-create-home --home-dir /state medloop \
 && mkdir -p /state /config/app /config/seaweedfs /config/mlflow /config/airflow /config/tasks \
      /config/trainer /config/postgres /config/prepare \
 && chown -R medloop:medloop /state /config && chmod -R go= /state /config \
 && chmod go+x /config && chmod go+rx /config/postgres
COPY --chmod=0755 deploy/run.py deploy/prepare.py /usr/local/lib/medloop/
ENV PATH=/opt/medloop/bin:/usr/bin:/bin HOME=/state MEDLOOP_HOME=/state PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /state
USER 10001
ENTRYPOINT ["/opt/medloop/bin/python", "/usr/local/lib/medloop/run.py"]

FROM base AS trainer
COPY --from=build-trainer /opt/medloop /opt/medloop
ENTRYPOINT ["/opt/medloop/bin/medloop"]
CMD ["retrain"]

FROM base AS mlflow
COPY --from=build-mlflow /opt/medloop /opt/medloop
EXPOSE 5000
HEALTHCHECK --start-period=60s CMD ["/opt/medloop/bin/python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:5000/health', timeout=3)"]
CMD ["mlflow"]

FROM base AS airflow
COPY --from=build-airflow /opt/medloop /opt/medloop
EXPOSE 8080
HEALTHCHECK --start-period=60s CMD ["/opt/medloop/bin/python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/api/v2/monitor/health', timeout=3)"]
CMD ["airflow-api-server"]

FROM base AS page
COPY --from=build-page /opt/medloop /opt/medloop
EXPOSE 8501
HEALTHCHECK --start-period=60s CMD ["/opt/medloop/bin/python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=3)"]
CMD ["app"]
