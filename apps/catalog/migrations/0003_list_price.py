"""The price before a promotion, so that promotions are known."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds Product.list_price."""

    dependencies = [("catalog", "0002_updated_index")]

    operations = [
        migrations.AddField(
            model_name="product",
            name="list_price",
            field=models.DecimalField(
                blank=True,
                decimal_places=2,
                help_text="What it cost before a promotion; above the price, the product is on promotion.",
                max_digits=12,
                null=True,
            ),
        ),
    ]
