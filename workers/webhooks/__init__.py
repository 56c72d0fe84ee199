"""The worker `webhooks`: takes each match of `events.matched` once, and sends it to its filter's URL."""
