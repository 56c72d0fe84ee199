"""The alana event as it is sent: one struct per event type, told apart by `eventType`."""

from typing import Annotated

from msgspec import Meta, Struct

from dialects.fields import Currency, Object, Price, String, Text

ProductIds = Annotated[
    list[Text], Meta(min_length=1, description="a list of at least one product id, each a non-empty string")
]

# The names of the fields are the producer's own.
# ruff: noqa: N815


class Common(Struct, kw_only=True, frozen=True, gc=False, tag_field="eventType"):
    """What every event carries; null counts as not given."""

    visitorId: Text
    userId: String | None = None
    metadata: Object | None = None


class HomePageView(Common, frozen=True, gc=False, tag="home-page-view"):
    """The home page was shown."""


class Search(Common, frozen=True, gc=False, tag="search"):
    """Something was searched for."""

    query: Text


class CategoryView(Common, frozen=True, gc=False, tag="category-view"):
    """A category's page was shown."""

    categoryPath: Text


class DetailPageView(Common, frozen=True, gc=False, tag="detail-page-view"):
    """A product's page was shown."""

    productId: Text


class AddToCart(Common, frozen=True, gc=False, tag="add-to-cart"):
    """A product went into the cart."""

    productId: Text


class ShoppingCartPageView(Common, frozen=True, gc=False, tag="shopping-cart-page-view"):
    """The cart was shown."""


class PurchaseComplete(Common, frozen=True, tag="purchase-complete"):
    """An order was completed; `revenue` is of the whole order."""

    productIds: ProductIds
    revenue: Price
    currency: Currency


Event = (
    HomePageView
    | Search
    | CategoryView
    | DetailPageView
    | AddToCart
    | ShoppingCartPageView
    | PurchaseComplete
)
