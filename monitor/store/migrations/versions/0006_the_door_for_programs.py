"""The door for programs: keys, people, what they said, what they are told, and who may have a token."""

import sqlalchemy as sa
from alembic import op

import monitor.store.engine


revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None

when = monitor.store.engine.UtcDateTime(timezone=True)


def upgrade() -> None:
    _columns()
    _tables()


def _columns() -> None:
    op.add_column('connection', sa.Column('custody', sa.Text(), server_default='managed', nullable=False))
    op.add_column('connection', sa.Column('handout', sa.Boolean(), server_default=sa.true(), nullable=False))
    op.add_column('connection', sa.Column('revision', sa.Integer(), server_default='1', nullable=False))
    op.add_column('connection', sa.Column('claimed_by', sa.Text(), nullable=True))
    op.add_column('connection', sa.Column('claimed_until', when, nullable=True))
    op.add_column('connection', sa.Column('claimed_incident', sa.Integer(), nullable=True))
    op.add_column('credential', sa.Column('expiry_assumed', sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column('credential', sa.Column('refused_version', sa.Integer(), nullable=True))
    op.add_column('credential', sa.Column('demand_after', when, nullable=True))
    op.add_column('held_grant', sa.Column('expiry_assumed', sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column('link', sa.Column('sealed', sa.Text(), nullable=True))
    op.add_column('watch', sa.Column('brought_at', when, nullable=True))
    op.add_column('watch', sa.Column('spared', sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index('watch_sums', 'watch', ['state', 'cause', 'owner', 'provider', 'app'])
    op.add_column('watch', sa.Column('sequence', sa.Integer(), server_default='0', nullable=False))


def _tables() -> None:
    op.create_table('api_key',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('handle', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('hash', sa.Text(), nullable=False),
    sa.Column('old_hash', sa.Text(), nullable=True),
    sa.Column('old_until', when, nullable=True),
    sa.Column('scopes', sa.JSON(), nullable=False),
    sa.Column('only', sa.JSON(), nullable=True),
    sa.Column('made_by', sa.Text(), nullable=False),
    sa.Column('created_at', when, nullable=False),
    sa.Column('expires_at', when, nullable=False),
    sa.Column('last_used_at', when, nullable=True),
    sa.Column('revoked_at', when, nullable=True),
    sa.Column('exposed_at', when, nullable=True),
    sa.Column('told_days', sa.Integer(), nullable=True),
    sa.Column('networks', sa.JSON(), nullable=True),
    sa.Column('revision', sa.Integer(), server_default='1', nullable=False),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('handle')
    )
    op.create_table('event',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('number', sa.BigInteger(), nullable=True),
    sa.Column('at', when, nullable=False),
    sa.Column('type', sa.Text(), nullable=False),
    sa.Column('connection', sa.Text(), nullable=True),
    sa.Column('app', sa.Text(), nullable=True),
    sa.Column('labels', sa.JSON(), nullable=True),
    sa.Column('sequence', sa.BigInteger(), nullable=True),
    sa.Column('data', sa.JSON(), nullable=False),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('number')
    )
    op.create_index('event_at', 'event', ['at'], unique=False)
    op.create_index('event_unnumbered', 'event', ['at'], unique=False, sqlite_where=sa.text('number IS NULL'), postgresql_where=sa.text('number IS NULL'))
    op.create_table('idempotency',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('request', sa.Text(), nullable=False),
    sa.Column('at', when, nullable=False),
    sa.Column('running_until', when, nullable=True),
    sa.Column('status', sa.Integer(), nullable=True),
    sa.Column('answer', sa.Text(), nullable=True),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('idempotency_at', 'idempotency', ['at'], unique=False)
    op.create_table('job',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('principal', sa.Text(), nullable=False),
    sa.Column('actor', sa.JSON(), nullable=False),
    sa.Column('action', sa.Text(), nullable=False),
    sa.Column('options', sa.JSON(), nullable=False),
    sa.Column('ids', sa.JSON(), nullable=False),
    sa.Column('done', sa.Integer(), server_default='0', nullable=False),
    sa.Column('failed', sa.JSON(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('created_at', when, nullable=False),
    sa.Column('ended_at', when, nullable=True),
    sa.Column('lease_by', sa.Text(), nullable=True),
    sa.Column('lease_until', when, nullable=True),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('job_created', 'job', ['created_at'], unique=False)
    op.create_index('job_running', 'job', ['created_at'], unique=False, sqlite_where=sa.text('ended_at IS NULL'), postgresql_where=sa.text('ended_at IS NULL'))
    op.create_table('person',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('role', sa.Text(), nullable=False),
    sa.Column('password', sa.Text(), nullable=True),
    sa.Column('issuer', sa.Text(), nullable=True),
    sa.Column('subject', sa.Text(), nullable=True),
    sa.Column('created_at', when, nullable=False),
    sa.Column('signed_in_at', when, nullable=True),
    sa.Column('revision', sa.Integer(), server_default='1', nullable=False),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('name')
    )
    op.create_index('person_subject', 'person', ['issuer', 'subject'], unique=True)
    op.create_table('plan',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('principal', sa.Text(), nullable=False),
    sa.Column('created_at', when, nullable=False),
    sa.Column('expires_at', when, nullable=False),
    sa.Column('applied_at', when, nullable=True),
    sa.Column('within', sa.Text(), server_default='', nullable=False),
    sa.Column('rests_on', sa.JSON(), nullable=False),
    sa.Column('said', sa.JSON(), nullable=False),
    sa.Column('records', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('plan_expires', 'plan', ['expires_at'], unique=False)
    op.create_table('sign_in_attempt',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('at', when, nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('address', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('sign_in_attempt_address', 'sign_in_attempt', ['address', 'at'], unique=False)
    op.create_index('sign_in_attempt_name', 'sign_in_attempt', ['name', 'at'], unique=False)
    op.create_table('sign_in_trip',
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('browser', sa.Text(), nullable=False),
    sa.Column('target', sa.Text(), nullable=False),
    sa.Column('expires_at', when, nullable=False),
    sa.PrimaryKeyConstraint('state')
    )
    op.create_table('token_use',
    sa.Column('key', sa.Text(), nullable=False),
    sa.Column('connection', sa.Text(), nullable=False),
    sa.Column('hour', sa.BigInteger(), nullable=False),
    sa.Column('count', sa.Integer(), nullable=False),
    sa.Column('first_at', when, nullable=False),
    sa.Column('last_at', when, nullable=False),
    sa.Column('generation', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('key', 'connection', 'hour')
    )
    op.create_index('token_use_connection', 'token_use', ['connection'], unique=False)
    op.create_table('webhook',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('url', sa.Text(), nullable=False),
    sa.Column('events', sa.JSON(), nullable=False),
    sa.Column('only', sa.JSON(), nullable=True),
    sa.Column('secret', sa.Text(), nullable=True),
    sa.Column('old_secret', sa.Text(), nullable=True),
    sa.Column('old_until', when, nullable=True),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('failing_since', when, nullable=True),
    sa.Column('made_by', sa.Text(), nullable=False),
    sa.Column('created_at', when, nullable=False),
    sa.Column('revision', sa.Integer(), server_default='1', nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_table('session',
    sa.Column('hash', sa.Text(), nullable=False),
    sa.Column('person', sa.Text(), nullable=False),
    sa.Column('role', sa.Text(), nullable=False),
    sa.Column('created_at', when, nullable=False),
    sa.Column('seen_at', when, nullable=False),
    sa.Column('expires_at', when, nullable=False),
    sa.ForeignKeyConstraint(['person'], ['person.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('hash')
    )
    op.create_index(op.f('ix_session_person'), 'session', ['person'], unique=False)
    op.create_table('signal',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('connection', sa.Text(), nullable=False),
    sa.Column('received_at', when, nullable=False),
    sa.Column('at', when, nullable=True),
    sa.Column('key', sa.Text(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('generation', sa.Integer(), nullable=True),
    sa.Column('asked', sa.Text(), server_default='', nullable=False),
    sa.Column('scope', sa.Text(), nullable=True),
    sa.Column('status', sa.Integer(), nullable=True),
    sa.Column('headers', sa.JSON(), nullable=True),
    sa.Column('says', sa.Text(), server_default='', nullable=False),
    sa.Column('effect', sa.Text(), nullable=False),
    sa.Column('why', sa.Text(), server_default='', nullable=False),
    sa.Column('times', sa.Integer(), server_default='1', nullable=False),
    sa.ForeignKeyConstraint(['connection'], ['connection.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('signal_connection', 'signal', ['connection', 'received_at'], unique=False)
    op.create_index('signal_received', 'signal', ['received_at'], unique=False)


def downgrade() -> None:
    raise NotImplementedError("what programs rely on does not go back")
