"""What providers need of a connection: values for its URLs, ends that answers told, who authorized."""

import sqlalchemy as sa
from alembic import op

import monitor.store.engine


revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None

when = monitor.store.engine.UtcDateTime(timezone=True)


def upgrade() -> None:
    op.add_column('connection', sa.Column('provider_values', sa.JSON(), server_default='{}', nullable=False))
    op.add_column('credential', sa.Column('refresh_expires_at', when, nullable=True))
    op.add_column('credential', sa.Column('grant_ends_at', when, nullable=True))
    op.add_column('credential', sa.Column('authorized_by', sa.Text(), nullable=True))
    op.add_column('process', sa.Column('blocked', sa.JSON(), server_default='{}', nullable=False))
    op.add_column('held_grant', sa.Column('refresh_expires_at', when, nullable=True))
    op.add_column('held_grant', sa.Column('grant_ends_at', when, nullable=True))
    op.add_column('held_grant', sa.Column('provider_values', sa.JSON(), server_default='{}', nullable=False))
    op.add_column('held_grant', sa.Column('accounts', sa.JSON(), server_default='[]', nullable=False))


def downgrade() -> None:
    raise NotImplementedError("what was told of tokens and connections does not go back")
