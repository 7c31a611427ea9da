"""What the truth of promises 1 and 2 needs: waves of breaks, and refreshes whose answer was lost."""

import sqlalchemy as sa
from alembic import op

import monitor.store.engine


revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    _keys()


def _keys() -> None:
    """When a key took over: one that was replaced long enough ago may be retired."""
    op.add_column('key_check', sa.Column('added_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("what was told cannot be told again; restore a copy instead")
