"""An event whose record would be too large for the bus is refused; its batch is not."""

from typing import Any

import pytest

from bus.base import RECORD_BYTES_MAX
from tests.unit.gateway.rig import BATCH, INSTALL, RELO, RELO as HEADERS, Rig, batch
