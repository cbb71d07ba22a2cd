"""The staff site's addresses."""

from django.urls import path

from apps.portal.pages import find, jobs_drawer

app_name = "portal"
urlpatterns = [
    path("find/shoppers/", find.shoppers, name="find_shoppers"),
    path("find/products/", find.products, name="find_products"),
    path("find/surprise/", find.surprise, name="surprise"),
    path("jobs/drawer/", jobs_drawer.drawer, name="jobs_drawer"),
    path("jobs/badge/", jobs_drawer.badge, name="jobs_badge"),
    path("jobs/<int:job_id>/log/", jobs_drawer.log, name="job_log"),
    path("jobs/<int:job_id>/cancel/", jobs_drawer.cancel, name="job_cancel"),
]
