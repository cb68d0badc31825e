"""
The audit can only grow: the database itself refuses UPDATE, DELETE and TRUNCATE, whoever asks. But for one change: when
a person leaves, from where they came is taken out.
"""

from django.db import migrations

FORWARD = """
CREATE FUNCTION accounts_refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.ip IS NULL AND to_jsonb(OLD) - 'ip' = to_jsonb(NEW) - 'ip' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the audit is append-only: % refused', TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER auditentry_append_only BEFORE UPDATE OR DELETE ON accounts_auditentry
    FOR EACH ROW EXECUTE FUNCTION accounts_refuse_audit_change();
CREATE TRIGGER auditentry_no_truncate BEFORE TRUNCATE ON accounts_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_refuse_audit_change();
"""

BACKWARD = """
DROP TRIGGER auditentry_no_truncate ON accounts_auditentry;
DROP TRIGGER auditentry_append_only ON accounts_auditentry;
DROP FUNCTION accounts_refuse_audit_change();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0005_sign_in")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
