"""All tables of alerts, for whoever needs the whole schema: a backup has them, migrations make them."""

from __future__ import annotations

from alerts.mails.tables import address, mail_server
from alerts.outbox.tables import delivery, fuse, notice, notice_item
from alerts.silences.tables import silence

TABLES = (notice, notice_item, delivery, fuse, address, mail_server, silence)
