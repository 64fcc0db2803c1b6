# The page and the HTTP API of `captioner serve`, without TensorFlow. docs/deploy.md says how to build and run it.
FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY captioner captioner
COPY saved_models saved_models
RUN python -m venv /venv && \
    /venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --constraint constraints.txt ".[serve]"

FROM python:3.13-slim
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH
# All that is written lies in the user's home, so that the rest may be read-only: prepared encoders, downloaded weights.
RUN useradd --system --uid 10001 --create-home --home-dir /cache captioner
USER captioner
WORKDIR /cache
VOLUME /cache
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:7860/health', timeout=4)"]
ENTRYPOINT ["captioner", "serve", "--host", "0.0.0.0", "--port", "7860"]
