"""The Django project: settings, environment, embedded services, Celery application, root URLs."""
