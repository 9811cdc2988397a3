"""Imports every table, so that ``Base.metadata`` is whole: for drafting migrations and for checking drift."""

import tearline.campaigns.model
import tearline.catalogue.model
import tearline.checkout.model
import tearline.coupons.model
import tearline.members.model
import tearline.merchants.model
import tearline.notices.model
import tearline.offers.model
import tearline.pools.model
import tearline.sales.model
import tearline.waitingroom.model  # noqa: F401
from tearline.db import Base

metadata = Base.metadata
