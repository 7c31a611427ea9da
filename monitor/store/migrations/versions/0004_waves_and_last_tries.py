"""What the truth of promises 1 and 2 needs: waves of breaks, and refreshes whose answer was lost."""

import sqlalchemy as sa
from alembic import op

import monitor.store.engine


revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    _mail_server()


def _mail_server() -> None:
    op.create_table('mail_server',
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('down_since', monitor.store.engine.UtcDateTime(timezone=True), nullable=True),
    sa.Column('answer', sa.Text(), nullable=False),
    sa.Column('utf8', sa.Boolean(), nullable=True),
    sa.PrimaryKeyConstraint('name')
    )


def downgrade() -> None:
    raise NotImplementedError("what was told cannot be told again; restore a copy instead")
