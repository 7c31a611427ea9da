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
    op.create_table('campaign',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('chosen', sa.JSON(), nullable=False),
    sa.Column('pace', sa.Integer(), nullable=False),
    sa.Column('until', sa.Date(), nullable=False),
    sa.Column('phase', sa.Text(), nullable=False),
    sa.Column('why', sa.Text(), server_default='', nullable=False),
    sa.Column('halted', sa.Boolean(), server_default=sa.false(), nullable=False),
    sa.Column('created_at', when, nullable=False),
    sa.Column('created_by', sa.Text(), nullable=False),
    sa.Column('changed_at', when, nullable=False),
    sa.Column('changed_by', sa.Text(), nullable=False),
    sa.Column('resumed_at', when, nullable=True),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_table('campaign_member',
    sa.Column('campaign', sa.Text(), nullable=False),
    sa.Column('connection', sa.Text(), nullable=False),
    sa.Column('standing', sa.Boolean(), nullable=False),
    sa.Column('wave', sa.Integer(), nullable=True),
    sa.Column('chosen_at', when, nullable=True),
    sa.Column('invited_at', when, nullable=True),
    sa.Column('opened_at', when, nullable=True),
    sa.Column('approved_at', when, nullable=True),
    sa.Column('mishap', sa.Text(), server_default='', nullable=False),
    sa.Column('mishap_at', when, nullable=True),
    sa.Column('left_at', when, nullable=True),
    sa.ForeignKeyConstraint(['campaign'], ['campaign.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('campaign', 'connection')
    )
    op.create_index(
        'campaign_member_standing', 'campaign_member', ['connection'], unique=True,
        sqlite_where=sa.text('standing'), postgresql_where=sa.text('standing'),
    )


def downgrade() -> None:
    raise NotImplementedError("what was told of tokens and connections does not go back")
