"""An order of vouchers as every face makes it: with a pass where a waiting room guards the sale, and its payment."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from tearline.core.refusal import Refusal
from tearline.members.tokens import MemberIdentity
from tearline.payments.provider import PaymentFailure, PaymentProvider
from tearline.sales import paying
from tearline.sales.desk import OrderAnswer
from tearline.sales.payment_rows import last_payment
from tearline.sales.reads import OrderView, order_known, order_of
from tearline.web.claiming import admitted, give_place_on
from tearline.web.services import Services


async def order(
    services: Services,
    identity: MemberIdentity,
    campaign_code: str,
    item_id: UUID,
    quantity: int,
    idempotency_key: str,
    pass_token: str | None = None,
) -> OrderAnswer:
    """Reserve vouchers of a sale's item for a member.

    Args:
        identity: from the member's verified token.
        campaign_code: upper case.
        idempotency_key: chosen by the client, the same for each repeat of this order.
        pass_token: what the client was let in with, for a sale that a waiting room guards.

    Raises:
        Refusal: as ``SaleDesk.order``, and as ``Guard.admit`` where a pass is needed.
    """

    async def is_known(connection: AsyncConnection) -> bool:
        return await order_known(connection, identity.member_id, idempotency_key)

    held = await admitted(services, identity, campaign_code, pass_token, is_known)
    answer = await services.sale_desk.order(
        campaign_code, item_id, identity.member_id, identity.epoch, quantity, idempotency_key
    )
    if held is not None:
        await give_place_on(services, campaign_code, held)
    return answer


def provider_of(services: Services) -> PaymentProvider:
    """Who takes payments here; refused as ``payment_unavailable`` when nobody does."""
    for provider in services.payment_providers.values():
        return provider
    raise Refusal("payment_unavailable")


async def payment_address(services: Services, member_id: UUID, order_id: UUID, language: str) -> str:
    """Where a member pays an order; the payment is begun unless it was. They come back to the order's page.

    Args:
        language: of the page on which they pay.

    Raises:
        Refusal: ``not_found``, ``order_paid``, ``order_released``, ``payment_unavailable``.
    """
    found = await _order(services, member_id, order_id)
    page = f"{services.settings.public_url}/orders/{order_id}"
    return await paying.begin_payment(
        services.database,
        provider_of(services),
        found,
        paying.PaymentUrls(success_url=f"{page}?paid=1", cancel_url=page),
        services.now(),
        language=language,
    )


async def newest(services: Services, member_id: UUID, order_id: UUID) -> OrderView:
    """A member's order as it stands, also where its provider knows more than we have been told.

    The provider is asked now and then, however often this is.

    Raises:
        Refusal: ``not_found``.
    """
    found = await _order(services, member_id, order_id)
    if found.state != "reserved" or found.payment_provider is None:
        return found
    provider = services.payment_providers.get(found.payment_provider)
    if provider is None:
        return found
    await paying.look_again(services.database, services.sale_desk, provider, order_id, services.now())
    # Whatever that came to: the provider's own news may have arrived meanwhile.
    return await _order(services, member_id, order_id)


async def cancel(services: Services, member_id: UUID, order_id: UUID) -> None:
    """Give up an order that is not paid; its vouchers are others' to buy at once.

    Raises:
        Refusal: ``not_found``, ``order_paid``.
    """
    # It may have been paid a moment ago.
    found = await newest(services, member_id, order_id)
    released = await services.sale_desk.release(found.campaign_code, member_id, order_id, "cancelled")
    if released.state == "paid":
        raise Refusal("order_paid")
    async with services.database.connection() as connection:
        payment = await last_payment(connection, order_id)
    if payment is None or payment.reference is None or payment.provider not in services.payment_providers:
        return
    # Best effort: what is paid all the same is delivered, or paid back.
    with suppress(PaymentFailure):
        await services.payment_providers[payment.provider].cancel(payment.reference)


async def _order(services: Services, member_id: UUID, order_id: UUID) -> OrderView:
    async with services.database.connection() as connection:
        return await order_of(connection, member_id, order_id)
