#!/bin/sh
# entrypoint.sh web | inbox | worker <queue> | beat | migrate | health | <any management command>
set -eu

case "${1:-web}" in
  web)
    # Static files are named by their content: every web container may collect them, into its own data folder.
    python manage.py collectstatic --noinput --verbosity 0
    exec granian --interface wsgi --host "${RECOPORTAL_HOST:-0.0.0.0}" --port "${RECOPORTAL_PORT:-8000}" \
      --workers "${RECOPORTAL_WEB_WORKERS:-$(nproc)}" --blocking-threads 2 --respawn-failed-workers --workers-kill-timeout 3 \
      --no-ws recoportal.wsgi:application
    ;;
  inbox)
    export RECOPORTAL_DB_POOL_MAX=0
    exec python manage.py consume_events
    ;;
  worker)
    queue=${2:?name a queue: default, score or train}
    case "$queue" in
      default) set -- --concurrency 2 ;;
      score) set -- --concurrency 1 ;;
      train) set -- --concurrency 1 --max-tasks-per-child 10 ;;
      *) echo "entrypoint: there is no queue $queue: default, score or train" >&2; exit 64 ;;
    esac
    export RECOPORTAL_DB_POOL_MAX=0
    exec celery -A recoportal worker --queues "$queue" --hostname "$queue@%h" --pool prefork --loglevel INFO \
      --without-mingle --without-gossip "$@"
    ;;
  beat)
    export RECOPORTAL_DB_POOL_MAX=0
    exec celery -A recoportal beat --loglevel INFO
    ;;
  health)
    # Under the name the site answers to, as a proxy would ask.
    exec python -c 'import os, urllib.request as u
host = os.environ["RECOPORTAL_ALLOWED_HOSTS"].split(",")[0].strip()
u.urlopen(u.Request("http://127.0.0.1:" + os.environ.get("RECOPORTAL_PORT", "8000") + "/api/v1/health/ready",
                    headers={"Host": host}), timeout=5)'
    ;;
  migrate)
    python manage.py migrate --noinput
    exec python manage.py sync_roles
    ;;
  *)
    exec python manage.py "$@"
    ;;
esac
