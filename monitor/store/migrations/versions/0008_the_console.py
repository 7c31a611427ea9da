"""What the console looks for: the lines of the audit about one thing."""

from alembic import op


revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Without it every page about a connection walks the whole audit.
    op.create_index('audit_subject', 'audit', ['subject', 'id'], unique=False)
