"""What the truth of promises 1 and 2 needs: waves of breaks, and refreshes whose answer was lost."""

import sqlalchemy as sa
from alembic import op


revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    raise NotImplementedError("what was told cannot be told again; restore a copy instead")
