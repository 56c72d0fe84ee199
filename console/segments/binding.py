"""The parameters of a query under construction."""

from typing import Any


class Binding:
    """Gives each value a name of its own; none enters the SQL, the warehouse's adapter escapes them."""

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}

    def __call__(self, value: str | int | float | tuple[str, ...]) -> str:
        """Return the placeholder that stands for the value."""
        name = f"p{len(self.params)}"
        self.params[name] = value
        return f"%({name})s"
