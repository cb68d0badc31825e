"""What a figure or a text of the books may be at the most, and where it stands if nothing is said."""

MAX_AMOUNT = 1_000_000  # credits that one call can move
PROJECT_CODE_MAX_LENGTH = 64  # kept as the caller gave it; not a reference
DESCRIPTION_MAX_LENGTH = 500
IDEMPOTENCY_KEY_MAX_LENGTH = 255
DEFAULT_PRIORITY = 50  # of a lot; the lowest burns first
MAX_PRIORITY = 100
