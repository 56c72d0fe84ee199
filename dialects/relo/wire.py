"""The relo event as it is sent: one struct per event type, told apart by `t`."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from dialects.fields import Currency, Integer, Object, Price, Quantity, String, Text

Milliseconds = Annotated[
    int, Meta(description="an integer, the Unix time in milliseconds, in the years 1973 to 2199")
]
ConsentMask = Annotated[int, Meta(ge=0, le=255, description="an integer from 0 to 255")]
Address = Annotated[str, Meta(description="an IPv4 or IPv6 address")]
ProductLine = Literal["MX", "VD", "DA", "HA", "IT", "NW"]


class Common(Struct, kw_only=True, frozen=True, gc=False, tag_field="t"):
    """What every event carries; null counts as not given."""

    ts: Milliseconds
    cid: Integer
    did: Text
    url: String | None = None
    ref: String | None = None
    ip: Address | None = None
    ua: String | None = None
    consent: ConsentMask | None = None


class PageProps(Struct, frozen=True, gc=False):
    """`url` may stand here instead of at the top."""

    url: String | None = None


class PageView(Common, frozen=True, gc=False, tag="page_view"):
    """A page or a screen was shown; needs `url`."""

    props: PageProps | None = None


class ProductProps(Struct, frozen=True, gc=False):
    """The product that was looked at."""

    product_id: Text
    price: Price


class ViewProduct(Common, frozen=True, gc=False, tag="view_product"):
    """A product's page was shown."""

    props: ProductProps


class CartProps(Struct, frozen=True, gc=False):
    """The product that was added; `price` is of one unit."""

    product_id: Text
    price: Price
    quantity: Quantity


class AddToCart(Common, frozen=True, gc=False, tag="add_to_cart"):
    """A product went into the cart."""

    props: CartProps


class CheckoutProps(Struct, frozen=True, gc=False):
    """What the whole cart costs."""

    cart_value: Price


class BeginCheckout(Common, frozen=True, gc=False, tag="begin_checkout"):
    """The checkout was begun."""

    props: CheckoutProps


class PurchaseProps(Struct, frozen=True, gc=False):
    """One product of an order; `revenue` is after discounts."""

    order_id: Text
    revenue: Price
    product_id: Text
    quantity: Quantity
    currency: Currency | None = None
    product_line: ProductLine | None = None


class Purchase(Common, frozen=True, gc=False, tag="purchase"):
    """Something was bought."""

    props: PurchaseProps


class Install(Common, frozen=True, gc=False, tag="install"):
    """The app was installed."""

    props: Object | None = None


class Custom(Common, frozen=True, gc=False, tag="custom"):
    """Anything else; `props` is free."""

    props: Object | None = None


Event = PageView | ViewProduct | AddToCart | BeginCheckout | Purchase | Install | Custom
