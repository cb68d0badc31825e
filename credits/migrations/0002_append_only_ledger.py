"""The ledger can only grow: the database itself refuses UPDATE, DELETE and TRUNCATE, whoever asks."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION credits_refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only: % refused; write a correcting entry instead', TG_OP
        USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER ledgerentry_append_only BEFORE UPDATE OR DELETE ON credits_ledgerentry
    FOR EACH ROW EXECUTE FUNCTION credits_refuse_ledger_change();
CREATE TRIGGER ledgerentry_no_truncate BEFORE TRUNCATE ON credits_ledgerentry
    FOR EACH STATEMENT EXECUTE FUNCTION credits_refuse_ledger_change();
"""

BACKWARD = """
DROP TRIGGER ledgerentry_no_truncate ON credits_ledgerentry;
DROP TRIGGER ledgerentry_append_only ON credits_ledgerentry;
DROP FUNCTION credits_refuse_ledger_change();
"""


class Migration(migrations.Migration):
    dependencies = [("credits", "0001_initial")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
