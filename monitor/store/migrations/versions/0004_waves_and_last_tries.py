"""What the truth of promises 1 and 2 needs: waves of breaks, and refreshes whose answer was lost."""

from datetime import timedelta

import sqlalchemy as sa
from alembic import op

import monitor.store.engine


revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    _last_tries()
    _mail_server()
    _keys()
    _waves()


def _last_tries() -> None:
    """A refresh token in doubt, and what came back instead of an answer."""
    for name in ('doubt_since', 'doubt_tried_at'):
        op.add_column(
            'credential', sa.Column(name, monitor.store.engine.UtcDateTime(timezone=True), nullable=True)
        )
    op.create_index(
        'credential_in_doubt', 'credential', ['doubt_since'], unique=False,
        sqlite_where=sa.text('doubt_since IS NOT NULL'), postgresql_where=sa.text('doubt_since IS NOT NULL'),
    )
    op.add_column('refresh_journal', sa.Column('evidence', sa.JSON(), nullable=True))


def _mail_server() -> None:
    op.create_table('mail_server',
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('down_since', monitor.store.engine.UtcDateTime(timezone=True), nullable=True),
    sa.Column('answer', sa.Text(), nullable=False),
    sa.Column('utf8', sa.Boolean(), nullable=True),
    sa.PrimaryKeyConstraint('name')
    )


def _keys() -> None:
    """When a key took over: one that was replaced long enough ago may be retired."""
    op.add_column('key_check', sa.Column('added_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=True))


def _waves() -> None:
    for name in ('turned_at', 'told_at', 'begun_at', 'joined_at', 'sent_at', 'spoken_at'):
        op.add_column('incident', sa.Column(name, monitor.store.engine.UtcDateTime(timezone=True), nullable=True))
    for name in ('ended', 'waits'):
        op.add_column('incident', sa.Column(name, sa.Text(), server_default='', nullable=False))
    for name in ('sent', 'total', 'tried'):
        op.add_column('incident', sa.Column(name, sa.Integer(), server_default='0', nullable=False))
    op.add_column('incident', sa.Column('wave', sa.Boolean(), server_default=sa.false(), nullable=False))
    op.drop_index('incident_one_open', table_name='incident')
    op.create_index(
        'incident_one_open', 'incident', ['kind', 'name', 'wave'], unique=True,
        sqlite_where=sa.text('closed_at IS NULL'), postgresql_where=sa.text('closed_at IS NULL'),
    )
    op.create_index('incident_turned', 'incident', ['turned_at'])
    _what_is_known_of_old_breaks()
    _guards_become_waves()


def _what_is_known_of_old_breaks() -> None:
    op.execute("UPDATE incident SET turned_at = opened_at WHERE kind = 'connection'")
    op.execute(
        "UPDATE incident SET told_at = ("
        "  SELECT min(coalesce(n.settled_at, n.due_at)) FROM notice n JOIN notice_item i ON i.notice = n.id"
        "  WHERE i.incident = incident.id AND n.slot IN ('ask', 'handover')"
        "    AND n.state IN ('sending', 'sent', 'failed')"
        ") WHERE kind = 'connection'"
    )
    # Nobody wrote down how a break ended. Without a consent in its time it counts as healed by itself: that
    # keeps the guard from taking an incident of last week for what is usual.
    op.execute(
        "UPDATE incident SET ended = CASE WHEN EXISTS ("
        "  SELECT 1 FROM consent c WHERE c.connection = incident.name AND c.outcome = 'stored'"
        "    AND c.spent_at >= incident.opened_at AND c.spent_at <= incident.closed_at"
        ") THEN 'authorized' ELSE 'alone' END WHERE kind = 'connection' AND closed_at IS NOT NULL"
    )


def _guards_become_waves() -> None:
    """A guard that holds clients' mails at this moment becomes a wave of its provider.

    Only what broke with it stays in it, and what nobody was told about; the rule before took in what was older.
    """
    conn, when = op.get_bind(), monitor.store.engine.UtcDateTime(timezone=True)
    columns = ('id', 'kind', 'name', 'owner', 'mails', 'parent_id')
    incident = sa.table(
        'incident', *map(sa.column, columns), sa.column('guard', sa.Boolean), sa.column('wave', sa.Boolean),
        *(sa.column(name, when) for name in ('opened_at', 'closed_at', 'told_at', 'begun_at', 'joined_at')),
    )
    watch = sa.table('watch', sa.column('connection'), sa.column('provider'))
    standing = sa.select(incident).where(incident.c.guard, incident.c.closed_at.is_(None))
    waves: dict[str, int] = {}
    for guard in conn.execute(standing.order_by(incident.c.id)).all():
        clients_own = (incident.c.parent_id == guard.id) & (incident.c.owner == 'client')
        held = conn.execute(
            sa.select(incident.c.id, watch.c.provider)
            .join(watch, watch.c.connection == incident.c.name)
            .where(
                clients_own, incident.c.closed_at.is_(None), incident.c.told_at.is_(None), incident.c.mails == '',
                incident.c.opened_at > guard.opened_at - timedelta(days=1),
            )
        ).all()
        conn.execute(sa.update(incident).where(clients_own).values(parent_id=None))
        if guard.owner != 'client':
            continue
        mine = sa.update(incident).where(incident.c.id == guard.id)
        its_members = sa.update(incident).where(incident.c.id.in_([member.id for member in held]))
        if not held or guard.mails == 'released':
            conn.execute(its_members.values(mails='released' if guard.mails == 'released' else ''))
            conn.execute(mine.values(guard=False, closed_at=guard.opened_at))
            continue
        provider = held[0].provider
        if provider in waves:
            conn.execute(mine.values(guard=False, closed_at=guard.opened_at))
        else:
            waves[provider] = guard.id
            conn.execute(mine.values(
                wave=True, kind='provider', name=provider, begun_at=guard.opened_at, joined_at=guard.opened_at
            ))
        conn.execute(its_members.values(parent_id=waves[provider]))


def downgrade() -> None:
    raise NotImplementedError("what was told cannot be told again; restore a copy instead")
