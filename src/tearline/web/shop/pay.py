"""The page of the payments that cost nothing: what a provider's page would be, where there is none.

Registered always, and not found unless the installation has the provider ``test``. Like any provider's page it
asks for no sign-in: whoever has its address may pay.
"""

from __future__ import annotations

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from tearline.core.refusal import Refusal
from tearline.i18n.formats import money
from tearline.payments.trial import ACTS, TrialPayments
from tearline.sales.paying import take_news
from tearline.sales.payment_rows import PaymentRow, payment_by_reference
from tearline.sales.reads import OrderView, order_of
from tearline.web.access import AnyRequest, GivenServices, safe_next
from tearline.web.security import readable_form
from tearline.web.services import Services
from tearline.web.shop.support import with_query
from tearline.web.ui.page import language_of
from tearline.web.ui.rendering import render, text_in


@get("/pay/{reference:str}")
async def pay_page(request: AnyRequest, services: GivenServices, reference: FromPath[str]) -> Response[str]:
    """What is bought and for how much, with everything that can happen to a payment as a button."""
    _provider(services)
    payment, order = await _payment(services, reference)
    language = language_of(request)
    done, back = _ways(request)
    return render(
        request,
        "shop/pay.html",
        headers={"cache-control": "no-store", "referrer-policy": "no-referrer"},
        time_zone=order.time_zone,
        payment=payment,
        order=order,
        name=text_in(order.offer_names, language),
        amount=money(payment.amount, payment.currency, language),
        back=back if payment.state == "begun" else done,
        action=with_query(request, request.url.path),
        is_open=payment.state == "begun",
    )


@post("/pay/{reference:str}")
async def pay(request: AnyRequest, services: GivenServices, reference: FromPath[str]) -> Redirect:
    """Have the chosen thing happen, told as the news that any provider would send.

    Also for a payment whose time is over: that is how a payment that comes too late can be tried.
    """
    provider = _provider(services)
    act = str((await readable_form(request)).get("act", ""))
    if act not in ACTS:
        raise Refusal("malformed")
    payment, _order = await _payment(services, reference)
    headers, body = provider.tell(reference, act, payment.id, payment.amount, payment.currency)
    now = services.now()
    news = provider.news(headers, body, now)
    await take_news(services.database, services.sale_desk, provider.name, news, now)
    done, back = _ways(request)
    return Redirect(done if act == "paid" else back, status_code=303)


def _provider(services: Services) -> TrialPayments:
    provider = services.payment_providers.get(TrialPayments.name)
    if not isinstance(provider, TrialPayments):
        raise Refusal("not_found")
    return provider


async def _payment(services: Services, reference: str) -> tuple[PaymentRow, OrderView]:
    async with services.database.connection() as connection:
        payment = await payment_by_reference(connection, TrialPayments.name, reference)
        if payment is None:
            raise Refusal("not_found")
        return payment, await order_of(connection, payment.member_id, payment.order_id)


def _ways(request: AnyRequest) -> tuple[str, str]:
    """Where to go on to after paying, and without; only ever to a page of ours."""
    query = request.query_params
    return safe_next(query.get("done"), "/orders"), safe_next(query.get("back"), "/orders")


HANDLERS = [pay_page, pay]
