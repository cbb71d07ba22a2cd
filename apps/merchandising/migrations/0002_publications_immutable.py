"""A publication is never rewritten: what shoppers were shown can be looked up for good."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION merchandising_publication_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.placement_id, OLD.number, OLD.weights, OLD.normalisation, OLD.rules, OLD.note, OLD.published_at)
       IS DISTINCT FROM
       (NEW.placement_id, NEW.number, NEW.weights, NEW.normalisation, NEW.rules, NEW.note, NEW.published_at)
    THEN
        RAISE EXCEPTION 'publication % is immutable; publish a new one', OLD.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER merchandising_publication_immutable BEFORE UPDATE ON merchandising_publication
    FOR EACH ROW EXECUTE FUNCTION merchandising_publication_refuse_change();
"""
BACKWARD = """
DROP TRIGGER merchandising_publication_immutable ON merchandising_publication;
DROP FUNCTION merchandising_publication_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("merchandising", "0001_initial")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
