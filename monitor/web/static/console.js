// What the console does beyond plain HTML. Nothing here that a form or a link would not do, too, but for staying
// live: the page that is open asks for itself again, and takes over what is another by now, in place.
"use strict";
(() => {
  const $ = (what, within = document) => within.querySelector(what);
  const $$ = (what, within = document) => [...within.querySelectorAll(what)];
  const says = $("#says")?.dataset ?? {};
  const say = (name, values = {}) => (says[name] ?? "").replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
  const keeping = (where) => ({
    get(name) { try { return where().getItem(name); } catch { return null; } },
    set(name, value) { try { where().setItem(name, value); } catch { /* for this page alone, then */ } },
  });
  const kept = keeping(() => localStorage), ofTab = keeping(() => sessionStorage);
  const main = $("#main");
  const panel = $("#ask-here");

  // -- live ------------------------------------------------------------------------------------------------------
  const SILENT = 30_000; // without a word for so long, the page is not live
  const POLLS = 30_000; // what is no event (a look, a link opened) comes this way
  const TINTED = 2_500;
  const BY_ITSELF = { headers: { "TH-By-Itself": "1" }, cache: "no-store" }; // it keeps no session alive
  const SPEAKS = 60_000; // at most once in so long
  const from = document.body.dataset.liveFrom;
  const badge = $("#live");
  const states = new Map(); // of connections that something was heard of, by id
  let source = null, heard = Date.now(), tried = 0, asOf = utc(new Date()), failed = "";
  let wanted = false, asking = false, looked = Date.now(), next = 0;
  let latest = null, waiting = false; // the page as it is by now; whether some of it waits for the pointer
  let spoken = 0, heading = $("h1")?.textContent;

  function utc(moment) { return moment.toISOString().slice(11, 19); }
  function connect() {
    if (source || document.hidden) return;
    tried = Date.now();
    const about = location.pathname.match(/^\/connections\/([^/]+)/);
    source = new EventSource(from + (about ? `?connection=${about[1]}` : ""));
    source.addEventListener("beat", hear);
    source.addEventListener("news", (event) => {
      for (const [id, state] of Object.entries(hear(event).states)) states.set(id, state);
      wanted = true;
    });
    source.addEventListener("over", () => { disconnect(); wanted = true; }); // the page will say that one is signed out
    source.addEventListener("error", () => { if (source?.readyState === EventSource.CLOSED) disconnect(); });
  }

  function disconnect() { source?.close(); source = null; }
  function hear(event) {
    const said = JSON.parse(event.data);
    heard = Date.now();
    if (!failed) asOf = utc(new Date(said.at));
    show();
    return said;
  }

  function show() {
    const lost = failed !== "" || Date.now() - heard > SILENT;
    badge.hidden = false;
    badge.classList.toggle("lost", lost);
    const words = failed || say(lost ? "lost" : "live", { at: asOf });
    if (badge.textContent === words) return;
    const [before, after = ""] = lost ? ["", words] : words.split(asOf); // where there is little room, the time alone
    const long = Object.assign(document.createElement("span"), { className: "long", textContent: before.trim() });
    badge.replaceChildren(long, lost ? words : asOf + after);
  }

  async function refresh() {
    [wanted, asking, looked] = [false, true, Date.now()];
    try {
      const answer = await fetch(location.href, BY_ITSELF);
      if (answer.redirected && new URL(answer.url).pathname === "/sign-in") failed = say("out");
      else if (!answer.ok) failed = say("lost", { at: asOf });
      else {
        latest = new DOMParser().parseFromString(await answer.text(), "text/html");
        [failed, asOf] = ["", utc(new Date())];
        if (!source) heard = Date.now(); // polled is live enough, until it fails
        take();
      }
    } catch { failed = say("lost", { at: asOf }); }
    asking = false;
    // A page that takes long to make is asked for less often.
    next = Date.now() + Math.max(1_000, 5 * (Date.now() - looked));
    show();
  }

  function turn() {
    if (document.hidden) return;
    const now = Date.now();
    if (!source && now - tried > POLLS) connect();
    if (now - looked > POLLS) wanted = true;
    if (wanted && !asking && now >= next) refresh();
    else if (waiting) take();
    show();
  }

  const offer = (within, not = false) => { for (const one of $$("[data-copy]", within)) one.hidden = not; return within; };
  const marked = (one) => !getSelection().isCollapsed && getSelection().containsNode(one, true);
  const held = (one) => one.matches(":hover") || one.contains(document.activeElement) ||
    $("details[open], #ask, input[type=radio]:checked:not([checked])", one) !== null || marked(one);
  // Rows within are taken over one by one (`takeRows`): what is around them may change without them.
  function shell(one) {
    const copy = one.cloneNode(true);
    for (const body of $$("[data-rows]", copy)) body.replaceChildren();
    offer(copy, true);
    return copy;
  }
  function put(old, fresh) {
    const made = offer(document.importNode(fresh, true));
    for (const body of $$("[data-rows][id]", made)) {
      const mine = $(`#${CSS.escape(body.id)}`, old);
      if (mine) body.replaceWith(mine);
    }
    old.replaceWith(made);
    window.htmx?.process(made);
  }

  function take() {
    waiting = false;
    for (const old of $$("[data-live][id]")) {
      const fresh = latest.getElementById(old.id);
      if (!old.isConnected || !fresh || shell(old).isEqualNode(shell(fresh))) continue;
      if (held(old)) waiting = true;
      else put(old, fresh);
    }
    const came = $$("[data-rows][id]").map(takeRows);
    announce(came.reduce((sum, count) => sum + count, 0));
    document.title = latest.title;
    speak();
  }

  function takeRows(body) {
    const now = latest.getElementById(body.id);
    const rows = new Map(now ? $$("[data-row][id]", now).map((row) => [row.id, row]) : []);
    for (const row of $$("[data-row][id]", body)) {
      const fresh = rows.get(row.id);
      rows.delete(row.id);
      if (!fresh) leave(row);
      else if (!row.isEqualNode(fresh)) {
        if (held(row)) waiting = true;
        else change(row, fresh);
      }
    }
    return rows.size;
  }

  // Cell by cell: what was chosen stays so, and no row moves. That time goes by is no news, and tints nothing.
  function change(row, fresh) {
    let moved = row.classList.contains("gone");
    if (row.tagName !== "TR" || row.cells.length !== fresh.cells.length) { put(row, fresh); return; }
    [...row.cells].forEach((cell, at) => {
      const other = fresh.cells[at];
      if (cell.isEqualNode(other) || $("input", cell)) return;
      moved ||= !cell.classList.contains("num") && cell.textContent.trim() !== other.textContent.trim();
      put(cell, other);
    });
    row.className = fresh.className;
    if (moved) tint(row);
  }

  function tint(row) { row.classList.add("moved"); setTimeout(() => row.classList.remove("moved"), TINTED); }

  // A row that is in the list no more stays where it is until the next load, and says how it is by now.
  function leave(row) {
    const state = states.get(row.dataset.row || row.id.replace(/^row-/, ""));
    const sign = $(".state", row);
    if (!state || !sign || sign.classList.contains(`is-${state}`) || !says[state]) return;
    sign.className = `state is-${state}`;
    const use = $("use", sign);
    use.setAttribute("href", `#${state}`);
    sign.replaceChildren(use.closest("svg"), say(state));
    row.classList.add("gone");
    tint(row);
  }

  function announce(count) {
    const news = $("#news");
    news.hidden = count === 0;
    if (count) news.textContent = say(count === 1 ? "one" : "many", { n: count.toLocaleString("en") });
  }

  function letIn() {
    const here = new URL(location.href);
    if (here.searchParams.has("after") || !latest) {
      here.searchParams.delete("after");
      return location.assign(here);
    }
    const chosen = new Set(picks().filter((one) => one.checked).map((one) => one.value));
    for (const body of $$("[data-rows][id]")) {
      const fresh = latest.getElementById(body.id);
      if (fresh) body.replaceChildren(...document.importNode(fresh, true).children);
      window.htmx?.process(body);
    }
    for (const one of picks()) one.checked = chosen.has(one.value);
    count(), announce(0), goTo(rowsHere()[0]);
  }

  function speak() {
    const words = $("h1")?.textContent;
    if (words === heading || Date.now() - spoken < SPEAKS) return;
    [heading, spoken, $("#spoken").textContent] = [words, Date.now(), words];
  }

  if (from && badge) {
    connect();
    setInterval(turn, 1_000);
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) disconnect();
      else { heard = Date.now(); wanted = true; connect(); turn(); }
    });
    addEventListener("pagehide", disconnect);
    $("#news").addEventListener("click", letIn);
  }

  // A page that could not be shown is asked for again, and shown as soon as it can be.
  const again = $("[data-again]")?.dataset.again;
  if (again) setInterval(async () => {
    try { if (!document.hidden && (await fetch(location.href, BY_ITSELF)).ok) location.reload(); } catch { /* not yet */ }
  }, again * 1_000);

  // -- what is under way -----------------------------------------------------------------------------------------
  const LONG = 10_000; // a download leaves the page where it is
  const busy = (on) => document.documentElement.classList.toggle("loading", on);
  function free() { busy(false); for (const one of $$("button[data-pressed]")) { one.disabled = false; delete one.dataset.pressed; } }
  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (event.defaultPrevented || !button) return;
    setTimeout(() => { button.disabled = true; button.dataset.pressed = ""; }); // after the form was read, with its name
    setTimeout(free, LONG);
  });
  addEventListener("beforeunload", () => { busy(true); setTimeout(free, LONG); });
  addEventListener("pageshow", (event) => { free(); if (event.persisted && from) { wanted = true; connect(); } });

  // -- panels: a question in the page, beside what it is about ---------------------------------------------------
  let opener = null;
  document.addEventListener("htmx:beforeRequest", (event) => { opener = event.detail.elt; busy(true); });
  document.addEventListener("htmx:afterRequest", () => busy(false));
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr, target } = event.detail;
    if (target !== panel || xhr.status === 204) return;
    event.detail.shouldSwap = /\bid="ask"/.test(xhr.responseText);
    if (event.detail.shouldSwap) return; // the question again, with what is wrong
    const page = new DOMParser().parseFromString(xhr.responseText, "text/html");
    trouble($("h1", page)?.textContent.trim() || say("failed"));
  });
  document.addEventListener("htmx:sendError", () => trouble(say("failed")));
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target !== panel) return;
    for (const one of $$("details.menu[open]")) one.open = false;
    const head = $("#ask-head", panel); // here it comes below the page's own heading
    head?.setAttribute("aria-level", "2"), head?.focus();
    panel.scrollIntoView({ block: "nearest" });
  });
  function trouble(words) {
    const note = Object.assign(document.createElement("p"), { className: "note broken", textContent: words });
    note.setAttribute("role", "alert");
    panel.replaceChildren(note);
  }
  function close() {
    if (!panel?.firstElementChild) return false;
    panel.replaceChildren();
    const menu = opener?.closest("details.menu"); // its entry cannot take the focus while it is closed
    (menu ? $("summary", menu) : opener)?.focus();
    return true;
  }

  // -- choosing many ---------------------------------------------------------------------------------------------
  const picks = () => $$("[data-row] input[type=checkbox]");
  let before = null;
  function count() {
    const all = picks(), chosen = all.filter((one) => one.checked).length;
    for (const one of $$("[data-count]")) one.textContent = chosen.toLocaleString("en");
    const every = $("[data-pick-all]");
    if (every) [every.checked, every.indeterminate] = [chosen > 0 && chosen === all.length, chosen > 0 && chosen < all.length];
  }
  function upTo(one) {
    const all = picks(), [a, b] = [all.indexOf(before), all.indexOf(one)].sort((x, y) => x - y);
    for (const each of a < 0 ? [] : all.slice(a, b + 1)) each.checked = one.checked;
  }
  document.addEventListener("click", (event) => {
    const one = event.target;
    if (one.matches?.("[data-pick-all]")) for (const each of picks()) each.checked = one.checked;
    else if (one.matches?.("[data-row] input[type=checkbox]")) {
      if (event.shiftKey) upTo(one);
      before = one;
    } else if (one.closest?.("[data-clear]")) { clear(); event.preventDefault(); }
    else if (one.closest?.("[data-cancel]") && panel?.contains(one)) { close(); event.preventDefault(); }
    else if (one.closest?.("[data-copy]")) copy(one.closest("[data-copy]"));
    for (const menu of $$("details.menu[open]")) if (!menu.contains(one)) menu.open = false;
    count();
  });
  function clear() {
    const chosen = picks().filter((one) => one.checked);
    for (const one of chosen) one.checked = false;
    return count(), chosen.length > 0;
  }
  count();

  async function copy(button) {
    const what = $(button.dataset.copy), text = what.value ?? what.textContent.trim();
    try { await navigator.clipboard.writeText(text); } catch {
      what.select ? what.select() : getSelection().selectAllChildren(what);
      if (!document.execCommand("copy")) return;
    }
    $("#spoken").textContent = say("copied");
    button.dataset.done = say("copied");
    setTimeout(() => delete button.dataset.done, TINTED);
  }
  offer(document);
  // -- times: ours on the page, the reader's own beside the pointer -------------------------------------------------
  const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const tip = Object.assign(document.createElement("div"), { className: "tip", hidden: true });
  tip.setAttribute("role", "tooltip");
  document.body.append(tip);
  function hint(event) {
    const time = event.target.closest?.("time[datetime]") ?? (event.type === "focusin" ? $("time[datetime]", event.target) : null);
    if (!time) { if (!tip.contains(event.target)) tip.hidden = true; return; }
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.getTime())) return;
    tip.textContent = say("local", { at: local.format(moment), zone });
    tip.hidden = false;
    const box = time.getBoundingClientRect(), mine = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(box.left, innerWidth - mine.width - 4))}px`;
    tip.style.top = `${box.bottom + mine.height > innerHeight ? box.top - mine.height : box.bottom}px`;
  }
  for (const kind of ["pointerover", "focusin"]) document.addEventListener(kind, hint);
  addEventListener("scroll", () => { tip.hidden = true; }, { passive: true, capture: true });

  // -- light and dark ----------------------------------------------------------------------------------------------
  const themes = ["system", "light", "dark"], theme = $("#theme");
  const themed = () => themes.find((one) => one === kept.get("theme")) ?? "system";
  function dress() {
    document.documentElement.dataset.theme = themed(); // "system" is none that the style knows
    theme.textContent = say(`theme${themed()}`);
  }
  if (theme) {
    theme.hidden = false;
    theme.addEventListener("click", () => { kept.set("theme", themes[(themes.indexOf(themed()) + 1) % 3]); dress(); });
    dress();
  }

  // -- keys --------------------------------------------------------------------------------------------------------
  const sheet = $("#shortcuts"), places = { f: "/", i: "/incidents", o: "/outbox", c: "/calendar" };
  const rowsHere = () => $$("[data-row]").filter((row) => row.offsetParent !== null && $("a[href]", row));
  const rowNow = () => document.activeElement?.closest?.("[data-row]");
  const typing = (one) => one.isContentEditable || one.matches("textarea, select, input:not([type=checkbox], [type=radio])");
  const acts = { p: "probe", s: "send-link", l: "copy-link", m: "mute", a: "claim" }; let went = 0;
  const linkOf = (row) => $("a[href]:not(.open)", row) ?? $("a[href]", row);
  function goTo(row) { if (row) linkOf(row).focus(); }
  const opened = document.getElementById(location.hash.slice(1))?.closest("[data-row]");
  if (opened) ($(".open", opened) ?? linkOf(opened))?.focus({ preventScroll: true });
  function step(by) {
    const rows = rowsHere(), at = rows.indexOf(rowNow());
    goTo(rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.max(0, Math.min(rows.length - 1, at + by))]);
  }
  function pick(event) {
    const one = rowNow() && $("input[type=checkbox]", rowNow());
    if (!one) return;
    if (event.shiftKey && before) { one.checked = true; upTo(one); } else one.checked = !one.checked;
    before = one;
    count();
  }
  // The list that one came from is remembered by the page that showed it, for `[` and `]`.
  addEventListener("pagehide", () => {
    const paths = rowsHere().map((row) => linkOf(row).pathname).filter((path) => path.startsWith("/connections/"));
    if (paths.length) ofTab.set("list", JSON.stringify(paths));
  });
  function beside(by) {
    const paths = JSON.parse(ofTab.get("list") ?? "[]");
    const at = paths.indexOf(location.pathname);
    if (at >= 0 && paths[at + by]) location.assign(paths[at + by]);
  }
  function escape() {
    if (!tip.hidden) { tip.hidden = true; return; }
    const menu = $("details.menu[open]");
    if (menu) { menu.open = false; $("summary", menu).focus(); } else if (!close() && !clear()) $("#ask [data-cancel]")?.click();
  }
  const keys = {
    "/": () => $("input[type=search]")?.focus(), j: () => step(1), k: () => step(-1), x: pick, X: pick,
    o: () => rowNow() && $(".open, summary", rowNow())?.click(), ".": () => $("#news").hidden || letIn(),
    "?": () => sheet?.showModal(), "[": () => beside(-1), "]": () => beside(1), g: () => { went = Date.now(); },
  };
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || sheet?.open) return;
    if (event.key === "Escape") { escape(); return; }
    if (kept.get("keys") === "off" || typing(event.target)) return;
    const there = Date.now() - went < 1_500 && places[event.key];
    went = 0;
    const act = location.pathname.startsWith("/connections/") && acts[event.key];
    const named = act && $(`a[href$="/${act}"], form[action$="/${act}"] button`, main);
    const does = there ? () => location.assign(there) : keys[event.key] ?? (named && (() => named.click()));
    if (!does) return;
    event.preventDefault();
    does(event);
  });
  const help = $("#keys"), off = $("#keys-on");
  if (help && sheet) {
    help.hidden = false;
    help.addEventListener("click", () => sheet.showModal());
    off.checked = kept.get("keys") !== "off";
    off.addEventListener("change", () => kept.set("keys", off.checked ? "on" : "off"));
  }
})();
