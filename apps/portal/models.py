"""The demo shop's hidden truths. No model, snapshot or page may read them; only the simulator does."""

from django.db import models


class DemoTruth(models.Model):
    """One hidden fact of the demo shop, such as a shopper's taste or a coupon's true effect."""

    kind = models.CharField(max_length=40)
    key = models.CharField(max_length=80)
    data = models.JSONField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["kind", "key"], name="demo_truth_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"
