"""On-call is told through the same outbox; maintenance windows; how long the last probe took."""

import sqlalchemy as sa
from alembic import op


revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('delivery', sa.Column('channel', sa.Text(), server_default='email', nullable=False))
    op.add_column('notice', sa.Column('matter', sa.JSON(), nullable=True))
    op.create_index('notice_audience', 'notice', ['audience', 'slot'], unique=False)
    op.add_column('silence', sa.Column('pauses', sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column('watch', sa.Column('last_seconds', sa.Float(), nullable=True))
    op.add_column('watch', sa.Column('rests', sa.Text(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("what was told cannot be told again; restore a copy instead")
