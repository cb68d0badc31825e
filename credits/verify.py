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
        FROM credits_ledgerentry e
        JOIN credits_operation o ON o.id = e.operation_id
        LEFT JOIN credits_hold h ON h.entry_id = e.id
        WHERE e.type = 'deduction' AND -e.amount <> o.credits * e.quantity::bigint
          -- A capture may be of less than was held; its last unit is then not paid in full.
          AND (h.id IS NULL OR -e.amount > o.credits * e.quantity::bigint
               OR -e.amount <= o.credits * (e.quantity::bigint - 1))
    """,
    "what corrects an entry is of the same account": """
        SELECT 'entry ' || e.id, r.account_id, e.account_id
        FROM credits_ledgerentry e JOIN credits_ledgerentry r ON r.id = e.related_id
        WHERE r.account_id <> e.account_id
    """,
    "no account holds or keeps in lots more than it has": """
        SELECT 'account ' || user_id, balance, GREATEST(held, in_lots) FROM credits_account
        WHERE held > balance OR held < 0 OR balance < 0 OR in_lots > balance OR in_lots < 0
    """,
    "each account's credits in lots are what its lots have left": """
        SELECT 'account ' || a.user_id, COALESCE(g.remaining, 0), a.in_lots
        FROM credits_account a
        LEFT JOIN (SELECT account_id, SUM(remaining) AS remaining FROM credits_grant GROUP BY account_id) g
            ON g.account_id = a.user_id
        WHERE a.in_lots <> COALESCE(g.remaining, 0)
    """,
    "what each lot has left is its amount and all that was done to it": """
        SELECT 'lot ' || g.id, g.amount + COALESCE(u.total, 0), g.remaining
        FROM credits_grant g
        LEFT JOIN (SELECT lot_id, SUM(amount) AS total FROM credits_lotuse GROUP BY lot_id) u ON u.lot_id = g.id
        WHERE g.remaining <> g.amount + COALESCE(u.total, 0) OR g.remaining < 0 OR g.remaining > g.amount
    """,
    "each use of a lot has its lot and its entry, of one account": """
        SELECT 'lot use ' || u.id, 'account ' || COALESCE(g.account_id::text, 'of a lot that is gone'),
               'account ' || COALESCE(e.account_id::text, 'of an entry that is gone')
        FROM credits_lotuse u
        LEFT JOIN credits_grant g ON g.id = u.lot_id
        LEFT JOIN credits_ledgerentry e ON e.id = u.entry_id
        WHERE g.account_id IS NULL OR e.account_id IS NULL OR g.account_id <> e.account_id
    """,
    "each lot has the entry that brought it in, of its account": """
        SELECT 'lot ' || g.id, 'at most ' || COALESCE(e.amount, 0) || ' of account ' || g.account_id,
               g.amount || ' of account ' || COALESCE(e.account_id::text, 'nobody')
        FROM credits_grant g LEFT JOIN credits_ledgerentry e ON e.id = g.entry_id
        WHERE e.id IS NULL OR e.account_id <> g.account_id OR g.amount > e.amount
           OR e.type NOT IN ('grant', 'adjustment', 'refund') OR (e.type <> 'refund' AND g.amount <> e.amount)
    """,
    "what an entry did to lots is part of what it did": """
        SELECT 'entry ' || e.id || ' (' || e.type || ')', e.amount, COALESCE(u.total, 0) + COALESCE(g.total, 0)
        FROM credits_ledgerentry e
        LEFT JOIN (SELECT entry_id, SUM(amount) AS total, MIN(amount) AS least, MAX(amount) AS most
                   FROM credits_lotuse GROUP BY entry_id) u ON u.entry_id = e.id
        LEFT JOIN (SELECT entry_id, SUM(amount) AS total FROM credits_grant GROUP BY entry_id) g ON g.entry_id = e.id
        WHERE (e.type = 'expiry' AND COALESCE(u.total, 0) <> e.amount)
           OR (e.amount < 0 AND (COALESCE(u.most, -1) > 0 OR COALESCE(u.total, 0) < e.amount))
           OR (e.amount > 0 AND (COALESCE(u.least, 1) < 0 OR COALESCE(u.total, 0) + COALESCE(g.total, 0) > e.amount))
    """,
    "nothing expired before its time": """
        SELECT 'entry ' || e.id, 'not before ' || g.expires_at, e.created_at
        FROM credits_lotuse u
        JOIN credits_ledgerentry e ON e.id = u.entry_id
        JOIN credits_grant g ON g.id = u.lot_id
        WHERE e.type = 'expiry' AND e.created_at < g.expires_at
    """,
    "nothing was spent from a lot after its time, but by a hold that had claimed it": """
        SELECT 'entry ' || e.id, 'before ' || g.expires_at, e.created_at
        FROM credits_lotuse u
        JOIN credits_ledgerentry e ON e.id = u.entry_id
        JOIN credits_grant g ON g.id = u.lot_id
        LEFT JOIN credits_hold h ON h.entry_id = e.id
        LEFT JOIN credits_lotclaim c ON c.hold_id = h.id AND c.lot_id = g.id
        WHERE e.type <> 'expiry' AND e.created_at >= g.expires_at
          AND (c.id IS NULL OR h.created_at >= g.expires_at OR c.amount < -u.amount)
    """,
    "each account's held credits are those of its active holds": """
        SELECT 'account ' || a.user_id, COALESCE(h.amount, 0), a.held
        FROM credits_account a
        LEFT JOIN (SELECT account_id, SUM(amount) AS amount FROM credits_hold WHERE status = 'active'
                   GROUP BY account_id) h ON h.account_id = a.user_id
        WHERE a.held <> COALESCE(h.amount, 0)
    """,
    "each lot's held credits are what active holds have claimed of it": """
        SELECT 'lot ' || g.id, COALESCE(c.amount, 0), g.held
        FROM credits_grant g
        LEFT JOIN (SELECT c.lot_id, SUM(c.amount) AS amount
                   FROM credits_lotclaim c JOIN credits_hold h ON h.id = c.hold_id AND h.status = 'active'
                   GROUP BY c.lot_id) c ON c.lot_id = g.id
        WHERE g.held <> COALESCE(c.amount, 0) OR g.held > g.remaining OR g.held < 0
    """,
    "each claim has its lot and its hold, of one account, and claims no more than is held": """
        SELECT 'hold ' || COALESCE(h.id::text, 'that is gone'), MAX(h.amount), SUM(c.amount)
        FROM credits_lotclaim c
        LEFT JOIN credits_hold h ON h.id = c.hold_id
        LEFT JOIN credits_grant g ON g.id = c.lot_id
        GROUP BY h.id
        HAVING h.id IS NULL OR SUM(c.amount) > MAX(h.amount) OR BOOL_OR(g.id IS NULL OR g.account_id <> h.account_id)
    """,
    "each captured hold has one deduction, of its account and app, of no more than it held": """
        SELECT 'hold ' || h.id, CASE WHEN h.status = 'captured' THEN h.amount END, -e.amount
        FROM credits_hold h LEFT JOIN credits_ledgerentry e ON e.id = h.entry_id
        WHERE (h.status = 'captured') <> (h.entry_id IS NOT NULL)
           OR (h.status = 'captured' AND (e.id IS NULL OR e.type <> 'deduction' OR e.account_id <> h.account_id
               OR e.app_id IS DISTINCT FROM h.app_id OR -e.amount > h.amount))
           OR h.status NOT IN ('active', 'captured', 'released', 'expired')
    """,
    "all refunds of a deduction together do not exceed it": """
        SELECT 'entry ' || o.id || ' (' || o.type || ')', -o.amount, SUM(r.amount)
        FROM credits_ledgerentry r JOIN credits_ledgerentry o ON o.id = r.related_id
        WHERE r.type = 'refund'
        GROUP BY o.id
        HAVING o.type <> 'deduction' OR SUM(r.amount) > -o.amount
    """,
    "each refund says what it refunds": """
        SELECT 'entry ' || e.id, 'the deduction', 'nothing'
        FROM credits_ledgerentry e LEFT JOIN credits_ledgerentry o ON o.id = e.related_id
        WHERE e.type = 'refund' AND o.id IS NULL
    """,
    "refunds return no more to a lot than was taken from it": """
        SELECT 'entry ' || taken.entry_id || ', lot ' || taken.lot_id, taken.amount, back.amount
        FROM (SELECT o.id AS entry_id, x.lot_id, SUM(x.amount) AS amount
              FROM (SELECT entry_id, lot_id, amount FROM credits_lotuse WHERE amount > 0
                    UNION ALL SELECT entry_id, origin_id, amount FROM credits_grant WHERE origin_id IS NOT NULL) x
              JOIN credits_ledgerentry r ON r.id = x.entry_id
              JOIN credits_ledgerentry o ON o.id = r.related_id
              GROUP BY o.id, x.lot_id) back
        LEFT JOIN (SELECT entry_id, lot_id, -SUM(amount) AS amount FROM credits_lotuse GROUP BY entry_id, lot_id) taken
            USING (entry_id, lot_id)
        WHERE back.amount > COALESCE(taken.amount, 0)
    """,
    "what was taken from lots does not come back as credits that never expire": """
        SELECT 'refunds of entry ' || o.id, 'at most ' || (-o.amount - taken.amount) || ' that never expire',
               r.amount - COALESCE(back.amount, 0)
        FROM credits_ledgerentry o
        JOIN (SELECT entry_id, -SUM(amount) AS amount FROM credits_lotuse GROUP BY entry_id) taken
            ON taken.entry_id = o.id
        JOIN (SELECT related_id, SUM(amount) AS amount FROM credits_ledgerentry WHERE type = 'refund'
              GROUP BY related_id) r ON r.related_id = o.id
        LEFT JOIN (SELECT e.related_id, SUM(x.amount) AS amount
                   FROM (SELECT entry_id, amount FROM credits_lotuse
                         UNION ALL SELECT entry_id, amount FROM credits_grant) x
                   JOIN credits_ledgerentry e ON e.id = x.entry_id AND e.type = 'refund'
                   GROUP BY e.related_id) back ON back.related_id = o.id
        WHERE o.type = 'deduction' AND r.amount - COALESCE(back.amount, 0) > -o.amount - taken.amount
    """,
    "a plan's credits came once a period": """
        SELECT 'account ' || account_id || ', period from ' || period_start, 1, COUNT(*)
        FROM credits_grant WHERE period_start IS NOT NULL
        GROUP BY account_id, period_start, plan_id HAVING COUNT(*) > 1
    """,
    "whoever has entries, lots or holds has an account": """
        SELECT 'user ' || x.account_id, 'an account', 'none'
        FROM (SELECT account_id FROM credits_ledgerentry UNION SELECT account_id FROM credits_grant
              UNION SELECT account_id FROM credits_hold) x
        LEFT JOIN credits_account a ON a.user_id = x.account_id
        WHERE a.user_id IS NULL
    """,
    "what is held outside of lots is there": """
        SELECT 'account ' || a.user_id, '0 to ' || (a.balance - a.in_lots), a.held - COALESCE(g.held, 0)
        FROM credits_account a
        LEFT JOIN (SELECT account_id, SUM(held) AS held FROM credits_grant GROUP BY account_id) g
            ON g.account_id = a.user_id
        WHERE a.held - COALESCE(g.held, 0) NOT BETWEEN 0 AND a.balance - a.in_lots
    """,
    "credits that came in to expire are in a lot, and no others": """
        SELECT 'entry ' || e.id, CASE WHEN e.metadata ? 'expires_at' THEN e.amount ELSE 0 END, COALESCE(g.amount, 0)
        FROM credits_ledgerentry e
        LEFT JOIN (SELECT entry_id, SUM(amount) AS amount FROM credits_grant GROUP BY entry_id) g ON g.entry_id = e.id
        WHERE e.type IN ('grant', 'adjustment')
          AND COALESCE(g.amount, 0) <> CASE WHEN e.metadata ? 'expires_at' THEN e.amount ELSE 0 END
    """,
    "a capture was paid from the lots that its hold had claimed": """
        SELECT 'hold ' || h.id, LEAST(COALESCE(c.amount, 0), -e.amount), COALESCE(u.amount, 0)
        FROM credits_hold h
        JOIN credits_ledgerentry e ON e.id = h.entry_id
        LEFT JOIN (SELECT hold_id, SUM(amount) AS amount FROM credits_lotclaim GROUP BY hold_id) c ON c.hold_id = h.id
        LEFT JOIN (SELECT entry_id, -SUM(amount) AS amount FROM credits_lotuse GROUP BY entry_id) u
            ON u.entry_id = e.id
        WHERE COALESCE(u.amount, 0) <> LEAST(COALESCE(c.amount, 0), -e.amount)
    """,
}
