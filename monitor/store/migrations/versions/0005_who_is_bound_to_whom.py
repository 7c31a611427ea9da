"""First authorizations that wait for a person, and secrets of the service's own."""

import sqlalchemy as sa
from alembic import op

import monitor.store.engine


revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    _another_process()
    when = monitor.store.engine.UtcDateTime(timezone=True)
    op.create_table('held_grant',
    sa.Column('connection', sa.Text(), nullable=False),
    sa.Column('why', sa.Text(), nullable=False),
    sa.Column('account_id', sa.Text(), nullable=False),
    sa.Column('account_name', sa.Text(), nullable=True),
    sa.Column('user', sa.Text(), nullable=True),
    sa.Column('consent', sa.Integer(), nullable=True),
    sa.Column('held_at', when, nullable=False),
    sa.Column('access', sa.Text(), nullable=False),
    sa.Column('refresh', sa.Text(), nullable=True),
    sa.Column('issued_at', when, nullable=True),
    sa.Column('access_expires_at', when, nullable=True),
    sa.Column('granted', sa.JSON(), nullable=True),
    sa.ForeignKeyConstraint(['connection'], ['connection.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('connection')
    )
    op.create_table('own_secret',
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('sealed', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('name')
    )
    # Whose account is it? Asked at each first authorization.
    op.create_index('connection_account', 'connection', ['account_id'], unique=False)


def _another_process() -> None:
    """The probe before a mail comes from another process than the one that saw the break."""
    op.add_column('watch', sa.Column('judged_by', sa.Text(), nullable=True))
    op.add_column(
        'watch', sa.Column('others_asked_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=True)
    )


def downgrade() -> None:
    raise NotImplementedError("tokens that are bound to their app do not open for an older version")
