"""
What lots and holds have gone through can only grow, too. The database refuses to change uses and claims, to delete any
of it, to change what a lot or a hold is or what an operation's version costs, and to let a hold end twice.
"""

from django.db import migrations

FORWARD = """
CREATE FUNCTION credits_refuse_change_of_terms() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- What may change is removed from both; of a row that is a jsonb object, NULL is a value like any other.
    IF to_jsonb(OLD) - TG_ARGV <> to_jsonb(NEW) - TG_ARGV THEN
        RAISE EXCEPTION 'the terms of a % do not change', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER lotuse_append_only BEFORE UPDATE OR DELETE ON credits_lotuse
    FOR EACH ROW EXECUTE FUNCTION credits_refuse_ledger_change();
CREATE TRIGGER lotuse_no_truncate BEFORE TRUNCATE ON credits_lotuse
    FOR EACH STATEMENT EXECUTE FUNCTION credits_refuse_ledger_change();
CREATE TRIGGER lotclaim_append_only BEFORE UPDATE OR DELETE ON credits_lotclaim
    FOR EACH ROW EXECUTE FUNCTION credits_refuse_ledger_change();
CREATE TRIGGER lotclaim_no_truncate BEFORE TRUNCATE ON credits_lotclaim
    FOR EACH STATEMENT EXECUTE FUNCTION credits_refuse_ledger_change();
CREATE TRIGGER operation_keeps_terms BEFORE UPDATE ON credits_operation
    FOR EACH ROW EXECUTE FUNCTION credits_refuse_change_of_terms('name', 'starts_at', 'is_active');
CREATE TRIGGER grant_no_delete BEFORE DELETE ON credits_grant
    FOR EACH ROW EXECUTE FUNCTION credits_refuse_ledger_change();
CREATE TRIGGER grant_no_truncate BEFORE TRUNCATE ON credits_grant
    FOR EACH STATEMENT EXECUTE FUNCTION credits_refuse_ledger_change();
CREATE TRIGGER grant_keeps_terms BEFORE UPDATE ON credits_grant
    FOR EACH ROW EXECUTE FUNCTION credits_refuse_change_of_terms('remaining', 'held');
CREATE TRIGGER hold_no_delete BEFORE DELETE ON credits_hold
    FOR EACH ROW EXECUTE FUNCTION credits_refuse_ledger_change();
CREATE TRIGGER hold_no_truncate BEFORE TRUNCATE ON credits_hold
    FOR EACH STATEMENT EXECUTE FUNCTION credits_refuse_ledger_change();
CREATE TRIGGER hold_ends_once BEFORE UPDATE ON credits_hold
    FOR EACH ROW WHEN (OLD.status <> 'active') EXECUTE FUNCTION credits_refuse_ledger_change();
CREATE TRIGGER hold_keeps_terms BEFORE UPDATE ON credits_hold
    FOR EACH ROW EXECUTE FUNCTION credits_refuse_change_of_terms('status', 'resolved_at', 'entry_id', 'spendable_after');
"""

BACKWARD = """
DROP TRIGGER operation_keeps_terms ON credits_operation;
DROP TRIGGER hold_ends_once ON credits_hold;
DROP TRIGGER hold_keeps_terms ON credits_hold;
DROP TRIGGER hold_no_truncate ON credits_hold;
DROP TRIGGER hold_no_delete ON credits_hold;
DROP TRIGGER grant_keeps_terms ON credits_grant;
DROP TRIGGER grant_no_truncate ON credits_grant;
DROP TRIGGER grant_no_delete ON credits_grant;
DROP TRIGGER lotclaim_no_truncate ON credits_lotclaim;
DROP TRIGGER lotclaim_append_only ON credits_lotclaim;
DROP TRIGGER lotuse_no_truncate ON credits_lotuse;
DROP TRIGGER lotuse_append_only ON credits_lotuse;
DROP FUNCTION credits_refuse_change_of_terms();
"""


class Migration(migrations.Migration):
    dependencies = [("credits", "0003_lots_and_holds")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
