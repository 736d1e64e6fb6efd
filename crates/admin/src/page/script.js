"use strict";
(() => {
  const BEAT = 2000, PATIENCE = 8000;
  const $ = (id) => document.getElementById(id);
  let last = Date.now(), timer = 0, asking = null, failures = 0;

  // What the server left out for those without script.
  const unveil = () => document.querySelectorAll(".script[hidden]").forEach((it) => { it.hidden = false; });

  // Puts into `old` what is different in `now`, keeps what has the focus, and what a user has typed.
  const same = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && key(a) === key(b);
  const key = (node) => node.nodeType === 1 ? node.id || node.getAttribute("data-keep") || "" : "";
  const morph = (old, now) => {
    if (old.nodeType !== 1) { if (old.data !== now.data) old.data = now.data; return; }
    if (old.hasAttribute("data-script")) return;
    for (const { name, value } of [...now.attributes]) {
      if (name === "hidden" && old.classList.contains("script")) continue;
      if (name === "value" && old.nodeName === "INPUT") continue;
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    for (const { name } of [...old.attributes]) if (!now.hasAttribute(name)) old.removeAttribute(name);
    let at = old.firstChild;
    for (const next of [...now.childNodes]) {
      if (at && !same(at, next) && key(next)) {
        let found = at.nextSibling;
        while (found && !same(found, next)) found = found.nextSibling;
        if (found) { old.insertBefore(found, at); at = found; }
      }
      if (at && same(at, next)) { morph(at, next); at = at.nextSibling; } else old.insertBefore(next, at);
    }
    while (at) { const gone = at; at = at.nextSibling; gone.remove(); }
  };

  const show = (text, url, push) => {
    const page = new DOMParser().parseFromString(text, "text/html");
    if (!page.getElementById("main")) { location.reload(); return; }
    const now = page.body;
    now.querySelectorAll("script").forEach((it) => it.remove());
    document.querySelectorAll("body > script").forEach((it) => it.remove());
    morph(document.body, now);
    if (document.title !== page.title) document.title = page.title;
    const icon = page.querySelector("link[rel=icon]"), mine = document.querySelector("link[rel=icon]");
    if (icon && mine && icon.href !== mine.href) mine.replaceWith(icon);
    if (push) history.pushState(null, "", url);
    ready();
  };

  const living = () => {
    const place = $("live");
    if (!place) return;
    const quiet = Date.now() - last;
    const on = failures === 0;
    place.parentNode.className = "live " + (on ? "on" : "off");
    const text = onEvents() ? "live on events" : paused() ? "paused" : on ? "live" : "no answer for " + Math.round(quiet / 1000) + " s";
    if (place.textContent !== text) place.textContent = text;
  };

  const ask = async (url, push) => {
    clearTimeout(timer);
    if (asking) asking.abort();
    const mine = asking = new AbortController();
    const late = setTimeout(() => mine.abort(), PATIENCE);
    try {
      const answer = await fetch(url, { headers: { "Accept": "text/html" }, signal: mine.signal, cache: "no-store" });
      const text = await answer.text();
      if (mine !== asking) return;
      if (answer.status === 401 || answer.redirected) { location.href = answer.redirected ? answer.url : "/login"; return; }
      if (!answer.ok) throw new Error(String(answer.status));
      failures = 0; last = Date.now();
      show(text, url, push);
    } catch (error) {
      if (mine === asking) failures += 1;
    } finally {
      clearTimeout(late);
      if (mine === asking) { asking = null; again(); living(); }
    }
  };
  const paused = () => { const it = $("pause"); return document.querySelector("[data-still]") !== null || it !== null && it.getAttribute("aria-pressed") === "true"; };
  const onEvents = () => { const it = document.querySelector("[data-still]"); return it !== null && it.dataset.still === "events"; };
  const again = () => {
    clearTimeout(timer);
    if (!document.hidden && !paused()) timer = setTimeout(() => ask(location.href, false), BEAT * Math.min(1 + failures, 5));
  };

  // Lines from routes to pools, as wide as their traffic.
  const links = () => {
    const map = document.querySelector(".map"), svg = map && map.querySelector(".links");
    if (!svg || getComputedStyle(svg).display === "none") return;
    const frame = map.getBoundingClientRect(), made = [];
    const pools = new Map([...map.querySelectorAll("[data-pool]")].map((it) => [it.dataset.pool, it]));
    const from = [...map.querySelectorAll("[data-to]")].slice(0, 200);
    const most = Math.max(1, ...from.map((it) => Number(it.dataset.rate) || 0));
    for (const route of from) {
      const pool = pools.get(route.dataset.to);
      if (!pool) continue;
      const a = route.closest(".box").getBoundingClientRect(), r = route.getBoundingClientRect();
      const b = pool.getBoundingClientRect(), rate = Number(route.dataset.rate) || 0;
      const x1 = a.right - frame.left, y1 = r.top + r.height / 2 - frame.top;
      const x2 = b.left - frame.left, y2 = b.top + 22 - frame.top, bend = (x2 - x1) / 2;
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      path.setAttribute("d", `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`);
      path.setAttribute("stroke-width", rate > 0 ? (1.5 + 5 * Math.sqrt(rate / most)).toFixed(1) : "1.5");
      if (!rate) path.setAttribute("class", "idle");
      made.push(path);
    }
    svg.replaceChildren(...made);
  };

  // Orders: the API says what came of it.
  const order = async (form, button) => {
    const answer = $("answer"), body = {};
    const field = (name) => form.elements[name].value.trim();
    if (button.value === "weight") {
      if (!field("weight")) { answer.textContent = "a weight is missing: a number, or percent such as 50%"; answer.className = "bad"; return; }
      body.weight = field("weight");
    } else body.state = button.value;
    if (field("for")) body.for = field("for");
    if (field("why")) body.why = field("why");
    answer.className = ""; answer.textContent = "asking…";
    button.disabled = true;
    try {
      const got = await fetch(form.dataset.path, { method: "PATCH", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
      const said = await got.json().catch(() => ({}));
      answer.className = got.ok ? "" : "bad";
      answer.textContent = got.ok ? form.dataset.name + ": done, traffic sees it" : (said.detail || said.title || "refused with " + got.status);
    } catch (error) {
      answer.className = "bad"; answer.textContent = "the node did not answer; nothing is known of the order";
    }
    button.disabled = false;
    ask(location.href, false);
  };

  // An order that a button holds whole.
  const send = async (button) => {
    const told = $("told"), sure = button.dataset.sure;
    if (sure && button.dataset.script !== "sure") {
      const word = button.textContent, name = button.getAttribute("aria-label");
      // As long as it waits for the second press, nothing touches it.
      button.dataset.script = "sure"; button.textContent = sure; button.removeAttribute("aria-label");
      told.textContent = sure;
      button.addEventListener("blur", () => {
        delete button.dataset.script; button.textContent = word; if (name !== null) button.setAttribute("aria-label", name);
      }, { once: true });
      button.focus();
      return;
    }
    if (sure) button.dispatchEvent(new Event("blur"));
    button.disabled = true;
    try {
      const got = await fetch(button.dataset.order, { method: "POST", headers: { "Content-Type": "application/json" }, body: button.dataset.body });
      const said = await got.json().catch(() => ({}));
      told.className = got.ok ? "" : "bad";
      told.textContent = got.ok ? "done" : (said.detail || said.title || "refused with " + got.status);
    } catch (error) { told.textContent = "the node did not answer; nothing is known of the order"; }
    button.disabled = false;
    ask(location.href, false);
  };

  // What happens is asked for at once; without the stream, at the next beat.
  let due = 0;
  const soon = () => { clearTimeout(due); due = setTimeout(() => { if (!document.hidden && (onEvents() || !paused()) && !asking) ask(location.href, false); }, 150); };
  const listen = () => {
    const stream = new EventSource("/api/v1/events");
    for (const kind of ["server", "intent", "reload", "node", "cluster", "group", "zonefile"]) stream.addEventListener(kind, soon);
  };

  const themes = ["system", "light", "dark"];
  const theme = (wanted) => {
    const root = document.documentElement;
    if (wanted === "system") root.removeAttribute("data-theme"); else root.setAttribute("data-theme", wanted);
    const button = $("theme");
    if (button) { button.textContent = "Theme: " + wanted; button.hidden = false; }
  };
  const stored = () => { try { return localStorage.getItem("theme") || "system"; } catch (error) { return "system"; } };

  const ready = () => { unveil(); theme(stored()); links(); };

  document.addEventListener("click", (event) => {
    if (event.target.id === "theme") {
      const next = themes[(themes.indexOf(stored()) + 1) % themes.length];
      try { localStorage.setItem("theme", next); } catch (error) { /* it holds for this page */ }
      theme(next); return;
    }
    if (event.target.dataset && event.target.dataset.order) { send(event.target); return; }
    if (event.target.id === "pause") {
      const on = event.target.getAttribute("aria-pressed") !== "true";
      event.target.setAttribute("aria-pressed", String(on));
      event.target.textContent = on ? "Go on" : "Pause";
      again(); living();
      return;
    }
    const link = event.target.closest("a[href]");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || link.hasAttribute("download")) return;
    const url = new URL(link.href);
    if (url.origin !== location.origin || url.hash || !$("main") || /^\/(api|metrics|;|stats|login|logout)/.test(url.pathname)) return;
    event.preventDefault();
    const other = url.pathname !== location.pathname;
    const opens = url.searchParams.has("server");
    const opener = link.getAttribute("data-keep");
    ask(url.href, true).then(() => {
      if (other) { window.scrollTo(0, 0); $("main").focus(); }
      else if (opens && $("close")) $("close").focus();
      else if (!opens && link.id === "close" && opener !== null) { /* the focus stays where it is */ }
    });
  });
  document.addEventListener("submit", (event) => {
    if (event.target.id === "orders") { event.preventDefault(); order(event.target, event.submitter); }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && $("close")) { $("close").click(); return; }
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.nodeName);
    if (event.key === "/" && !typing && $("q")) { event.preventDefault(); $("q").focus(); }
  });
  window.addEventListener("popstate", () => ask(location.href, false));
  window.addEventListener("resize", links);
  document.addEventListener("visibilitychange", () => { if (document.hidden) clearTimeout(timer); else ask(location.href, false); });
  setInterval(living, 500);
  ready();
  again();
  listen();
})();
