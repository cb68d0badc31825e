"""Ten thousand people and a million entries, made by the database itself in seconds, with books that are right."""

from __future__ import annotations

from django.db import connection

from accounts.models import App, Plan
from credits.models import Operation

PEOPLE = """
    INSERT INTO accounts_user (password, is_superuser, user_id, username, email, plan_id, is_active, is_staff)
    SELECT '!', false, 'crowd-' || n, 'Person ' || n, 'person' || n || '@example.com', %(plan)s, true, false
    FROM generate_series(1, %(people)s) n
"""
ACCOUNTS = """
    INSERT INTO credits_account (user_id, balance, held, in_lots, seq)
    SELECT id, %(grant)s - (%(entries)s - 1), 0, 0, %(entries)s FROM accounts_user WHERE user_id LIKE 'crowd-%%'
"""
# The first is a gift; each further one takes a credit, by turns of the two apps, evenly over the last 90 days.
ENTRIES = """
    INSERT INTO credits_ledgerentry (
        id, account_id, seq, type, amount, balance_after, app_id, description, operation_id, quantity, source, metadata,
        created_at
    )
    SELECT gen_random_uuid(), u.id, n, CASE WHEN n = 1 THEN 'grant' ELSE 'deduction' END,
           CASE WHEN n = 1 THEN %(grant)s ELSE -1 END, %(grant)s - (n - 1),
           CASE WHEN n = 1 THEN NULL WHEN n %% 2 = 0 THEN %(penora)s ELSE %(imagegene)s END,
           CASE WHEN n = 1 THEN 'Welcome credits' ELSE 'Page' END,
           CASE WHEN n > 1 AND n %% 2 = 0 THEN %(page)s END, CASE WHEN n > 1 AND n %% 2 = 0 THEN 1 END,
           CASE WHEN n = 1 THEN 'signup' END, '{}',
           NOW() - INTERVAL '90 days' * (1 - n::float / %(entries)s) - INTERVAL '1 second' * (u.id %% 3600)
    FROM generate_series(1, %(entries)s) n, accounts_user u WHERE u.user_id LIKE 'crowd-%%'
"""
ROOM = """
    INSERT INTO workspace_storage (user_id, limit_bytes, used_bytes, reserved_bytes, project_count, warned_percent)
    SELECT id, %(limit)s, size, 0, 1,
           CASE WHEN size * 100 >= 100 * %(limit)s THEN 100 WHEN size * 100 >= 95 * %(limit)s THEN 95
                WHEN size * 100 >= 80 * %(limit)s THEN 80 ELSE 0 END
    FROM (SELECT id, 1 + (id * 7919) %% %(limit)s AS size FROM accounts_user WHERE user_id LIKE 'crowd-%%') u
"""
ROOM_BY_APP = """
    INSERT INTO workspace_appstorage (storage_id, app_id, used_bytes, project_count)
    SELECT s.user_id, %(penora)s, s.used_bytes, 1
    FROM workspace_storage s JOIN accounts_user u ON u.id = s.user_id WHERE u.user_id LIKE 'crowd-%%'
"""
PROJECTS = """
    INSERT INTO workspace_project (
        user_id, app_id, code, title, project_type, content_type, size_bytes, original_bytes, metadata
    )
    SELECT s.user_id, %(penora)s, UPPER(LPAD(TO_HEX(s.user_id), 6, '0')), 'Project of ' || u.user_id, 'page',
           'text/plain; charset=utf-8', s.used_bytes, s.used_bytes, '{}'
    FROM workspace_storage s JOIN accounts_user u ON u.id = s.user_id WHERE u.user_id LIKE 'crowd-%%'
"""
# Said to be compressed, as they are so much shorter than their size.
CONTENTS = """
    INSERT INTO workspace_projectcontent (project_id, body, encoding)
    SELECT p.id, 'x', 'br' FROM workspace_project p JOIN accounts_user u ON u.id = p.user_id
    WHERE u.user_id LIKE 'crowd-%%'
"""
HOLDS = """
    INSERT INTO credits_hold (id, account_id, app_id, amount, status, description, created_at, expires_at, resolved_at)
    SELECT gen_random_uuid(), id, %(penora)s, 1, 'released', '', NOW() - INTERVAL '1 day', NOW() - INTERVAL '23 hours',
           NOW() - INTERVAL '23 hours'
    FROM accounts_user WHERE user_id LIKE 'crowd-%%'
"""


def fill(*, people: int, entries: int) -> None:
    """`people` people with `entries` entries each, a project, a hold that was released. What was there stays."""
    plan = Plan.objects.get(is_default=True)
    apps = {app.slug: app.pk for app in App.objects.all()}
    page = Operation.objects.filter(slug="page").order_by("version")[0]
    terms = {
        "people": people,
        "entries": entries,
        "grant": 10 * entries,
        "plan": plan.pk,
        "limit": plan.storage_limit_bytes,
        "penora": apps["penora"],
        "imagegene": apps["imagegene"],
        "page": page.pk,
    }
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        for statement in (PEOPLE, ACCOUNTS, ENTRIES, ROOM, ROOM_BY_APP, PROJECTS, CONTENTS, HOLDS):
            cursor.execute(statement, terms)
        cursor.execute("ANALYZE")
