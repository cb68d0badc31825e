"""
What has to be true of the books, as SQL that finds every row of which it is not.

Written apart from the code that writes the books, and sharing nothing with it: auditing with the helper that wrote the
data would only prove that it is consistent with itself. Each query returns (who or what, what was expected, what was
found); no rows means that the invariant holds.
"""

from typing import Final

INVARIANTS: Final[dict[str, str]] = {
    "each account's balance is the sum of its entries": """
        SELECT 'account ' || a.user_id, COALESCE(e.total, 0), a.balance
        FROM credits_account a
        LEFT JOIN (SELECT account_id, SUM(amount) AS total FROM credits_ledgerentry GROUP BY account_id) e
            ON e.account_id = a.user_id
        WHERE a.balance <> COALESCE(e.total, 0)
    """,
    "each account's seq is the number of its entries": """
        SELECT 'account ' || a.user_id, COALESCE(e.entries, 0), a.seq
        FROM credits_account a
        LEFT JOIN (SELECT account_id, COUNT(*) AS entries FROM credits_ledgerentry GROUP BY account_id) e
            ON e.account_id = a.user_id
        WHERE a.seq <> COALESCE(e.entries, 0)
    """,
    "entries are numbered 1, 2, 3… without gaps": """
        SELECT 'entry ' || id || ' of account ' || account_id, expected, seq
        FROM (SELECT id, account_id, seq, ROW_NUMBER() OVER (PARTITION BY account_id ORDER BY seq) AS expected
              FROM credits_ledgerentry) numbered
        WHERE seq <> expected
    """,
    "each entry's running balance is the sum up to it": """
        SELECT 'entry ' || id || ' of account ' || account_id, expected, balance_after
        FROM (SELECT id, account_id, balance_after, SUM(amount) OVER (PARTITION BY account_id ORDER BY seq) AS expected
              FROM credits_ledgerentry) running
        WHERE balance_after <> expected
    """,
    "each entry's sign fits its type": """
        SELECT 'entry ' || id || ' (' || type || ')',
               CASE WHEN type IN ('grant', 'refund') THEN 1 WHEN type IN ('deduction', 'expiry') THEN -1 END,
               SIGN(amount)
        FROM credits_ledgerentry
        WHERE amount = 0 OR (type IN ('grant', 'refund') AND amount < 0)
           OR (type IN ('deduction', 'expiry') AND amount > 0)
           OR type NOT IN ('grant', 'deduction', 'refund', 'adjustment', 'expiry')
    """,
    "each priced deduction cost what its price list line says": """
        SELECT 'entry ' || e.id || ' (' || o.slug || ' v' || o.version || ')', o.credits * e.quantity::bigint, -e.amount
        FROM credits_ledgerentry e JOIN credits_operation o ON o.id = e.operation_id
        WHERE e.type = 'deduction' AND -e.amount <> o.credits * e.quantity::bigint
    """,
    "what corrects an entry is of the same account": """
        SELECT 'entry ' || e.id, r.account_id, e.account_id
        FROM credits_ledgerentry e JOIN credits_ledgerentry r ON r.id = e.related_id
        WHERE r.account_id <> e.account_id
    """,
    "no account holds more than it has": """
        SELECT 'account ' || user_id, balance, held FROM credits_account WHERE held > balance OR held < 0 OR balance < 0
    """,
}
