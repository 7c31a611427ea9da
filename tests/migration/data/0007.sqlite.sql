BEGIN TRANSACTION;
CREATE TABLE address (
	address TEXT NOT NULL, 
	refused_at TEXT NOT NULL, 
	answer TEXT NOT NULL, 
	PRIMARY KEY (address)
);
INSERT INTO "address" VALUES('gone@mueller.example','2026-11-23 09:00:00.000000+00:00','550 no such user');
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0007');
CREATE TABLE api_key (
	id TEXT NOT NULL, 
	handle TEXT NOT NULL, 
	name TEXT NOT NULL, 
	hash TEXT NOT NULL, 
	old_hash TEXT, 
	old_until TEXT, 
	scopes JSON NOT NULL, 
	only JSON, 
	made_by TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	expires_at TEXT NOT NULL, 
	last_used_at TEXT, 
	revoked_at TEXT, 
	exposed_at TEXT, 
	told_days INTEGER, 
	networks JSON, 
	revision INTEGER DEFAULT '1' NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (handle)
);
INSERT INTO "api_key" VALUES('key_1','abc','middleware','hash of a key',NULL,NULL,'["tokens:read"]','{"apps": ["clio-us"]}','cli:ann','2026-11-22 09:00:00.000000+00:00','2027-02-21 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00',NULL,NULL,30,'["10.0.0.0/24"]',2);
CREATE TABLE app_check (
	app TEXT NOT NULL, 
	door TEXT NOT NULL, 
	at TEXT NOT NULL, 
	outcome TEXT NOT NULL, 
	says TEXT DEFAULT '' NOT NULL, 
	rule TEXT DEFAULT '' NOT NULL, 
	refusals INTEGER DEFAULT '0' NOT NULL, 
	since TEXT, 
	well_at TEXT, 
	next_at TEXT NOT NULL, 
	PRIMARY KEY (app, door)
);
INSERT INTO "app_check" VALUES('clio-us','authorize','2026-11-23 09:00:00.000000+00:00','refused','redirect_uri','clio.redirect',2,'2026-11-22 09:00:00.000000+00:00','2026-11-22 09:00:00.000000+00:00','2026-11-24 09:00:00.000000+00:00');
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
CREATE TABLE campaign (
	id TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	chosen JSON NOT NULL, 
	pace INTEGER NOT NULL, 
	until DATE NOT NULL, 
	phase TEXT NOT NULL, 
	why TEXT DEFAULT '' NOT NULL, 
	halted BOOLEAN DEFAULT 0 NOT NULL, 
	created_at TEXT NOT NULL, 
	created_by TEXT NOT NULL, 
	changed_at TEXT NOT NULL, 
	changed_by TEXT NOT NULL, 
	resumed_at TEXT, 
	PRIMARY KEY (id)
);
INSERT INTO "campaign" VALUES('cmp_1','one more scope','{"apps": ["clio-us"]}',10,'2026-12-02','running','',0,'2026-11-22 09:00:00.000000+00:00','cli:ann','2026-11-23 09:00:00.000000+00:00','cli:ann',NULL);
CREATE TABLE campaign_member (
	campaign TEXT NOT NULL, 
	connection TEXT NOT NULL, 
	standing BOOLEAN NOT NULL, 
	wave INTEGER, 
	chosen_at TEXT, 
	invited_at TEXT, 
	opened_at TEXT, 
	approved_at TEXT, 
	mishap TEXT DEFAULT '' NOT NULL, 
	mishap_at TEXT, 
	left_at TEXT, 
	PRIMARY KEY (campaign, connection), 
	FOREIGN KEY(campaign) REFERENCES campaign (id) ON DELETE CASCADE
);
INSERT INTO "campaign_member" VALUES('cmp_1','acme',1,1,'2026-11-22 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00',NULL,NULL,'',NULL,NULL);
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
	updated_at TEXT NOT NULL, custody TEXT DEFAULT 'managed' NOT NULL, handout BOOLEAN DEFAULT 1 NOT NULL, revision INTEGER DEFAULT '1' NOT NULL, claimed_by TEXT, claimed_until TEXT, claimed_incident INTEGER, provider_values JSON DEFAULT '{}' NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "connection" VALUES('acme','clio-us','clio','us','Acme ''LLP''','["it@mueller.example"]','de','Europe/Berlin','["contacts", "matters"]','1','Acme ''LLP''','{"tier": "gold"}','2026-11-14 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00','managed',1,1,NULL,NULL,NULL,'{}');
INSERT INTO "connection" VALUES('bolt','clio-us','clio','us','Müller & Söhne','["it@mueller.example"]','de','Europe/Berlin','["contacts", "matters"]','2','Müller & Söhne','{"tier": "gold"}','2026-11-14 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00','managed',1,1,NULL,NULL,NULL,'{}');
INSERT INTO "connection" VALUES('coda','clio-us','clio','us','Coda','["it@mueller.example"]','de','Europe/Berlin','["contacts", "matters"]',NULL,'Coda','{"tier": "gold"}','2026-11-14 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00','managed',1,1,NULL,NULL,NULL,'{}');
INSERT INTO "connection" VALUES('dent','clio-us','clio','us','Dent','["it@mueller.example"]','de','Europe/Berlin','["contacts", "matters"]','4','Dent','{"tier": "gold"}','2026-11-14 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00','managed',1,1,NULL,NULL,NULL,'{}');
CREATE TABLE consent (
	id INTEGER NOT NULL, 
	state_hash TEXT NOT NULL, 
	browser_hash TEXT NOT NULL, 
	link INTEGER NOT NULL, 
	connection TEXT NOT NULL, 
	app TEXT NOT NULL, 
	redirect_uri TEXT NOT NULL, 
	verifier TEXT, 
	begun_at TEXT NOT NULL, 
	expires_at TEXT NOT NULL, 
	spent_at TEXT, 
	outcome TEXT NOT NULL, 
	account_id TEXT, 
	account_name TEXT, 
	leftover TEXT, 
	PRIMARY KEY (id), 
	FOREIGN KEY(link) REFERENCES link (id) ON DELETE CASCADE, 
	UNIQUE (state_hash)
);
INSERT INTO "consent" VALUES(1,'hash of a state','hash of a browser',1,'bolt','clio-us','https://x.example/oauth/callback','v1.k1.bm9uY2U.dg','2026-11-23 09:00:00.000000+00:00','2026-11-24 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00','wrong_account','9','Other','v1.k1.bm9uY2U.bGVmdA');
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
	imported TEXT, doubt_since TEXT, doubt_tried_at TEXT, expiry_assumed BOOLEAN DEFAULT 0 NOT NULL, refused_version INTEGER, demand_after TEXT, refresh_expires_at TEXT, grant_ends_at TEXT, authorized_by TEXT, 
	PRIMARY KEY (connection), 
	FOREIGN KEY(connection) REFERENCES connection (id) ON DELETE CASCADE
);
INSERT INTO "credential" VALUES('acme','v1.k1.bm9uY2U.YWNjZXNz','v1.k1.bm9uY2U.cmVmcmVzaA',3,'2026-11-22 09:00:00.000000+00:00','2026-11-24 09:00:00.000000+00:00','2026-11-14 09:00:00.000000+00:00','2026-11-22 09:00:00.000000+00:00','["contacts"]',0,'5d41',NULL,NULL,0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "credential" VALUES('bolt','v1.k1.bm9uY2U.YWNjZXN0','v1.k1.bm9uY2U.cmVmcmVzaA',3,'2026-11-22 09:00:00.000000+00:00','2026-11-24 09:00:00.000000+00:00','2026-11-14 09:00:00.000000+00:00','2026-11-22 09:00:00.000000+00:00','["contacts"]',0,'5d41',NULL,NULL,0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "credential" VALUES('coda',NULL,NULL,3,'2026-11-22 09:00:00.000000+00:00','2026-11-24 09:00:00.000000+00:00','2026-11-14 09:00:00.000000+00:00','2026-11-22 09:00:00.000000+00:00','null',0,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "credential" VALUES('dent','v1.k1.bm9uY2U.YWNjZXN1','v1.k1.bm9uY2U.cmVmcmVzaA',3,'2026-11-22 09:00:00.000000+00:00','2026-11-24 09:00:00.000000+00:00','2026-11-14 09:00:00.000000+00:00','2026-11-22 09:00:00.000000+00:00','["contacts"]',0,'5d41',NULL,NULL,0,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE delivery (
	id INTEGER NOT NULL, 
	notice INTEGER NOT NULL, 
	address TEXT NOT NULL, 
	message_id TEXT NOT NULL, 
	state TEXT NOT NULL, 
	attempts INTEGER NOT NULL, 
	next_at TEXT NOT NULL, 
	lease_by TEXT, 
	lease_until TEXT, 
	answer TEXT NOT NULL, 
	settled_at TEXT, channel TEXT DEFAULT 'email' NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(notice) REFERENCES notice (id) ON DELETE CASCADE, 
	UNIQUE (message_id)
);
INSERT INTO "delivery" VALUES(1,1,'it@mueller.example','<th.1@x.example>','sent',1,'2026-11-23 09:00:00.000000+00:00',NULL,NULL,'250 OK','2026-11-23 09:00:00.000000+00:00','email');
INSERT INTO "delivery" VALUES(2,2,'it@mueller.example','<th.2@x.example>','waiting',1,'2026-11-23 09:00:00.000000+00:00',NULL,NULL,'250 OK','2026-11-23 09:00:00.000000+00:00','email');
CREATE TABLE duty (
	name TEXT NOT NULL, 
	holder TEXT NOT NULL, 
	until TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "duty" VALUES('fleet','host-1-abc','2026-11-23 09:00:00.000000+00:00');
CREATE TABLE event (
	id TEXT NOT NULL, 
	number BIGINT, 
	at TEXT NOT NULL, 
	type TEXT NOT NULL, 
	connection TEXT, 
	app TEXT, 
	labels JSON, 
	sequence BIGINT, 
	data JSON NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (number)
);
INSERT INTO "event" VALUES('evt_1',1,'2026-11-23 09:00:00.000000+00:00','connection.broken','bolt','clio-us','{"tier": "gold"}',1,'{"connection": "bolt", "says": "\u00fc"}');
CREATE TABLE fuse (
	name TEXT NOT NULL, 
	blown_at TEXT, 
	wanted INTEGER NOT NULL, 
	released_until TEXT, 
	PRIMARY KEY (name)
);
INSERT INTO "fuse" VALUES('first mails','2026-11-23 09:00:00.000000+00:00',40,NULL);
CREATE TABLE held_grant (
	connection TEXT NOT NULL, 
	why TEXT NOT NULL, 
	account_id TEXT NOT NULL, 
	account_name TEXT, 
	user TEXT, 
	consent INTEGER, 
	held_at TEXT NOT NULL, 
	access TEXT NOT NULL, 
	refresh TEXT, 
	issued_at TEXT, 
	access_expires_at TEXT, 
	granted JSON, expiry_assumed BOOLEAN DEFAULT 0 NOT NULL, refresh_expires_at TEXT, grant_ends_at TEXT, provider_values JSON DEFAULT '{}' NOT NULL, accounts JSON DEFAULT '[]' NOT NULL, 
	PRIMARY KEY (connection), 
	FOREIGN KEY(connection) REFERENCES connection (id) ON DELETE CASCADE
);
INSERT INTO "held_grant" VALUES('coda','asked','3','Coda','k@coda.example',NULL,'2026-11-23 09:00:00.000000+00:00','v2.k1.bm9uY2U.Y2VsbA',NULL,'2026-11-23 09:00:00.000000+00:00','2026-11-24 09:00:00.000000+00:00','["contacts"]',0,NULL,NULL,'{}','[]');
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
CREATE TABLE idempotency (
	id TEXT NOT NULL, 
	request TEXT NOT NULL, 
	at TEXT NOT NULL, 
	running_until TEXT, 
	status INTEGER, 
	answer TEXT, 
	PRIMARY KEY (id)
);
INSERT INTO "idempotency" VALUES('hash of a key','hash of a request','2026-11-23 09:00:00.000000+00:00',NULL,200,'v1.k1.bm9uY2U.e30');
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
	parent_id INTEGER, mails TEXT DEFAULT '' NOT NULL, turned_at TEXT, told_at TEXT, begun_at TEXT, joined_at TEXT, sent_at TEXT, spoken_at TEXT, ended TEXT DEFAULT '' NOT NULL, waits TEXT DEFAULT '' NOT NULL, sent INTEGER DEFAULT '0' NOT NULL, total INTEGER DEFAULT '0' NOT NULL, tried INTEGER DEFAULT '0' NOT NULL, wave BOOLEAN DEFAULT 0 NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(parent_id) REFERENCES incident (id)
);
INSERT INTO "incident" VALUES(1,'provider','clio','revoked','client',1,'["It was so."]','2026-11-22 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00',NULL,NULL,'',NULL,NULL,NULL,NULL,NULL,NULL,'','',0,0,0,0);
INSERT INTO "incident" VALUES(2,'connection','bolt','revoked','client',0,'["It was so."]','2026-11-22 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00',NULL,1,'',NULL,NULL,NULL,NULL,NULL,NULL,'','',0,0,0,0);
CREATE TABLE job (
	id TEXT NOT NULL, 
	principal TEXT NOT NULL, 
	actor JSON NOT NULL, 
	action TEXT NOT NULL, 
	options JSON NOT NULL, 
	ids JSON NOT NULL, 
	done INTEGER DEFAULT '0' NOT NULL, 
	failed JSON NOT NULL, 
	state TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	ended_at TEXT, 
	lease_by TEXT, 
	lease_until TEXT, 
	PRIMARY KEY (id)
);
INSERT INTO "job" VALUES('job_1','key:key_1','{"name": "key:key_1"}','pause','{}','["acme", "bolt"]',1,'{}','done','2026-11-22 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00',NULL,NULL);
CREATE TABLE key_check (
	key_id TEXT NOT NULL, 
	sealed TEXT NOT NULL, added_at TEXT, 
	PRIMARY KEY (key_id)
);
INSERT INTO "key_check" VALUES('k1','v1.k1.bm9uY2U.Y2hlY2s',NULL);
CREATE TABLE link (
	id INTEGER NOT NULL, 
	hash TEXT NOT NULL, 
	connection TEXT NOT NULL, 
	incident INTEGER, 
	locale TEXT NOT NULL, 
	cause TEXT NOT NULL, 
	always BOOLEAN NOT NULL, 
	made_at TEXT NOT NULL, 
	expires_at TEXT NOT NULL, 
	opened_at TEXT, 
	started_at TEXT, 
	used_at TEXT, sealed TEXT, 
	PRIMARY KEY (id), 
	FOREIGN KEY(connection) REFERENCES connection (id) ON DELETE CASCADE, 
	UNIQUE (hash)
);
INSERT INTO "link" VALUES(1,'hash of bolt','bolt',2,'de','revoked',0,'2026-11-22 09:00:00.000000+00:00','2026-11-24 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00',NULL,NULL);
INSERT INTO "link" VALUES(2,'hash of dent','dent',2,'de','revoked',0,'2026-11-22 09:00:00.000000+00:00','2026-11-24 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00',NULL,NULL);
CREATE TABLE mail_server (
	name TEXT NOT NULL, 
	down_since TEXT, 
	answer TEXT NOT NULL, 
	utf8 BOOLEAN, 
	PRIMARY KEY (name)
);
INSERT INTO "mail_server" VALUES('mail.x.example:25','2026-11-23 09:00:00.000000+00:00','421 busy',1);
CREATE TABLE notice (
	id INTEGER NOT NULL, 
	slot TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	client TEXT NOT NULL, 
	audience TEXT NOT NULL, 
	locale TEXT NOT NULL, 
	timezone TEXT NOT NULL, 
	recipients JSON NOT NULL, 
	number INTEGER NOT NULL, 
	reason TEXT NOT NULL, 
	requested_by TEXT, 
	state TEXT NOT NULL, 
	outcome TEXT NOT NULL, 
	planned_at TEXT NOT NULL, 
	due_at TEXT NOT NULL, 
	look_at TEXT, 
	settled_at TEXT, matter JSON, 
	PRIMARY KEY (id)
);
INSERT INTO "notice" VALUES(1,'ask','revoked','Müller & Söhne','4f2a','de','Europe/Berlin','["it@mueller.example"]',0,'confirmed broken, and the client can mend it',NULL,'sent','','2026-11-22 09:00:00.000000+00:00','2026-11-22 09:00:00.000000+00:00',NULL,'2026-11-22 09:00:00.000000+00:00','null');
INSERT INTO "notice" VALUES(2,'reminder','reminder','Müller & Söhne','4f2a','de','Europe/Berlin','["it@mueller.example"]',0,'confirmed broken, and the client can mend it','cli:ann','waiting','','2026-11-22 09:00:00.000000+00:00','2026-11-24 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00',NULL,'{"summary": "clio is down"}');
CREATE TABLE notice_item (
	notice INTEGER NOT NULL, 
	connection TEXT NOT NULL, 
	incident INTEGER, 
	cause TEXT NOT NULL, 
	since TEXT, 
	PRIMARY KEY (notice, connection), 
	FOREIGN KEY(notice) REFERENCES notice (id) ON DELETE CASCADE
);
INSERT INTO "notice_item" VALUES(1,'bolt',2,'revoked','2026-11-22 09:00:00.000000+00:00');
INSERT INTO "notice_item" VALUES(2,'bolt',2,'revoked','2026-11-22 09:00:00.000000+00:00');
CREATE TABLE own_secret (
	name TEXT NOT NULL, 
	sealed TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "own_secret" VALUES('imports','v1.k1.bm9uY2U.Y2VsbA');
CREATE TABLE person (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	role TEXT NOT NULL, 
	password TEXT, 
	issuer TEXT, 
	subject TEXT, 
	created_at TEXT NOT NULL, 
	signed_in_at TEXT, 
	revision INTEGER DEFAULT '1' NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "person" VALUES('usr_1','ann','admin','$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA',NULL,NULL,'2026-11-22 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00',1);
CREATE TABLE "plan" (
	id TEXT NOT NULL, 
	principal TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	expires_at TEXT NOT NULL, 
	applied_at TEXT, 
	within TEXT DEFAULT '' NOT NULL, 
	rests_on JSON NOT NULL, 
	said JSON NOT NULL, 
	records TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "plan" VALUES('plan_1','cli:ann','2026-11-23 09:00:00.000000+00:00','2026-11-24 09:00:00.000000+00:00',NULL,'','{"acme": 1}','{"added": 0}','v1.k1.bm9uY2U.W10');
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
	beat_at TEXT NOT NULL, blocked JSON DEFAULT '{}' NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "process" VALUES('host-1-abc','all','0.1.0','2026-11-22 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00','{}');
CREATE TABLE refresh_journal (
	id INTEGER NOT NULL, 
	connection TEXT NOT NULL, 
	process TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	begun_at TEXT NOT NULL, 
	ended_at TEXT, 
	outcome TEXT NOT NULL, evidence JSON, 
	PRIMARY KEY (id), 
	FOREIGN KEY(connection) REFERENCES connection (id) ON DELETE CASCADE
);
INSERT INTO "refresh_journal" VALUES(1,'acme','host-1-abc',2,'2026-11-22 09:00:00.000000+00:00','2026-11-22 09:00:00.000000+00:00','stored',NULL);
INSERT INTO "refresh_journal" VALUES(2,'acme','host-1-abc',3,'2026-11-23 09:00:00.000000+00:00',NULL,'open',NULL);
CREATE TABLE session (
	hash TEXT NOT NULL, 
	person TEXT NOT NULL, 
	role TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	seen_at TEXT NOT NULL, 
	expires_at TEXT NOT NULL, 
	PRIMARY KEY (hash), 
	FOREIGN KEY(person) REFERENCES person (id) ON DELETE CASCADE
);
INSERT INTO "session" VALUES('hash of a session','usr_1','admin','2026-11-23 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00','2026-11-24 09:00:00.000000+00:00');
CREATE TABLE sign_in_attempt (
	id INTEGER NOT NULL, 
	at TEXT NOT NULL, 
	name TEXT NOT NULL, 
	address TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "sign_in_attempt" VALUES(1,'2026-11-23 09:00:00.000000+00:00','ann','192.0.2.7');
CREATE TABLE sign_in_trip (
	state TEXT NOT NULL, 
	browser TEXT NOT NULL, 
	target TEXT NOT NULL, 
	expires_at TEXT NOT NULL, 
	PRIMARY KEY (state)
);
INSERT INTO "sign_in_trip" VALUES('hash of a state','hash of a browser','/?q=ü','2026-11-24 09:00:00.000000+00:00');
CREATE TABLE signal (
	id TEXT NOT NULL, 
	connection TEXT NOT NULL, 
	received_at TEXT NOT NULL, 
	at TEXT, 
	"key" TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	generation INTEGER, 
	asked TEXT DEFAULT '' NOT NULL, 
	scope TEXT, 
	status INTEGER, 
	headers JSON, 
	says TEXT DEFAULT '' NOT NULL, 
	effect TEXT NOT NULL, 
	why TEXT DEFAULT '' NOT NULL, 
	times INTEGER DEFAULT '1' NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(connection) REFERENCES connection (id) ON DELETE CASCADE
);
INSERT INTO "signal" VALUES('sig_1','bolt','2026-11-23 09:00:00.000000+00:00','2026-11-22 09:00:00.000000+00:00','key_1','unauthorized',1,'/api/v4/matters.json','matters',401,'{}','','probe_now','',2);
CREATE TABLE silence (
	id INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	name TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	"by" TEXT NOT NULL, 
	begun_at TEXT NOT NULL, 
	until TEXT, 
	ended_at TEXT, pauses BOOLEAN DEFAULT 0 NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "silence" VALUES(1,'provider','clio','a move','cli:ann','2026-11-23 09:00:00.000000+00:00','2026-11-24 09:00:00.000000+00:00',NULL,1);
CREATE TABLE token_use (
	"key" TEXT NOT NULL, 
	connection TEXT NOT NULL, 
	hour BIGINT NOT NULL, 
	count INTEGER NOT NULL, 
	first_at TEXT NOT NULL, 
	last_at TEXT NOT NULL, 
	generation INTEGER NOT NULL, 
	PRIMARY KEY ("key", connection, hour)
);
INSERT INTO "token_use" VALUES('key_1','acme',1795392000,9,'2026-11-22 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00',3);
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
	reads JSON NOT NULL, last_seconds FLOAT, rests TEXT, judged_by TEXT, others_asked_at TEXT, brought_at TEXT, spared BOOLEAN DEFAULT 0 NOT NULL, sequence INTEGER DEFAULT '0' NOT NULL, 
	PRIMARY KEY (connection), 
	CONSTRAINT watch_state CHECK (state IN ('pending', 'healthy', 'suspect', 'broken', 'paused')), 
	FOREIGN KEY(connection) REFERENCES connection (id) ON DELETE CASCADE
);
INSERT INTO "watch" VALUES('acme','clio-us','clio','us','healthy','2026-11-22 09:00:00.000000+00:00','ok','nobody',0.9,'ok','ok',0,NULL,NULL,0,0.5,'2026-11-22 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00','2026-11-22 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00','host-1-abc','2026-11-23 09:00:00.000000+00:00',7,1,'2026-11-23 09:00:00.000000+00:00',0,'{"contacts": "2026-11-22T09:00:00+00:00"}',0.25,NULL,NULL,NULL,NULL,0,0);
INSERT INTO "watch" VALUES('bolt','clio-us','clio','us','broken','2026-11-22 09:00:00.000000+00:00','revoked','client',0.9,'clio.revoked','revoked',3,'2026-11-22 09:00:00.000000+00:00','2026-11-22 09:00:00.000000+00:00',0,0.5,'2026-11-22 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00','2026-11-22 09:00:00.000000+00:00','2026-11-24 09:00:00.000000+00:00','host-1-abc','2026-11-24 09:00:00.000000+00:00',7,1,'2026-11-23 09:00:00.000000+00:00',0,'{"contacts": "2026-11-22T09:00:00+00:00"}',0.25,NULL,NULL,NULL,NULL,0,0);
INSERT INTO "watch" VALUES('coda','clio-us','clio','us','pending','2026-11-22 09:00:00.000000+00:00','ok','nobody',0.9,'','ok',0,NULL,NULL,0,0.5,'2026-11-22 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00','2026-11-22 09:00:00.000000+00:00',NULL,NULL,NULL,7,1,'2026-11-23 09:00:00.000000+00:00',0,'{"contacts": "2026-11-22T09:00:00+00:00"}',0.25,NULL,NULL,NULL,NULL,0,0);
INSERT INTO "watch" VALUES('dent','clio-us','clio','us','paused','2026-11-22 09:00:00.000000+00:00','ok','nobody',0.9,'ok','ok',0,NULL,NULL,0,0.5,'2026-11-22 09:00:00.000000+00:00','2026-11-23 09:00:00.000000+00:00','2026-11-22 09:00:00.000000+00:00',NULL,NULL,NULL,7,1,'2026-11-23 09:00:00.000000+00:00',0,'{"contacts": "2026-11-22T09:00:00+00:00"}',0.25,'provider clio',NULL,NULL,NULL,0,0);
CREATE TABLE webhook (
	id TEXT NOT NULL, 
	url TEXT NOT NULL, 
	events JSON NOT NULL, 
	only JSON, 
	secret TEXT, 
	old_secret TEXT, 
	old_until TEXT, 
	state TEXT NOT NULL, 
	failing_since TEXT, 
	made_by TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	revision INTEGER DEFAULT '1' NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "webhook" VALUES('wh_1','https://mw.example/hooks','["*"]','null','v1.k1.bm9uY2U.c2VjcmV0',NULL,NULL,'active',NULL,'cli:ann','2026-11-22 09:00:00.000000+00:00',1);
CREATE INDEX ix_incident_parent_id ON incident (parent_id);
CREATE INDEX history_at ON history (at);
CREATE INDEX history_connection ON history (connection, id);
CREATE INDEX refresh_journal_connection ON refresh_journal (connection, id);
CREATE UNIQUE INDEX refresh_journal_single_flight ON refresh_journal (connection) WHERE ended_at IS NULL;
CREATE INDEX watch_bad ON watch (bad_since) WHERE bad_since IS NOT NULL;
CREATE INDEX watch_due ON watch (app, next_probe_at);
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE INDEX notice_client ON notice (client);
CREATE INDEX notice_due ON notice (due_at) WHERE state = 'waiting';
CREATE UNIQUE INDEX notice_one_waiting ON notice (audience, slot) WHERE state = 'waiting' AND requested_by IS NULL;
CREATE INDEX delivery_notice ON delivery (notice);
CREATE INDEX delivery_open ON delivery (next_at) WHERE state IN ('waiting', 'sending', 'handed');
CREATE INDEX ix_link_connection ON link (connection);
CREATE INDEX notice_item_connection ON notice_item (connection);
CREATE INDEX ix_consent_connection ON consent (connection);
CREATE INDEX ix_connection_client_name ON connection (client_name);
CREATE INDEX notice_audience ON notice (audience, slot);
CREATE INDEX credential_in_doubt ON credential (doubt_since) WHERE doubt_since IS NOT NULL;
CREATE UNIQUE INDEX incident_one_open ON incident (kind, name, wave) WHERE closed_at IS NULL;
CREATE INDEX incident_turned ON incident (turned_at);
CREATE INDEX connection_account ON connection (account_id);
CREATE INDEX watch_sums ON watch (state, cause, owner, provider, app);
CREATE INDEX event_at ON event (at);
CREATE INDEX event_unnumbered ON event (at) WHERE number IS NULL;
CREATE INDEX idempotency_at ON idempotency (at);
CREATE INDEX job_created ON job (created_at);
CREATE INDEX job_running ON job (created_at) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX person_subject ON person (issuer, subject);
CREATE INDEX plan_expires ON "plan" (expires_at);
CREATE INDEX sign_in_attempt_address ON sign_in_attempt (address, at);
CREATE INDEX sign_in_attempt_name ON sign_in_attempt (name, at);
CREATE INDEX token_use_connection ON token_use (connection);
CREATE INDEX ix_session_person ON session (person);
CREATE INDEX signal_connection ON signal (connection, received_at);
CREATE INDEX signal_received ON signal (received_at);
CREATE INDEX credential_refresh_expires_at ON credential (refresh_expires_at, connection) WHERE refresh_expires_at IS NOT NULL;
CREATE INDEX credential_grant_ends_at ON credential (grant_ends_at, connection) WHERE grant_ends_at IS NOT NULL;
CREATE INDEX credential_access_expires_at ON credential (access_expires_at, connection);
CREATE INDEX credential_refresh_used_at ON credential (refresh_used_at, connection);
CREATE INDEX credential_authorized_at ON credential (authorized_at, connection);
CREATE UNIQUE INDEX campaign_member_standing ON campaign_member (connection) WHERE standing;
COMMIT;
