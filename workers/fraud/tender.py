"""Which money a country uses: ISO 4217 says it in the first two letters of a code, but for these."""

_ALSO = {
    "AUD": "CC CX HM KI NF NR TV",
    "BND": "SG",
    "CHF": "LI",
    "DKK": "FO GL",
    "EUR": "AD AT AX BE BG BL CY DE EE ES FI FR GF GP GR HR IE IT LT LU LV MC ME MF MQ MT NL PM PT RE SI SK "
    "SM TF VA XK YT",
    "GBP": "GG GS IM JE",
    "ILS": "PS",
    "INR": "BT",
    "JOD": "PS",
    "MAD": "EH",
    "NOK": "BV SJ",
    "NZD": "CK NU PN TK",
    "SGD": "BN",
    "SHP": "AC",
    "USD": "AS BQ DG EC FM GU HT IO MH MP PA PR PW SV TC TL UM VG VI ZW",
    "XAF": "CF CG CM GA GQ TD",
    "XCD": "AG AI DM GD KN LC MS VC",
    "XCG": "CW SX",
    "XOF": "BF BJ CI GW ML NE SN TG",
    "XPF": "NC PF WF",
    "ZAR": "LS NA SZ",
}
"""As of 2026. Notes that are only tolerated are left out."""

_PAIRS = frozenset(
    (currency, country) for currency, countries in _ALSO.items() for country in countries.split()
)


def is_tender(currency: str, country: str) -> bool:
    """Tell whether a country (ISO 3166-1 alpha-2) pays in a currency."""
    return currency[:2] == country or (currency, country) in _PAIRS
