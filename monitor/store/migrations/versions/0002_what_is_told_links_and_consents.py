"""What is told to whom, re-authorization links, and trips to the consent page."""

import sqlalchemy as sa
from alembic import op

import monitor.store.engine


revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('address',
    sa.Column('address', sa.Text(), nullable=False),
    sa.Column('refused_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=False),
    sa.Column('answer', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('address')
    )
    op.create_table('fuse',
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('blown_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=True),
    sa.Column('wanted', sa.Integer(), nullable=False),
    sa.Column('released_until', monitor.store.engine.UtcDateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('name')
    )
    op.create_table('notice',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('slot', sa.Text(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('client', sa.Text(), nullable=False),
    sa.Column('audience', sa.Text(), nullable=False),
    sa.Column('locale', sa.Text(), nullable=False),
    sa.Column('timezone', sa.Text(), nullable=False),
    sa.Column('recipients', sa.JSON(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('requested_by', sa.Text(), nullable=True),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('outcome', sa.Text(), nullable=False),
    sa.Column('planned_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=False),
    sa.Column('due_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=False),
    sa.Column('look_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=True),
    sa.Column('settled_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id')
    )
    with op.batch_alter_table('notice', schema=None) as batch_op:
        batch_op.create_index('notice_client', ['client'], unique=False)
        batch_op.create_index('notice_due', ['due_at'], unique=False, sqlite_where=sa.text("state = 'waiting'"), postgresql_where=sa.text("state = 'waiting'"))
        batch_op.create_index('notice_one_waiting', ['audience', 'slot'], unique=True, sqlite_where=sa.text("state = 'waiting' AND requested_by IS NULL"), postgresql_where=sa.text("state = 'waiting' AND requested_by IS NULL"))

    op.create_table('silence',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('by', sa.Text(), nullable=False),
    sa.Column('begun_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=False),
    sa.Column('until', monitor.store.engine.UtcDateTime(timezone=True), nullable=True),
    sa.Column('ended_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_table('delivery',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('notice', sa.Integer(), nullable=False),
    sa.Column('address', sa.Text(), nullable=False),
    sa.Column('message_id', sa.Text(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('next_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=False),
    sa.Column('lease_by', sa.Text(), nullable=True),
    sa.Column('lease_until', monitor.store.engine.UtcDateTime(timezone=True), nullable=True),
    sa.Column('answer', sa.Text(), nullable=False),
    sa.Column('settled_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['notice'], ['notice.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('message_id')
    )
    with op.batch_alter_table('delivery', schema=None) as batch_op:
        batch_op.create_index('delivery_notice', ['notice'], unique=False)
        batch_op.create_index('delivery_open', ['next_at'], unique=False, sqlite_where=sa.text("state IN ('waiting', 'sending', 'handed')"), postgresql_where=sa.text("state IN ('waiting', 'sending', 'handed')"))

    op.create_table('link',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('hash', sa.Text(), nullable=False),
    sa.Column('connection', sa.Text(), nullable=False),
    sa.Column('incident', sa.Integer(), nullable=True),
    sa.Column('locale', sa.Text(), nullable=False),
    sa.Column('cause', sa.Text(), nullable=False),
    sa.Column('always', sa.Boolean(), nullable=False),
    sa.Column('made_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=False),
    sa.Column('expires_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=False),
    sa.Column('opened_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=True),
    sa.Column('started_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=True),
    sa.Column('used_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['connection'], ['connection.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('hash')
    )
    with op.batch_alter_table('link', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_link_connection'), ['connection'], unique=False)

    op.create_table('notice_item',
    sa.Column('notice', sa.Integer(), nullable=False),
    sa.Column('connection', sa.Text(), nullable=False),
    sa.Column('incident', sa.Integer(), nullable=True),
    sa.Column('cause', sa.Text(), nullable=False),
    sa.Column('since', monitor.store.engine.UtcDateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['notice'], ['notice.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('notice', 'connection')
    )
    with op.batch_alter_table('notice_item', schema=None) as batch_op:
        batch_op.create_index('notice_item_connection', ['connection'], unique=False)

    op.create_table('consent',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('state_hash', sa.Text(), nullable=False),
    sa.Column('browser_hash', sa.Text(), nullable=False),
    sa.Column('link', sa.Integer(), nullable=False),
    sa.Column('connection', sa.Text(), nullable=False),
    sa.Column('app', sa.Text(), nullable=False),
    sa.Column('redirect_uri', sa.Text(), nullable=False),
    sa.Column('verifier', sa.Text(), nullable=True),
    sa.Column('begun_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=False),
    sa.Column('expires_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=False),
    sa.Column('spent_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=True),
    sa.Column('outcome', sa.Text(), nullable=False),
    sa.Column('account_id', sa.Text(), nullable=True),
    sa.Column('account_name', sa.Text(), nullable=True),
    sa.Column('leftover', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['link'], ['link.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('state_hash')
    )
    with op.batch_alter_table('consent', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_consent_connection'), ['connection'], unique=False)

    with op.batch_alter_table('connection', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_connection_client_name'), ['client_name'], unique=False)

    op.add_column('incident', sa.Column('mails', sa.Text(), nullable=False, server_default=''))



def downgrade() -> None:
    raise NotImplementedError("what was told cannot be told again; restore a copy instead")
