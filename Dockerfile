# docker build -t budgetscope . && docker run -p 127.0.0.1:8501:8501 -v budgetscope:/results budgetscope
FROM python:3.13-slim

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1 XDG_CACHE_HOME=/opt/models

COPY . /src
# Wheels alone: there is no compiler here.
RUN pip install --only-binary=:all: -c /src/constraints.txt /src
RUN budgetscope models fetch
RUN useradd --uid 10001 --create-home budgetscope && install -d -o budgetscope /results

USER budgetscope
WORKDIR /results
VOLUME /results
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
# Reached from outside, it starts runs only for who knows BUDGETSCOPE_LAUNCH_TOKEN; without one it is read-only.
CMD ["budgetscope", "--host", "0.0.0.0", "--no-browser"]
