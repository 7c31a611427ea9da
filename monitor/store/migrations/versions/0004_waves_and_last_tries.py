"""What the truth of promises 1 and 2 needs: waves of breaks, and refreshes whose answer was lost."""

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


def downgrade() -> None:
    raise NotImplementedError("what was told cannot be told again; restore a copy instead")
