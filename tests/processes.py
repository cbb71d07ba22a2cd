"""Real processes beside a test: a Celery worker, a web server, a browser."""
