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
    op.create_table(
        'app_check',
        sa.Column('app', sa.Text(), nullable=False),
        sa.Column('door', sa.Text(), nullable=False),
        sa.Column('at', when, nullable=False),
        sa.Column('outcome', sa.Text(), nullable=False),
        sa.Column('says', sa.Text(), server_default='', nullable=False),
        sa.Column('rule', sa.Text(), server_default='', nullable=False),
        sa.Column('refusals', sa.Integer(), server_default='0', nullable=False),
        sa.Column('since', when, nullable=True),
        sa.Column('well_at', when, nullable=True),
        sa.Column('next_at', when, nullable=False),
        sa.PrimaryKeyConstraint('app', 'door'),
    )
    for column in ('refresh_expires_at', 'grant_ends_at'):
        given = sa.text(f'{column} IS NOT NULL')
        op.create_index(
            f'credential_{column}', 'credential', [column, 'connection'],
            sqlite_where=given, postgresql_where=given,
        )
    for column in ('access_expires_at', 'refresh_used_at', 'authorized_at'):
        op.create_index(f'credential_{column}', 'credential', [column, 'connection'])
    op.add_column('process', sa.Column('blocked', sa.JSON(), server_default='{}', nullable=False))
    op.add_column('held_grant', sa.Column('refresh_expires_at', when, nullable=True))
    op.add_column('held_grant', sa.Column('grant_ends_at', when, nullable=True))
    op.add_column('held_grant', sa.Column('provider_values', sa.JSON(), server_default='{}', nullable=False))
    op.add_column('held_grant', sa.Column('accounts', sa.JSON(), server_default='[]', nullable=False))


def downgrade() -> None:
    raise NotImplementedError("what was told of tokens and connections does not go back")
