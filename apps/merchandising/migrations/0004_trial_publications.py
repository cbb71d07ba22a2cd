"""Publications that are made for an experiment, as immutable as all others."""

from django.db import migrations, models

FUNCTION = """
CREATE OR REPLACE FUNCTION merchandising_publication_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.placement_id, OLD.number, OLD.weights, OLD.normalisation, OLD.rules, OLD.note,
        OLD.published_at{old})
       IS DISTINCT FROM
       (NEW.placement_id, NEW.number, NEW.weights, NEW.normalisation, NEW.rules, NEW.note,
        NEW.published_at{new})
    THEN
        RAISE EXCEPTION 'publication % is immutable; publish a new one', OLD.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
"""
FORWARD = FUNCTION.format(
    old=", OLD.trial, OLD.page_size, OLD.versions", new=", NEW.trial, NEW.page_size, NEW.versions"
)
BACKWARD = FUNCTION.format(old="", new="")


class Migration(migrations.Migration):
    dependencies = [("merchandising", "0003_placement_kinds")]

    operations = [
        migrations.AddField(
            model_name="publication",
            name="trial",
            field=models.BooleanField(
                default=False, help_text="Made for an experiment; never live by itself."
            ),
        ),
        migrations.AddField(
            model_name="publication",
            name="page_size",
            field=models.PositiveSmallIntegerField(
                blank=True, help_text="Of a trial; empty: the placement's.", null=True
            ),
        ),
        migrations.AddField(
            model_name="publication",
            name="versions",
            field=models.JSONField(
                blank=True, default=dict, help_text="Of a trial: source code to the model version it uses."
            ),
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
