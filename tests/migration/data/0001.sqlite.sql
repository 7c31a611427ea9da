BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE audit (
	id INTEGER NOT NULL, 
	at TEXT NOT NULL, 
	actor TEXT NOT NULL, 
	action TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	detail JSON NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "audit" VALUES(1,'2026-11-23 09:00:00.000000+00:00','cli:ann','connection.pause','dent','{"why": "\u00fc"}');
CREATE TABLE budget (
	app TEXT NOT NULL, 
	free_at TEXT NOT NULL, 
	PRIMARY KEY (app)
);
INSERT INTO "budget" VALUES('clio-us','2026-11-23 09:00:00.000000+00:00');
CREATE TABLE connection (
	id TEXT NOT NULL, 
	app TEXT NOT NULL, 
	provider TEXT NOT NULL, 
	region TEXT NOT NULL, 
	client_name TEXT NOT NULL, 
	contacts JSON NOT NULL, 
	locale TEXT NOT NULL, 
	timezone TEXT NOT NULL, 
	scopes JSON NOT NULL, 
	account_id TEXT, 
	account_name TEXT, 
	labels JSON NOT NULL, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "connection" VALUES('acme','clio-us','clio','us','Acme ''LLP''','["it@mueller.example"]','de','Europe/Berlin','["contacts", "matters"]','1','Acme ''LLP''','{"tier": "gold"}','2026-11-14 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00');
INSERT INTO "connection" VALUES('bolt','clio-us','clio','us','Müller & Söhne','["it@mueller.example"]','de','Europe/Berlin','["contacts", "matters"]','2','Müller & Söhne','{"tier": "gold"}','2026-11-14 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00');
INSERT INTO "connection" VALUES('coda','clio-us','clio','us','Coda','["it@mueller.example"]','de','Europe/Berlin','["contacts", "matters"]',NULL,'Coda','{"tier": "gold"}','2026-11-14 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00');
INSERT INTO "connection" VALUES('dent','clio-us','clio','us','Dent','["it@mueller.example"]','de','Europe/Berlin','["contacts", "matters"]','4','Dent','{"tier": "gold"}','2026-11-14 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00');
CREATE TABLE credential (
	connection TEXT NOT NULL, 
	access TEXT, 
	refresh TEXT, 
	version INTEGER NOT NULL, 
	issued_at TEXT, 
	access_expires_at TEXT, 
	authorized_at TEXT, 
	refresh_used_at TEXT, 
	granted JSON, 
	lost BOOLEAN NOT NULL, 
	imported TEXT, 
	PRIMARY KEY (connection), 
	FOREIGN KEY(connection) REFERENCES connection (id) ON DELETE CASCADE
);
INSERT INTO "credential" VALUES('acme','v1.k1.bm9uY2U.YWNjZXNz','v1.k1.bm9uY2U.cmVmcmVzaA',3,'2026-11-22 09:00:00.000000+00:00','2026-11-24 09:00:00.000000+00:00','2026-11-14 09:00:00.000000+00:00','2026-11-22 09:00:00.000000+00:00','["contacts"]',0,'5d41');
INSERT INTO "credential" VALUES('bolt','v1.k1.bm9uY2U.YWNjZXN0','v1.k1.bm9uY2U.cmVmcmVzaA',3,'2026-11-22 09:00:00.000000+00:00','2026-11-24 09:00:00.000000+00:00','2026-11-14 09:00:00.000000+00:00','2026-11-22 09:00:00.000000+00:00','["contacts"]',0,'5d41');
INSERT INTO "credential" VALUES('coda',NULL,NULL,3,'2026-11-22 09:00:00.000000+00:00','2026-11-24 09:00:00.000000+00:00','2026-11-14 09:00:00.000000+00:00','2026-11-22 09:00:00.000000+00:00','null',0,NULL);
INSERT INTO "credential" VALUES('dent','v1.k1.bm9uY2U.YWNjZXN1','v1.k1.bm9uY2U.cmVmcmVzaA',3,'2026-11-22 09:00:00.000000+00:00','2026-11-24 09:00:00.000000+00:00','2026-11-14 09:00:00.000000+00:00','2026-11-22 09:00:00.000000+00:00','["contacts"]',0,'5d41');
CREATE TABLE duty (
	name TEXT NOT NULL, 
	holder TEXT NOT NULL, 
	until TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "duty" VALUES('fleet','host-1-abc','2026-11-23 09:00:00.000000+00:00');
CREATE TABLE history (
	id INTEGER NOT NULL, 
	connection TEXT NOT NULL, 
	at TEXT NOT NULL, 
	state TEXT NOT NULL, 
	cause TEXT NOT NULL, 
	owner TEXT NOT NULL, 
	confidence FLOAT NOT NULL, 
	rule TEXT NOT NULL, 
	scope TEXT, 
	reasons JSON NOT NULL, 
	evidence JSON NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(connection) REFERENCES connection (id) ON DELETE CASCADE
);
INSERT INTO "history" VALUES(1,'bolt','2026-11-22 09:00:00.000000+00:00','broken','revoked','client',0.9,'clio.revoked',NULL,'["It was so."]','[{"step": "whoami", "status": 401, "seconds": 0.1}]');
CREATE TABLE incident (
	id INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	name TEXT NOT NULL, 
	cause TEXT NOT NULL, 
	owner TEXT NOT NULL, 
	guard BOOLEAN NOT NULL, 
	reasons JSON NOT NULL, 
	opened_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	closed_at TEXT, 
	parent_id INTEGER, 
	PRIMARY KEY (id), 
	FOREIGN KEY(parent_id) REFERENCES incident (id)
);
INSERT INTO "incident" VALUES(1,'provider','clio','revoked','client',1,'["It was so."]','2026-11-22 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00',NULL,NULL);
INSERT INTO "incident" VALUES(2,'connection','bolt','revoked','client',0,'["It was so."]','2026-11-22 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00',NULL,1);
CREATE TABLE key_check (
	key_id TEXT NOT NULL, 
	sealed TEXT NOT NULL, 
	PRIMARY KEY (key_id)
);
INSERT INTO "key_check" VALUES('k1','v1.k1.bm9uY2U.Y2hlY2s');
CREATE TABLE probe_count (
	connection TEXT NOT NULL, 
	bucket BIGINT NOT NULL, 
	cause TEXT NOT NULL, 
	probes INTEGER NOT NULL, 
	seconds FLOAT NOT NULL, 
	PRIMARY KEY (connection, bucket, cause), 
	FOREIGN KEY(connection) REFERENCES connection (id) ON DELETE CASCADE
);
INSERT INTO "probe_count" VALUES('acme',1795392000,'ok',288,28.8);
CREATE TABLE process (
	id TEXT NOT NULL, 
	role TEXT NOT NULL, 
	version TEXT NOT NULL, 
	started_at TEXT NOT NULL, 
	beat_at TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "process" VALUES('host-1-abc','all','0.1.0','2026-11-22 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00');
CREATE TABLE refresh_journal (
	id INTEGER NOT NULL, 
	connection TEXT NOT NULL, 
	process TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	begun_at TEXT NOT NULL, 
	ended_at TEXT, 
	outcome TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(connection) REFERENCES connection (id) ON DELETE CASCADE
);
INSERT INTO "refresh_journal" VALUES(1,'acme','host-1-abc',2,'2026-11-22 09:00:00.000000+00:00','2026-11-22 09:00:00.000000+00:00','stored');
INSERT INTO "refresh_journal" VALUES(2,'acme','host-1-abc',3,'2026-11-23 09:00:00.000000+00:00',NULL,'open');
CREATE TABLE watch (
	connection TEXT NOT NULL, 
	app TEXT NOT NULL, 
	provider TEXT NOT NULL, 
	region TEXT NOT NULL, 
	state TEXT NOT NULL, 
	since TEXT, 
	cause TEXT NOT NULL, 
	owner TEXT NOT NULL, 
	confidence FLOAT NOT NULL, 
	rule TEXT NOT NULL, 
	candidate TEXT NOT NULL, 
	streak INTEGER NOT NULL, 
	streak_since TEXT, 
	bad_since TEXT, 
	good_streak INTEGER NOT NULL, 
	flaps FLOAT NOT NULL, 
	flaps_at TEXT, 
	last_probe_at TEXT, 
	last_success_at TEXT, 
	next_probe_at TEXT, 
	lease_by TEXT, 
	lease_until TEXT, 
	lease_epoch INTEGER NOT NULL, 
	scope_cursor INTEGER NOT NULL, 
	scope_checked_at TEXT, 
	scopes_all BOOLEAN NOT NULL, 
	reads JSON NOT NULL, 
	PRIMARY KEY (connection), 
	CONSTRAINT watch_state CHECK (state IN ('pending', 'healthy', 'suspect', 'broken', 'paused')), 
	FOREIGN KEY(connection) REFERENCES connection (id) ON DELETE CASCADE
);
INSERT INTO "watch" VALUES('acme','clio-us','clio','us','healthy','2026-11-22 09:00:00.000000+00:00','ok','nobody',0.9,'ok','ok',0,NULL,NULL,0,0.5,'2026-11-22 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00','2026-11-22 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00','host-1-abc','2026-11-23 09:00:00.000000+00:00',7,1,'2026-11-23 09:00:00.000000+00:00',0,'{"contacts": "2026-11-22T09:00:00+00:00"}');
INSERT INTO "watch" VALUES('bolt','clio-us','clio','us','broken','2026-11-22 09:00:00.000000+00:00','revoked','client',0.9,'clio.revoked','revoked',3,'2026-11-22 09:00:00.000000+00:00','2026-11-22 09:00:00.000000+00:00',0,0.5,'2026-11-22 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00','2026-11-22 09:00:00.000000+00:00','2026-11-24 09:00:00.000000+00:00','host-1-abc','2026-11-24 09:00:00.000000+00:00',7,1,'2026-11-23 09:00:00.000000+00:00',0,'{"contacts": "2026-11-22T09:00:00+00:00"}');
INSERT INTO "watch" VALUES('coda','clio-us','clio','us','pending','2026-11-22 09:00:00.000000+00:00','ok','nobody',0.9,'','ok',0,NULL,NULL,0,0.5,'2026-11-22 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00','2026-11-22 09:00:00.000000+00:00',NULL,NULL,NULL,7,1,'2026-11-23 09:00:00.000000+00:00',0,'{"contacts": "2026-11-22T09:00:00+00:00"}');
INSERT INTO "watch" VALUES('dent','clio-us','clio','us','paused','2026-11-22 09:00:00.000000+00:00','ok','nobody',0.9,'ok','ok',0,NULL,NULL,0,0.5,'2026-11-22 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00','2026-11-22 09:00:00.000000+00:00',NULL,NULL,NULL,7,1,'2026-11-23 09:00:00.000000+00:00',0,'{"contacts": "2026-11-22T09:00:00+00:00"}');
CREATE UNIQUE INDEX incident_one_open ON incident (kind, name) WHERE closed_at IS NULL;
CREATE INDEX ix_incident_parent_id ON incident (parent_id);
CREATE INDEX history_at ON history (at);
CREATE INDEX history_connection ON history (connection, id);
CREATE INDEX refresh_journal_connection ON refresh_journal (connection, id);
CREATE UNIQUE INDEX refresh_journal_single_flight ON refresh_journal (connection) WHERE ended_at IS NULL;
CREATE INDEX watch_bad ON watch (bad_since) WHERE bad_since IS NOT NULL;
CREATE INDEX watch_due ON watch (app, next_probe_at);
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
COMMIT;
