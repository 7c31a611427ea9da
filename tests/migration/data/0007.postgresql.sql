CREATE FUNCTION public.audit_append_only() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'the audit is append-only'; END $$;
CREATE TABLE public.address (
    address text NOT NULL,
    refused_at timestamp with time zone NOT NULL,
    answer text NOT NULL
);
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.api_key (
    id text NOT NULL,
    handle text NOT NULL,
    name text NOT NULL,
    hash text NOT NULL,
    old_hash text,
    old_until timestamp with time zone,
    scopes json NOT NULL,
    "only" json,
    made_by text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    last_used_at timestamp with time zone,
    revoked_at timestamp with time zone,
    exposed_at timestamp with time zone,
    told_days integer,
    networks json,
    revision integer DEFAULT 1 NOT NULL
);
CREATE TABLE public.app_check (
    app text NOT NULL,
    door text NOT NULL,
    at timestamp with time zone NOT NULL,
    outcome text NOT NULL,
    says text DEFAULT ''::text NOT NULL,
    rule text DEFAULT ''::text NOT NULL,
    refusals integer DEFAULT 0 NOT NULL,
    since timestamp with time zone,
    well_at timestamp with time zone,
    next_at timestamp with time zone NOT NULL
);
CREATE TABLE public.audit (
    id integer NOT NULL,
    at timestamp with time zone NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    detail json NOT NULL
);
CREATE SEQUENCE public.audit_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.audit_id_seq OWNED BY public.audit.id;
CREATE TABLE public.budget (
    app text NOT NULL,
    free_at timestamp with time zone NOT NULL
);
CREATE TABLE public.campaign (
    id text NOT NULL,
    reason text NOT NULL,
    chosen json NOT NULL,
    pace integer NOT NULL,
    until date NOT NULL,
    phase text NOT NULL,
    why text DEFAULT ''::text NOT NULL,
    halted boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone NOT NULL,
    created_by text NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    changed_by text NOT NULL,
    resumed_at timestamp with time zone
);
CREATE TABLE public.campaign_member (
    campaign text NOT NULL,
    connection text NOT NULL,
    standing boolean NOT NULL,
    wave integer,
    chosen_at timestamp with time zone,
    invited_at timestamp with time zone,
    opened_at timestamp with time zone,
    approved_at timestamp with time zone,
    mishap text DEFAULT ''::text NOT NULL,
    mishap_at timestamp with time zone,
    left_at timestamp with time zone
);
CREATE TABLE public.connection (
    id text NOT NULL,
    app text NOT NULL,
    provider text NOT NULL,
    region text NOT NULL,
    client_name text NOT NULL,
    contacts json NOT NULL,
    locale text NOT NULL,
    timezone text NOT NULL,
    scopes json NOT NULL,
    account_id text,
    account_name text,
    labels json NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    custody text DEFAULT 'managed'::text NOT NULL,
    handout boolean DEFAULT true NOT NULL,
    revision integer DEFAULT 1 NOT NULL,
    claimed_by text,
    claimed_until timestamp with time zone,
    claimed_incident integer,
    provider_values json DEFAULT '{}'::json NOT NULL
);
CREATE TABLE public.consent (
    id integer NOT NULL,
    state_hash text NOT NULL,
    browser_hash text NOT NULL,
    link integer NOT NULL,
    connection text NOT NULL,
    app text NOT NULL,
    redirect_uri text NOT NULL,
    verifier text,
    begun_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    spent_at timestamp with time zone,
    outcome text NOT NULL,
    account_id text,
    account_name text,
    leftover text
);
CREATE SEQUENCE public.consent_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.consent_id_seq OWNED BY public.consent.id;
CREATE TABLE public.credential (
    connection text NOT NULL,
    access text,
    refresh text,
    version integer NOT NULL,
    issued_at timestamp with time zone,
    access_expires_at timestamp with time zone,
    authorized_at timestamp with time zone,
    refresh_used_at timestamp with time zone,
    granted json,
    lost boolean NOT NULL,
    imported text,
    doubt_since timestamp with time zone,
    doubt_tried_at timestamp with time zone,
    expiry_assumed boolean DEFAULT false NOT NULL,
    refused_version integer,
    demand_after timestamp with time zone,
    refresh_expires_at timestamp with time zone,
    grant_ends_at timestamp with time zone,
    authorized_by text
);
CREATE TABLE public.delivery (
    id integer NOT NULL,
    notice integer NOT NULL,
    address text NOT NULL,
    message_id text NOT NULL,
    state text NOT NULL,
    attempts integer NOT NULL,
    next_at timestamp with time zone NOT NULL,
    lease_by text,
    lease_until timestamp with time zone,
    answer text NOT NULL,
    settled_at timestamp with time zone,
    channel text DEFAULT 'email'::text NOT NULL
);
CREATE SEQUENCE public.delivery_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.delivery_id_seq OWNED BY public.delivery.id;
CREATE TABLE public.duty (
    name text NOT NULL,
    holder text NOT NULL,
    until timestamp with time zone NOT NULL
);
CREATE TABLE public.event (
    id text NOT NULL,
    number bigint,
    at timestamp with time zone NOT NULL,
    type text NOT NULL,
    connection text,
    app text,
    labels json,
    sequence bigint,
    data json NOT NULL
);
CREATE TABLE public.fuse (
    name text NOT NULL,
    blown_at timestamp with time zone,
    wanted integer NOT NULL,
    released_until timestamp with time zone
);
CREATE TABLE public.held_grant (
    connection text NOT NULL,
    why text NOT NULL,
    account_id text NOT NULL,
    account_name text,
    "user" text,
    consent integer,
    held_at timestamp with time zone NOT NULL,
    access text NOT NULL,
    refresh text,
    issued_at timestamp with time zone,
    access_expires_at timestamp with time zone,
    granted json,
    expiry_assumed boolean DEFAULT false NOT NULL,
    refresh_expires_at timestamp with time zone,
    grant_ends_at timestamp with time zone,
    provider_values json DEFAULT '{}'::json NOT NULL,
    accounts json DEFAULT '[]'::json NOT NULL
);
CREATE TABLE public.history (
    id integer NOT NULL,
    connection text NOT NULL,
    at timestamp with time zone NOT NULL,
    state text NOT NULL,
    cause text NOT NULL,
    owner text NOT NULL,
    confidence double precision NOT NULL,
    rule text NOT NULL,
    scope text,
    reasons json NOT NULL,
    evidence json NOT NULL
);
CREATE SEQUENCE public.history_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.history_id_seq OWNED BY public.history.id;
CREATE TABLE public.idempotency (
    id text NOT NULL,
    request text NOT NULL,
    at timestamp with time zone NOT NULL,
    running_until timestamp with time zone,
    status integer,
    answer text
);
CREATE TABLE public.incident (
    id integer NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    cause text NOT NULL,
    owner text NOT NULL,
    guard boolean NOT NULL,
    reasons json NOT NULL,
    opened_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    closed_at timestamp with time zone,
    parent_id integer,
    mails text DEFAULT ''::text NOT NULL,
    turned_at timestamp with time zone,
    told_at timestamp with time zone,
    begun_at timestamp with time zone,
    joined_at timestamp with time zone,
    sent_at timestamp with time zone,
    spoken_at timestamp with time zone,
    ended text DEFAULT ''::text NOT NULL,
    waits text DEFAULT ''::text NOT NULL,
    sent integer DEFAULT 0 NOT NULL,
    total integer DEFAULT 0 NOT NULL,
    tried integer DEFAULT 0 NOT NULL,
    wave boolean DEFAULT false NOT NULL
);
CREATE SEQUENCE public.incident_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.incident_id_seq OWNED BY public.incident.id;
CREATE TABLE public.job (
    id text NOT NULL,
    principal text NOT NULL,
    actor json NOT NULL,
    action text NOT NULL,
    options json NOT NULL,
    ids json NOT NULL,
    done integer DEFAULT 0 NOT NULL,
    failed json NOT NULL,
    state text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    lease_by text,
    lease_until timestamp with time zone
);
CREATE TABLE public.key_check (
    key_id text NOT NULL,
    sealed text NOT NULL,
    added_at timestamp with time zone
);
CREATE TABLE public.link (
    id integer NOT NULL,
    hash text NOT NULL,
    connection text NOT NULL,
    incident integer,
    locale text NOT NULL,
    cause text NOT NULL,
    always boolean NOT NULL,
    made_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    opened_at timestamp with time zone,
    started_at timestamp with time zone,
    used_at timestamp with time zone,
    sealed text
);
CREATE SEQUENCE public.link_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.link_id_seq OWNED BY public.link.id;
CREATE TABLE public.mail_server (
    name text NOT NULL,
    down_since timestamp with time zone,
    answer text NOT NULL,
    utf8 boolean
);
CREATE TABLE public.notice (
    id integer NOT NULL,
    slot text NOT NULL,
    kind text NOT NULL,
    client text NOT NULL,
    audience text NOT NULL,
    locale text NOT NULL,
    timezone text NOT NULL,
    recipients json NOT NULL,
    number integer NOT NULL,
    reason text NOT NULL,
    requested_by text,
    state text NOT NULL,
    outcome text NOT NULL,
    planned_at timestamp with time zone NOT NULL,
    due_at timestamp with time zone NOT NULL,
    look_at timestamp with time zone,
    settled_at timestamp with time zone,
    matter json
);
CREATE SEQUENCE public.notice_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.notice_id_seq OWNED BY public.notice.id;
CREATE TABLE public.notice_item (
    notice integer NOT NULL,
    connection text NOT NULL,
    incident integer,
    cause text NOT NULL,
    since timestamp with time zone
);
CREATE TABLE public.own_secret (
    name text NOT NULL,
    sealed text NOT NULL
);
CREATE TABLE public.person (
    id text NOT NULL,
    name text NOT NULL,
    role text NOT NULL,
    password text,
    issuer text,
    subject text,
    created_at timestamp with time zone NOT NULL,
    signed_in_at timestamp with time zone,
    revision integer DEFAULT 1 NOT NULL
);
CREATE TABLE public.plan (
    id text NOT NULL,
    principal text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    applied_at timestamp with time zone,
    within text DEFAULT ''::text NOT NULL,
    rests_on json NOT NULL,
    said json NOT NULL,
    records text NOT NULL
);
CREATE TABLE public.probe_count (
    connection text NOT NULL,
    bucket bigint NOT NULL,
    cause text NOT NULL,
    probes integer NOT NULL,
    seconds double precision NOT NULL
);
CREATE TABLE public.process (
    id text NOT NULL,
    role text NOT NULL,
    version text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    beat_at timestamp with time zone NOT NULL,
    blocked json DEFAULT '{}'::json NOT NULL
);
CREATE TABLE public.refresh_journal (
    id integer NOT NULL,
    connection text NOT NULL,
    process text NOT NULL,
    version integer NOT NULL,
    begun_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    outcome text NOT NULL,
    evidence json
);
CREATE SEQUENCE public.refresh_journal_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.refresh_journal_id_seq OWNED BY public.refresh_journal.id;
CREATE TABLE public.session (
    hash text NOT NULL,
    person text NOT NULL,
    role text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    seen_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL
);
CREATE TABLE public.sign_in_attempt (
    id integer NOT NULL,
    at timestamp with time zone NOT NULL,
    name text NOT NULL,
    address text NOT NULL
);
CREATE SEQUENCE public.sign_in_attempt_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.sign_in_attempt_id_seq OWNED BY public.sign_in_attempt.id;
CREATE TABLE public.sign_in_trip (
    state text NOT NULL,
    browser text NOT NULL,
    target text NOT NULL,
    expires_at timestamp with time zone NOT NULL
);
CREATE TABLE public.signal (
    id text NOT NULL,
    connection text NOT NULL,
    received_at timestamp with time zone NOT NULL,
    at timestamp with time zone,
    key text NOT NULL,
    kind text NOT NULL,
    generation integer,
    asked text DEFAULT ''::text NOT NULL,
    scope text,
    status integer,
    headers json,
    says text DEFAULT ''::text NOT NULL,
    effect text NOT NULL,
    why text DEFAULT ''::text NOT NULL,
    times integer DEFAULT 1 NOT NULL
);
CREATE TABLE public.silence (
    id integer NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    reason text NOT NULL,
    by text NOT NULL,
    begun_at timestamp with time zone NOT NULL,
    until timestamp with time zone,
    ended_at timestamp with time zone,
    pauses boolean DEFAULT false NOT NULL
);
CREATE SEQUENCE public.silence_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.silence_id_seq OWNED BY public.silence.id;
CREATE TABLE public.token_use (
    key text NOT NULL,
    connection text NOT NULL,
    hour bigint NOT NULL,
    count integer NOT NULL,
    first_at timestamp with time zone NOT NULL,
    last_at timestamp with time zone NOT NULL,
    generation integer NOT NULL
);
CREATE TABLE public.watch (
    connection text NOT NULL,
    app text NOT NULL,
    provider text NOT NULL,
    region text NOT NULL,
    state text NOT NULL,
    since timestamp with time zone,
    cause text NOT NULL,
    owner text NOT NULL,
    confidence double precision NOT NULL,
    rule text NOT NULL,
    candidate text NOT NULL,
    streak integer NOT NULL,
    streak_since timestamp with time zone,
    bad_since timestamp with time zone,
    good_streak integer NOT NULL,
    flaps double precision NOT NULL,
    flaps_at timestamp with time zone,
    last_probe_at timestamp with time zone,
    last_success_at timestamp with time zone,
    next_probe_at timestamp with time zone,
    lease_by text,
    lease_until timestamp with time zone,
    lease_epoch integer NOT NULL,
    scope_cursor integer NOT NULL,
    scope_checked_at timestamp with time zone,
    scopes_all boolean NOT NULL,
    reads json NOT NULL,
    last_seconds double precision,
    rests text,
    judged_by text,
    others_asked_at timestamp with time zone,
    brought_at timestamp with time zone,
    spared boolean DEFAULT false NOT NULL,
    sequence integer DEFAULT 0 NOT NULL,
    CONSTRAINT watch_state CHECK ((state = ANY (ARRAY['pending'::text, 'healthy'::text, 'suspect'::text, 'broken'::text, 'paused'::text])))
);
CREATE TABLE public.webhook (
    id text NOT NULL,
    url text NOT NULL,
    events json NOT NULL,
    "only" json,
    secret text,
    old_secret text,
    old_until timestamp with time zone,
    state text NOT NULL,
    failing_since timestamp with time zone,
    made_by text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    revision integer DEFAULT 1 NOT NULL
);
ALTER TABLE ONLY public.audit ALTER COLUMN id SET DEFAULT nextval('public.audit_id_seq'::regclass);
ALTER TABLE ONLY public.consent ALTER COLUMN id SET DEFAULT nextval('public.consent_id_seq'::regclass);
ALTER TABLE ONLY public.delivery ALTER COLUMN id SET DEFAULT nextval('public.delivery_id_seq'::regclass);
ALTER TABLE ONLY public.history ALTER COLUMN id SET DEFAULT nextval('public.history_id_seq'::regclass);
ALTER TABLE ONLY public.incident ALTER COLUMN id SET DEFAULT nextval('public.incident_id_seq'::regclass);
ALTER TABLE ONLY public.link ALTER COLUMN id SET DEFAULT nextval('public.link_id_seq'::regclass);
ALTER TABLE ONLY public.notice ALTER COLUMN id SET DEFAULT nextval('public.notice_id_seq'::regclass);
ALTER TABLE ONLY public.refresh_journal ALTER COLUMN id SET DEFAULT nextval('public.refresh_journal_id_seq'::regclass);
ALTER TABLE ONLY public.sign_in_attempt ALTER COLUMN id SET DEFAULT nextval('public.sign_in_attempt_id_seq'::regclass);
ALTER TABLE ONLY public.silence ALTER COLUMN id SET DEFAULT nextval('public.silence_id_seq'::regclass);
INSERT INTO public.address VALUES ('gone@mueller.example', '2026-11-23 09:00:00+00', '550 no such user');
INSERT INTO public.alembic_version VALUES ('0007');
INSERT INTO public.api_key VALUES ('key_1', 'abc', 'middleware', 'hash of a key', NULL, NULL, '["tokens:read"]', '{"apps": ["clio-us"]}', 'cli:ann', '2026-11-22 09:00:00+00', '2027-02-21 09:00:00+00', '2026-11-23 09:00:00+00', NULL, NULL, 30, '["10.0.0.0/24"]', 2);
INSERT INTO public.app_check VALUES ('clio-us', 'authorize', '2026-11-23 09:00:00+00', 'refused', 'redirect_uri', 'clio.redirect', 2, '2026-11-22 09:00:00+00', '2026-11-22 09:00:00+00', '2026-11-24 09:00:00+00');
INSERT INTO public.audit VALUES (1, '2026-11-23 09:00:00+00', 'cli:ann', 'connection.pause', 'dent', '{"why": "\u00fc"}');
INSERT INTO public.budget VALUES ('clio-us', '2026-11-23 09:00:00+00');
INSERT INTO public.campaign VALUES ('cmp_1', 'one more scope', '{"apps": ["clio-us"]}', 10, '2026-12-02', 'running', '', false, '2026-11-22 09:00:00+00', 'cli:ann', '2026-11-23 09:00:00+00', 'cli:ann', NULL);
INSERT INTO public.campaign_member VALUES ('cmp_1', 'acme', true, 1, '2026-11-22 09:00:00+00', '2026-11-23 09:00:00+00', NULL, NULL, '', NULL, NULL);
INSERT INTO public.connection VALUES ('acme', 'clio-us', 'clio', 'us', 'Acme ''LLP''', '["it@mueller.example"]', 'de', 'Europe/Berlin', '["contacts", "matters"]', '1', 'Acme ''LLP''', '{"tier": "gold"}', '2026-11-14 09:00:00+00', '2026-11-23 09:00:00+00', 'managed', true, 1, NULL, NULL, NULL, '{}');
INSERT INTO public.connection VALUES ('bolt', 'clio-us', 'clio', 'us', 'Müller & Söhne', '["it@mueller.example"]', 'de', 'Europe/Berlin', '["contacts", "matters"]', '2', 'Müller & Söhne', '{"tier": "gold"}', '2026-11-14 09:00:00+00', '2026-11-23 09:00:00+00', 'managed', true, 1, NULL, NULL, NULL, '{}');
INSERT INTO public.connection VALUES ('coda', 'clio-us', 'clio', 'us', 'Coda', '["it@mueller.example"]', 'de', 'Europe/Berlin', '["contacts", "matters"]', NULL, 'Coda', '{"tier": "gold"}', '2026-11-14 09:00:00+00', '2026-11-23 09:00:00+00', 'managed', true, 1, NULL, NULL, NULL, '{}');
INSERT INTO public.connection VALUES ('dent', 'clio-us', 'clio', 'us', 'Dent', '["it@mueller.example"]', 'de', 'Europe/Berlin', '["contacts", "matters"]', '4', 'Dent', '{"tier": "gold"}', '2026-11-14 09:00:00+00', '2026-11-23 09:00:00+00', 'managed', true, 1, NULL, NULL, NULL, '{}');
INSERT INTO public.consent VALUES (1, 'hash of a state', 'hash of a browser', 1, 'bolt', 'clio-us', 'https://x.example/oauth/callback', 'v1.k1.bm9uY2U.dg', '2026-11-23 09:00:00+00', '2026-11-24 09:00:00+00', '2026-11-23 09:00:00+00', 'wrong_account', '9', 'Other', 'v1.k1.bm9uY2U.bGVmdA');
INSERT INTO public.credential VALUES ('acme', 'v1.k1.bm9uY2U.YWNjZXNz', 'v1.k1.bm9uY2U.cmVmcmVzaA', 3, '2026-11-22 09:00:00+00', '2026-11-24 09:00:00+00', '2026-11-14 09:00:00+00', '2026-11-22 09:00:00+00', '["contacts"]', false, '5d41', NULL, NULL, false, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.credential VALUES ('bolt', 'v1.k1.bm9uY2U.YWNjZXN0', 'v1.k1.bm9uY2U.cmVmcmVzaA', 3, '2026-11-22 09:00:00+00', '2026-11-24 09:00:00+00', '2026-11-14 09:00:00+00', '2026-11-22 09:00:00+00', '["contacts"]', false, '5d41', NULL, NULL, false, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.credential VALUES ('coda', NULL, NULL, 3, '2026-11-22 09:00:00+00', '2026-11-24 09:00:00+00', '2026-11-14 09:00:00+00', '2026-11-22 09:00:00+00', 'null', false, NULL, NULL, NULL, false, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.credential VALUES ('dent', 'v1.k1.bm9uY2U.YWNjZXN1', 'v1.k1.bm9uY2U.cmVmcmVzaA', 3, '2026-11-22 09:00:00+00', '2026-11-24 09:00:00+00', '2026-11-14 09:00:00+00', '2026-11-22 09:00:00+00', '["contacts"]', false, '5d41', NULL, NULL, false, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.delivery VALUES (1, 1, 'it@mueller.example', '<th.1@x.example>', 'sent', 1, '2026-11-23 09:00:00+00', NULL, NULL, '250 OK', '2026-11-23 09:00:00+00', 'email');
INSERT INTO public.delivery VALUES (2, 2, 'it@mueller.example', '<th.2@x.example>', 'waiting', 1, '2026-11-23 09:00:00+00', NULL, NULL, '250 OK', '2026-11-23 09:00:00+00', 'email');
INSERT INTO public.duty VALUES ('fleet', 'host-1-abc', '2026-11-23 09:00:00+00');
INSERT INTO public.event VALUES ('evt_1', 1, '2026-11-23 09:00:00+00', 'connection.broken', 'bolt', 'clio-us', '{"tier": "gold"}', 1, '{"connection": "bolt", "says": "\u00fc"}');
INSERT INTO public.fuse VALUES ('first mails', '2026-11-23 09:00:00+00', 40, NULL);
INSERT INTO public.held_grant VALUES ('coda', 'asked', '3', 'Coda', 'k@coda.example', NULL, '2026-11-23 09:00:00+00', 'v2.k1.bm9uY2U.Y2VsbA', NULL, '2026-11-23 09:00:00+00', '2026-11-24 09:00:00+00', '["contacts"]', false, NULL, NULL, '{}', '[]');
INSERT INTO public.history VALUES (1, 'bolt', '2026-11-22 09:00:00+00', 'broken', 'revoked', 'client', 0.9, 'clio.revoked', NULL, '["It was so."]', '[{"step": "whoami", "status": 401, "seconds": 0.1}]');
INSERT INTO public.idempotency VALUES ('hash of a key', 'hash of a request', '2026-11-23 09:00:00+00', NULL, 200, 'v1.k1.bm9uY2U.e30');
INSERT INTO public.incident VALUES (1, 'provider', 'clio', 'revoked', 'client', true, '["It was so."]', '2026-11-22 09:00:00+00', '2026-11-23 09:00:00+00', NULL, NULL, '', NULL, NULL, NULL, NULL, NULL, NULL, '', '', 0, 0, 0, false);
INSERT INTO public.incident VALUES (2, 'connection', 'bolt', 'revoked', 'client', false, '["It was so."]', '2026-11-22 09:00:00+00', '2026-11-23 09:00:00+00', NULL, 1, '', NULL, NULL, NULL, NULL, NULL, NULL, '', '', 0, 0, 0, false);
INSERT INTO public.job VALUES ('job_1', 'key:key_1', '{"name": "key:key_1"}', 'pause', '{}', '["acme", "bolt"]', 1, '{}', 'done', '2026-11-22 09:00:00+00', '2026-11-23 09:00:00+00', NULL, NULL);
INSERT INTO public.key_check VALUES ('k1', 'v1.k1.bm9uY2U.Y2hlY2s', NULL);
INSERT INTO public.link VALUES (1, 'hash of bolt', 'bolt', 2, 'de', 'revoked', false, '2026-11-22 09:00:00+00', '2026-11-24 09:00:00+00', '2026-11-23 09:00:00+00', '2026-11-23 09:00:00+00', NULL, NULL);
INSERT INTO public.link VALUES (2, 'hash of dent', 'dent', 2, 'de', 'revoked', false, '2026-11-22 09:00:00+00', '2026-11-24 09:00:00+00', '2026-11-23 09:00:00+00', '2026-11-23 09:00:00+00', NULL, NULL);
INSERT INTO public.mail_server VALUES ('mail.x.example:25', '2026-11-23 09:00:00+00', '421 busy', true);
INSERT INTO public.notice VALUES (1, 'ask', 'revoked', 'Müller & Söhne', '4f2a', 'de', 'Europe/Berlin', '["it@mueller.example"]', 0, 'confirmed broken, and the client can mend it', NULL, 'sent', '', '2026-11-22 09:00:00+00', '2026-11-22 09:00:00+00', NULL, '2026-11-22 09:00:00+00', 'null');
INSERT INTO public.notice VALUES (2, 'reminder', 'reminder', 'Müller & Söhne', '4f2a', 'de', 'Europe/Berlin', '["it@mueller.example"]', 0, 'confirmed broken, and the client can mend it', 'cli:ann', 'waiting', '', '2026-11-22 09:00:00+00', '2026-11-24 09:00:00+00', '2026-11-23 09:00:00+00', NULL, '{"summary": "clio is down"}');
INSERT INTO public.notice_item VALUES (1, 'bolt', 2, 'revoked', '2026-11-22 09:00:00+00');
INSERT INTO public.notice_item VALUES (2, 'bolt', 2, 'revoked', '2026-11-22 09:00:00+00');
INSERT INTO public.own_secret VALUES ('imports', 'v1.k1.bm9uY2U.Y2VsbA');
INSERT INTO public.person VALUES ('usr_1', 'ann', 'admin', '$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA', NULL, NULL, '2026-11-22 09:00:00+00', '2026-11-23 09:00:00+00', 1);
INSERT INTO public.plan VALUES ('plan_1', 'cli:ann', '2026-11-23 09:00:00+00', '2026-11-24 09:00:00+00', NULL, '', '{"acme": 1}', '{"added": 0}', 'v1.k1.bm9uY2U.W10');
INSERT INTO public.probe_count VALUES ('acme', 1795392000, 'ok', 288, 28.8);
INSERT INTO public.process VALUES ('host-1-abc', 'all', '0.1.0', '2026-11-22 09:00:00+00', '2026-11-23 09:00:00+00', '{}');
INSERT INTO public.refresh_journal VALUES (1, 'acme', 'host-1-abc', 2, '2026-11-22 09:00:00+00', '2026-11-22 09:00:00+00', 'stored', NULL);
INSERT INTO public.refresh_journal VALUES (2, 'acme', 'host-1-abc', 3, '2026-11-23 09:00:00+00', NULL, 'open', NULL);
INSERT INTO public.session VALUES ('hash of a session', 'usr_1', 'admin', '2026-11-23 09:00:00+00', '2026-11-23 09:00:00+00', '2026-11-24 09:00:00+00');
INSERT INTO public.sign_in_attempt VALUES (1, '2026-11-23 09:00:00+00', 'ann', '192.0.2.7');
INSERT INTO public.sign_in_trip VALUES ('hash of a state', 'hash of a browser', '/?q=ü', '2026-11-24 09:00:00+00');
INSERT INTO public.signal VALUES ('sig_1', 'bolt', '2026-11-23 09:00:00+00', '2026-11-22 09:00:00+00', 'key_1', 'unauthorized', 1, '/api/v4/matters.json', 'matters', 401, '{}', '', 'probe_now', '', 2);
INSERT INTO public.silence VALUES (1, 'provider', 'clio', 'a move', 'cli:ann', '2026-11-23 09:00:00+00', '2026-11-24 09:00:00+00', NULL, true);
INSERT INTO public.token_use VALUES ('key_1', 'acme', 1795392000, 9, '2026-11-22 09:00:00+00', '2026-11-23 09:00:00+00', 3);
INSERT INTO public.watch VALUES ('acme', 'clio-us', 'clio', 'us', 'healthy', '2026-11-22 09:00:00+00', 'ok', 'nobody', 0.9, 'ok', 'ok', 0, NULL, NULL, 0, 0.5, '2026-11-22 09:00:00+00', '2026-11-23 09:00:00+00', '2026-11-22 09:00:00+00', '2026-11-23 09:00:00+00', 'host-1-abc', '2026-11-23 09:00:00+00', 7, 1, '2026-11-23 09:00:00+00', false, '{"contacts": "2026-11-22T09:00:00+00:00"}', 0.25, NULL, NULL, NULL, NULL, false, 0);
INSERT INTO public.watch VALUES ('bolt', 'clio-us', 'clio', 'us', 'broken', '2026-11-22 09:00:00+00', 'revoked', 'client', 0.9, 'clio.revoked', 'revoked', 3, '2026-11-22 09:00:00+00', '2026-11-22 09:00:00+00', 0, 0.5, '2026-11-22 09:00:00+00', '2026-11-23 09:00:00+00', '2026-11-22 09:00:00+00', '2026-11-24 09:00:00+00', 'host-1-abc', '2026-11-24 09:00:00+00', 7, 1, '2026-11-23 09:00:00+00', false, '{"contacts": "2026-11-22T09:00:00+00:00"}', 0.25, NULL, NULL, NULL, NULL, false, 0);
INSERT INTO public.watch VALUES ('coda', 'clio-us', 'clio', 'us', 'pending', '2026-11-22 09:00:00+00', 'ok', 'nobody', 0.9, '', 'ok', 0, NULL, NULL, 0, 0.5, '2026-11-22 09:00:00+00', '2026-11-23 09:00:00+00', '2026-11-22 09:00:00+00', NULL, NULL, NULL, 7, 1, '2026-11-23 09:00:00+00', false, '{"contacts": "2026-11-22T09:00:00+00:00"}', 0.25, NULL, NULL, NULL, NULL, false, 0);
INSERT INTO public.watch VALUES ('dent', 'clio-us', 'clio', 'us', 'paused', '2026-11-22 09:00:00+00', 'ok', 'nobody', 0.9, 'ok', 'ok', 0, NULL, NULL, 0, 0.5, '2026-11-22 09:00:00+00', '2026-11-23 09:00:00+00', '2026-11-22 09:00:00+00', NULL, NULL, NULL, 7, 1, '2026-11-23 09:00:00+00', false, '{"contacts": "2026-11-22T09:00:00+00:00"}', 0.25, 'provider clio', NULL, NULL, NULL, false, 0);
INSERT INTO public.webhook VALUES ('wh_1', 'https://mw.example/hooks', '["*"]', 'null', 'v1.k1.bm9uY2U.c2VjcmV0', NULL, NULL, 'active', NULL, 'cli:ann', '2026-11-22 09:00:00+00', 1);
SELECT pg_catalog.setval('public.audit_id_seq', 1, true);
SELECT pg_catalog.setval('public.consent_id_seq', 1, true);
SELECT pg_catalog.setval('public.delivery_id_seq', 2, true);
SELECT pg_catalog.setval('public.history_id_seq', 1, true);
SELECT pg_catalog.setval('public.incident_id_seq', 2, true);
SELECT pg_catalog.setval('public.link_id_seq', 2, true);
SELECT pg_catalog.setval('public.notice_id_seq', 2, true);
SELECT pg_catalog.setval('public.refresh_journal_id_seq', 2, true);
SELECT pg_catalog.setval('public.sign_in_attempt_id_seq', 1, true);
SELECT pg_catalog.setval('public.silence_id_seq', 1, true);
ALTER TABLE ONLY public.address
    ADD CONSTRAINT address_pkey PRIMARY KEY (address);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT api_key_handle_key UNIQUE (handle);
ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT api_key_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.app_check
    ADD CONSTRAINT app_check_pkey PRIMARY KEY (app, door);
ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.budget
    ADD CONSTRAINT budget_pkey PRIMARY KEY (app);
ALTER TABLE ONLY public.campaign_member
    ADD CONSTRAINT campaign_member_pkey PRIMARY KEY (campaign, connection);
ALTER TABLE ONLY public.campaign
    ADD CONSTRAINT campaign_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.connection
    ADD CONSTRAINT connection_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.consent
    ADD CONSTRAINT consent_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.consent
    ADD CONSTRAINT consent_state_hash_key UNIQUE (state_hash);
ALTER TABLE ONLY public.credential
    ADD CONSTRAINT credential_pkey PRIMARY KEY (connection);
ALTER TABLE ONLY public.delivery
    ADD CONSTRAINT delivery_message_id_key UNIQUE (message_id);
ALTER TABLE ONLY public.delivery
    ADD CONSTRAINT delivery_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.duty
    ADD CONSTRAINT duty_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.event
    ADD CONSTRAINT event_number_key UNIQUE (number);
ALTER TABLE ONLY public.event
    ADD CONSTRAINT event_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.fuse
    ADD CONSTRAINT fuse_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.held_grant
    ADD CONSTRAINT held_grant_pkey PRIMARY KEY (connection);
ALTER TABLE ONLY public.history
    ADD CONSTRAINT history_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.idempotency
    ADD CONSTRAINT idempotency_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.incident
    ADD CONSTRAINT incident_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.job
    ADD CONSTRAINT job_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.key_check
    ADD CONSTRAINT key_check_pkey PRIMARY KEY (key_id);
ALTER TABLE ONLY public.link
    ADD CONSTRAINT link_hash_key UNIQUE (hash);
ALTER TABLE ONLY public.link
    ADD CONSTRAINT link_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.mail_server
    ADD CONSTRAINT mail_server_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.notice_item
    ADD CONSTRAINT notice_item_pkey PRIMARY KEY (notice, connection);
ALTER TABLE ONLY public.notice
    ADD CONSTRAINT notice_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.own_secret
    ADD CONSTRAINT own_secret_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.person
    ADD CONSTRAINT person_name_key UNIQUE (name);
ALTER TABLE ONLY public.person
    ADD CONSTRAINT person_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.plan
    ADD CONSTRAINT plan_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.probe_count
    ADD CONSTRAINT probe_count_pkey PRIMARY KEY (connection, bucket, cause);
ALTER TABLE ONLY public.process
    ADD CONSTRAINT process_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.refresh_journal
    ADD CONSTRAINT refresh_journal_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.session
    ADD CONSTRAINT session_pkey PRIMARY KEY (hash);
ALTER TABLE ONLY public.sign_in_attempt
    ADD CONSTRAINT sign_in_attempt_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.sign_in_trip
    ADD CONSTRAINT sign_in_trip_pkey PRIMARY KEY (state);
ALTER TABLE ONLY public.signal
    ADD CONSTRAINT signal_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.silence
    ADD CONSTRAINT silence_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.token_use
    ADD CONSTRAINT token_use_pkey PRIMARY KEY (key, connection, hour);
ALTER TABLE ONLY public.watch
    ADD CONSTRAINT watch_pkey PRIMARY KEY (connection);
ALTER TABLE ONLY public.webhook
    ADD CONSTRAINT webhook_pkey PRIMARY KEY (id);
CREATE UNIQUE INDEX campaign_member_standing ON public.campaign_member USING btree (connection) WHERE standing;
CREATE INDEX connection_account ON public.connection USING btree (account_id);
CREATE INDEX credential_access_expires_at ON public.credential USING btree (access_expires_at, connection);
CREATE INDEX credential_authorized_at ON public.credential USING btree (authorized_at, connection);
CREATE INDEX credential_grant_ends_at ON public.credential USING btree (grant_ends_at, connection) WHERE (grant_ends_at IS NOT NULL);
CREATE INDEX credential_in_doubt ON public.credential USING btree (doubt_since) WHERE (doubt_since IS NOT NULL);
CREATE INDEX credential_refresh_expires_at ON public.credential USING btree (refresh_expires_at, connection) WHERE (refresh_expires_at IS NOT NULL);
CREATE INDEX credential_refresh_used_at ON public.credential USING btree (refresh_used_at, connection);
CREATE INDEX delivery_notice ON public.delivery USING btree (notice);
CREATE INDEX delivery_open ON public.delivery USING btree (next_at) WHERE (state = ANY (ARRAY['waiting'::text, 'sending'::text, 'handed'::text]));
CREATE INDEX event_at ON public.event USING btree (at);
CREATE INDEX event_unnumbered ON public.event USING btree (at) WHERE (number IS NULL);
CREATE INDEX history_at ON public.history USING btree (at);
CREATE INDEX history_connection ON public.history USING btree (connection, id);
CREATE INDEX idempotency_at ON public.idempotency USING btree (at);
CREATE UNIQUE INDEX incident_one_open ON public.incident USING btree (kind, name, wave) WHERE (closed_at IS NULL);
CREATE INDEX incident_turned ON public.incident USING btree (turned_at);
CREATE INDEX ix_connection_client_name ON public.connection USING btree (client_name);
CREATE INDEX ix_consent_connection ON public.consent USING btree (connection);
CREATE INDEX ix_incident_parent_id ON public.incident USING btree (parent_id);
CREATE INDEX ix_link_connection ON public.link USING btree (connection);
CREATE INDEX ix_session_person ON public.session USING btree (person);
CREATE INDEX job_created ON public.job USING btree (created_at);
CREATE INDEX job_running ON public.job USING btree (created_at) WHERE (ended_at IS NULL);
CREATE INDEX notice_audience ON public.notice USING btree (audience, slot);
CREATE INDEX notice_client ON public.notice USING btree (client);
CREATE INDEX notice_due ON public.notice USING btree (due_at) WHERE (state = 'waiting'::text);
CREATE INDEX notice_item_connection ON public.notice_item USING btree (connection);
CREATE UNIQUE INDEX notice_one_waiting ON public.notice USING btree (audience, slot) WHERE ((state = 'waiting'::text) AND (requested_by IS NULL));
CREATE UNIQUE INDEX person_subject ON public.person USING btree (issuer, subject);
CREATE INDEX plan_expires ON public.plan USING btree (expires_at);
CREATE INDEX refresh_journal_connection ON public.refresh_journal USING btree (connection, id);
CREATE UNIQUE INDEX refresh_journal_single_flight ON public.refresh_journal USING btree (connection) WHERE (ended_at IS NULL);
CREATE INDEX sign_in_attempt_address ON public.sign_in_attempt USING btree (address, at);
CREATE INDEX sign_in_attempt_name ON public.sign_in_attempt USING btree (name, at);
CREATE INDEX signal_connection ON public.signal USING btree (connection, received_at);
CREATE INDEX signal_received ON public.signal USING btree (received_at);
CREATE INDEX token_use_connection ON public.token_use USING btree (connection);
CREATE INDEX watch_bad ON public.watch USING btree (bad_since) WHERE (bad_since IS NOT NULL);
CREATE INDEX watch_due ON public.watch USING btree (app, next_probe_at);
CREATE INDEX watch_sums ON public.watch USING btree (state, cause, owner, provider, app);
CREATE TRIGGER audit_append_only BEFORE DELETE OR UPDATE ON public.audit FOR EACH ROW EXECUTE FUNCTION public.audit_append_only();
ALTER TABLE ONLY public.campaign_member
    ADD CONSTRAINT campaign_member_campaign_fkey FOREIGN KEY (campaign) REFERENCES public.campaign(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.consent
    ADD CONSTRAINT consent_link_fkey FOREIGN KEY (link) REFERENCES public.link(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.credential
    ADD CONSTRAINT credential_connection_fkey FOREIGN KEY (connection) REFERENCES public.connection(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.delivery
    ADD CONSTRAINT delivery_notice_fkey FOREIGN KEY (notice) REFERENCES public.notice(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.held_grant
    ADD CONSTRAINT held_grant_connection_fkey FOREIGN KEY (connection) REFERENCES public.connection(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.history
    ADD CONSTRAINT history_connection_fkey FOREIGN KEY (connection) REFERENCES public.connection(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.incident
    ADD CONSTRAINT incident_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES public.incident(id);
ALTER TABLE ONLY public.link
    ADD CONSTRAINT link_connection_fkey FOREIGN KEY (connection) REFERENCES public.connection(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.notice_item
    ADD CONSTRAINT notice_item_notice_fkey FOREIGN KEY (notice) REFERENCES public.notice(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.probe_count
    ADD CONSTRAINT probe_count_connection_fkey FOREIGN KEY (connection) REFERENCES public.connection(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.refresh_journal
    ADD CONSTRAINT refresh_journal_connection_fkey FOREIGN KEY (connection) REFERENCES public.connection(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.session
    ADD CONSTRAINT session_person_fkey FOREIGN KEY (person) REFERENCES public.person(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.signal
    ADD CONSTRAINT signal_connection_fkey FOREIGN KEY (connection) REFERENCES public.connection(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.watch
    ADD CONSTRAINT watch_connection_fkey FOREIGN KEY (connection) REFERENCES public.connection(id) ON DELETE CASCADE;
