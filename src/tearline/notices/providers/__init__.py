"""Those who deliver: Twilio, the WhatsApp Cloud API, a generic HTTP gateway, and the outbox of the demo."""

from tearline.notices.providers.http_gateway import HttpGateway
from tearline.notices.providers.outbox import Outbox
from tearline.notices.providers.twilio import TwilioSms, TwilioVoice
from tearline.notices.providers.whatsapp import WhatsAppCloud

__all__ = ["HttpGateway", "Outbox", "TwilioSms", "TwilioVoice", "WhatsAppCloud"]
