"""How far a token sees: all of its tenant; a redo store's own token that store alone; and what admins may."""

from console.customers import STORES
from console.errors import ApiError
from schemas.rows import GATEWAY_STAGE
from schemas.tenants import Token

OF_STORE = f"dialect = '{STORES}' AND source = %(store)s"
"""The condition on rows of `events`."""

LETTER_SOURCE = f"if(stage = '{GATEWAY_STAGE}', source, JSONExtractString(raw, 'source'))"
"""Where the event of a letter came from. A dead one's raw is its envelope, unless it is cut."""

LETTERS_OF_STORE = f"dialect = '{STORES}' AND {LETTER_SOURCE} = %(store)s"
"""The condition on rows of `quarantine`."""


def require_all(token: Token) -> None:
    """Refuse a store's token what is its tenant's as a whole. Raises ApiError(403)."""
    if token.store:
        raise ApiError(403, "tenant_only")


def is_admin(token: Token) -> bool:
    """Tell whether it has the scope `admin`."""
    return "admin" in token.scopes


def require_admin(token: Token) -> None:
    """Refuse who may only read. Raises ApiError(403)."""
    if not is_admin(token):
        raise ApiError(403, "admin_only")
