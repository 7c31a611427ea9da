"""The first tables."""

import sqlalchemy as sa
from alembic import op

import monitor.store.engine


revision = '0001'
down_revision = None
branch_labels = None
depends_on = None


def _make_audit_append_only() -> None:
    """The database itself refuses to change or remove a line of the audit."""
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_no_{verb.lower()} BEFORE {verb} ON audit "
                "BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit is append-only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit "
        "FOR EACH ROW EXECUTE FUNCTION audit_append_only()"
    )


def upgrade() -> None:
    op.create_table('audit',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('at', monitor.store.engine.UtcDateTime(timezone=True), nullable=False),
    sa.Column('actor', sa.Text(), nullable=False),
    sa.Column('action', sa.Text(), nullable=False),
    sa.Column('subject', sa.Text(), nullable=False),
    sa.Column('detail', sa.JSON(), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_table('budget',
    sa.Column('app', sa.Text(), nullable=False),
    sa.Column('free_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('app')
    )
    op.create_table('connection',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('app', sa.Text(), nullable=False),
    sa.Column('provider', sa.Text(), nullable=False),
    sa.Column('region', sa.Text(), nullable=False),
    sa.Column('client_name', sa.Text(), nullable=False),
    sa.Column('contacts', sa.JSON(), nullable=False),
    sa.Column('locale', sa.Text(), nullable=False),
    sa.Column('timezone', sa.Text(), nullable=False),
    sa.Column('scopes', sa.JSON(), nullable=False),
    sa.Column('account_id', sa.Text(), nullable=True),
    sa.Column('account_name', sa.Text(), nullable=True),
    sa.Column('labels', sa.JSON(), nullable=False),
    sa.Column('created_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=False),
    sa.Column('updated_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_table('duty',
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('holder', sa.Text(), nullable=False),
    sa.Column('until', monitor.store.engine.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('name')
    )
    op.create_table('incident',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('cause', sa.Text(), nullable=False),
    sa.Column('owner', sa.Text(), nullable=False),
    sa.Column('guard', sa.Boolean(), nullable=False),
    sa.Column('reasons', sa.JSON(), nullable=False),
    sa.Column('opened_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=False),
    sa.Column('updated_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=False),
    sa.Column('closed_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=True),
    sa.Column('parent_id', sa.Integer(), nullable=True),
    sa.ForeignKeyConstraint(['parent_id'], ['incident.id'], ),
    sa.PrimaryKeyConstraint('id')
    )
    with op.batch_alter_table('incident', schema=None) as batch_op:
        batch_op.create_index('incident_one_open', ['kind', 'name'], unique=True, sqlite_where=sa.text('closed_at IS NULL'), postgresql_where=sa.text('closed_at IS NULL'))
        batch_op.create_index(batch_op.f('ix_incident_parent_id'), ['parent_id'], unique=False)

    op.create_table('key_check',
    sa.Column('key_id', sa.Text(), nullable=False),
    sa.Column('sealed', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('key_id')
    )
    op.create_table('process',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('role', sa.Text(), nullable=False),
    sa.Column('version', sa.Text(), nullable=False),
    sa.Column('started_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=False),
    sa.Column('beat_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_table('credential',
    sa.Column('connection', sa.Text(), nullable=False),
    sa.Column('access', sa.Text(), nullable=True),
    sa.Column('refresh', sa.Text(), nullable=True),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('issued_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=True),
    sa.Column('access_expires_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=True),
    sa.Column('authorized_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=True),
    sa.Column('refresh_used_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=True),
    sa.Column('granted', sa.JSON(), nullable=True),
    sa.Column('lost', sa.Boolean(), nullable=False),
    sa.Column('imported', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['connection'], ['connection.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('connection')
    )
    op.create_table('history',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('connection', sa.Text(), nullable=False),
    sa.Column('at', monitor.store.engine.UtcDateTime(timezone=True), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('cause', sa.Text(), nullable=False),
    sa.Column('owner', sa.Text(), nullable=False),
    sa.Column('confidence', sa.Float(), nullable=False),
    sa.Column('rule', sa.Text(), nullable=False),
    sa.Column('scope', sa.Text(), nullable=True),
    sa.Column('reasons', sa.JSON(), nullable=False),
    sa.Column('evidence', sa.JSON(), nullable=False),
    sa.ForeignKeyConstraint(['connection'], ['connection.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id')
    )
    with op.batch_alter_table('history', schema=None) as batch_op:
        batch_op.create_index('history_at', ['at'], unique=False)
        batch_op.create_index('history_connection', ['connection', 'id'], unique=False)

    op.create_table('probe_count',
    sa.Column('connection', sa.Text(), nullable=False),
    sa.Column('bucket', sa.BigInteger(), nullable=False),
    sa.Column('cause', sa.Text(), nullable=False),
    sa.Column('probes', sa.Integer(), nullable=False),
    sa.Column('seconds', sa.Float(), nullable=False),
    sa.ForeignKeyConstraint(['connection'], ['connection.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('connection', 'bucket', 'cause')
    )
    op.create_table('refresh_journal',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('connection', sa.Text(), nullable=False),
    sa.Column('process', sa.Text(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('begun_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=False),
    sa.Column('ended_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=True),
    sa.Column('outcome', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['connection'], ['connection.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id')
    )
    with op.batch_alter_table('refresh_journal', schema=None) as batch_op:
        batch_op.create_index('refresh_journal_connection', ['connection', 'id'], unique=False)
        batch_op.create_index('refresh_journal_single_flight', ['connection'], unique=True, sqlite_where=sa.text('ended_at IS NULL'), postgresql_where=sa.text('ended_at IS NULL'))

    op.create_table('watch',
    sa.Column('connection', sa.Text(), nullable=False),
    sa.Column('app', sa.Text(), nullable=False),
    sa.Column('provider', sa.Text(), nullable=False),
    sa.Column('region', sa.Text(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('since', monitor.store.engine.UtcDateTime(timezone=True), nullable=True),
    sa.Column('cause', sa.Text(), nullable=False),
    sa.Column('owner', sa.Text(), nullable=False),
    sa.Column('confidence', sa.Float(), nullable=False),
    sa.Column('rule', sa.Text(), nullable=False),
    sa.Column('candidate', sa.Text(), nullable=False),
    sa.Column('streak', sa.Integer(), nullable=False),
    sa.Column('streak_since', monitor.store.engine.UtcDateTime(timezone=True), nullable=True),
    sa.Column('bad_since', monitor.store.engine.UtcDateTime(timezone=True), nullable=True),
    sa.Column('good_streak', sa.Integer(), nullable=False),
    sa.Column('flaps', sa.Float(), nullable=False),
    sa.Column('flaps_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=True),
    sa.Column('last_probe_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=True),
    sa.Column('last_success_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=True),
    sa.Column('next_probe_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=True),
    sa.Column('lease_by', sa.Text(), nullable=True),
    sa.Column('lease_until', monitor.store.engine.UtcDateTime(timezone=True), nullable=True),
    sa.Column('lease_epoch', sa.Integer(), nullable=False),
    sa.Column('scope_cursor', sa.Integer(), nullable=False),
    sa.Column('scope_checked_at', monitor.store.engine.UtcDateTime(timezone=True), nullable=True),
    sa.Column('scopes_all', sa.Boolean(), nullable=False),
    sa.Column('reads', sa.JSON(), nullable=False),
    sa.CheckConstraint("state IN ('pending', 'healthy', 'suspect', 'broken', 'paused')", name='watch_state'),
    sa.ForeignKeyConstraint(['connection'], ['connection.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('connection')
    )
    with op.batch_alter_table('watch', schema=None) as batch_op:
        batch_op.create_index('watch_bad', ['bad_since'], unique=False, sqlite_where=sa.text('bad_since IS NOT NULL'), postgresql_where=sa.text('bad_since IS NOT NULL'))
        batch_op.create_index('watch_due', ['app', 'next_probe_at'], unique=False)

    _make_audit_append_only()


def downgrade() -> None:
    raise NotImplementedError("the first tables hold everything; restore a copy instead")
