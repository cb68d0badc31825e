"""What an app needs to use Unified: sign-in, tokens, the API, and one page."""
