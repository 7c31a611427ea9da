"""What the console looks through: the fleet in the orders of its list, its sums a day ago, and what changed.

And a pause that ends by itself.
"""

import sqlalchemy as sa
from alembic import op

import monitor.store.engine


revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Without it every page about a connection walks the whole audit.
    op.create_index('audit_subject', 'audit', ['subject', 'id'], unique=False)
    # A day of answer times, an hour each, in the row that every probe writes anyway.
    op.add_column('watch', sa.Column('paces', sa.Text(), server_default='', nullable=False))
    op.add_column('watch', sa.Column('paused_until', monitor.store.engine.UtcDateTime(timezone=True), nullable=True))
    over = sa.text('paused_until IS NOT NULL')
    op.create_index(
        'watch_lapses', 'watch', ['paused_until'], sqlite_where=over, postgresql_where=over,
    )
    op.create_index('watch_worst', 'watch', ['state', 'owner', 'since', 'connection'])
    op.create_index('connection_client', 'connection', ['client_name', 'id'])
    op.drop_index('ix_connection_client_name', 'connection')
    op.create_index('incident_opened', 'incident', ['opened_at'])
    over = sa.text('closed_at IS NOT NULL')
    op.create_index(
        'incident_closed', 'incident', ['closed_at'], sqlite_where=over, postgresql_where=over,
    )
    for name, where in (('people', "slot <> 'webhook'"), ('programs', "slot = 'webhook'")):
        op.create_index(
            f'notice_{name}', 'notice', ['state', 'settled_at', 'id'],
            sqlite_where=sa.text(where), postgresql_where=sa.text(where),
        )
    bad = sa.text("state IN ('unconfirmed', 'refused', 'failed')")
    op.create_index(
        'delivery_bad', 'delivery', ['state', 'notice'], sqlite_where=bad, postgresql_where=bad,
    )
    op.create_table(
        'fleet_hour',
        sa.Column('hour', sa.BigInteger(), nullable=False),
        sa.Column('state', sa.Text(), nullable=False),
        sa.Column('cause', sa.Text(), nullable=False),
        sa.Column('owner', sa.Text(), nullable=False),
        sa.Column('provider', sa.Text(), nullable=False),
        sa.Column('app', sa.Text(), nullable=False),
        sa.Column('connections', sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint('hour', 'state', 'cause', 'owner', 'provider', 'app'),
    )


def downgrade() -> None:
    op.drop_table('fleet_hour')
    op.drop_index('delivery_bad', 'delivery')
    op.drop_index('notice_programs', 'notice')
    op.drop_index('notice_people', 'notice')
    op.drop_index('incident_closed', 'incident')
    op.drop_index('incident_opened', 'incident')
    op.create_index('ix_connection_client_name', 'connection', ['client_name'])
    op.drop_index('connection_client', 'connection')
    op.drop_index('watch_worst', 'watch')
    op.drop_index('watch_lapses', 'watch')
    op.drop_column('watch', 'paused_until')
    op.drop_column('watch', 'paces')
    op.drop_index('audit_subject', 'audit')
