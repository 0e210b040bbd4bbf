// Keeps the page up to date. Without this script everything works; the page is then as old as its loading.
"use strict";
(() => {
  const { live: address, events } = document.body.dataset;
  const live = document.getElementById("live");
  const announce = document.getElementById("announce");
  if (!address || !live) return;

  const POLL = 5000;      // milliseconds between two questions without events
  const PATIENCE = 8000;  // milliseconds in which the server must say hello, or a proxy is holding it back
  let etag = live.dataset.etag;
  let source = null;
  let timer = null;
  let asking = false;
  let again = false;

  const summary = () => (live.querySelector(".summary, .states") || live).textContent;

  async function look() {
    if (asking) { again = true; return; }
    asking = true;
    try {
      const answer = await fetch(address, { headers: { "If-None-Match": `"${etag}"` }, cache: "no-store" });
      if (answer.status === 200) show(await answer.text(), answer.headers.get("ETag"));
    } catch { /* The server is restarting, or the network is away: the next look will tell. */ }
    asking = false;
    if (again) { again = false; look(); }
  }

  function show(text, tag) {
    const before = summary();
    const focused = live.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    const parsed = new DOMParser().parseFromString(text, "text/html");
    live.replaceChildren(...parsed.body.childNodes);
    etag = (tag || "").replace(/^W\//, "").replaceAll('"', "");
    if (focused) {
      const same = [...live.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused);
      if (same) same.focus({ preventScroll: true });
    }
    const now = summary();
    if (now !== before) announce.textContent = now;
  }

  function poll() {
    stop();
    timer = setInterval(look, POLL);
  }

  function listen() {
    stop();
    if (!events || !window.EventSource) { poll(); return; }
    source = new EventSource(events);
    timer = setTimeout(poll, PATIENCE);
    source.addEventListener("hello", () => { clearTimeout(timer); document.body.dataset.connected = "events"; look(); });
    source.addEventListener("changed", look);
    source.onerror = () => { if (source && source.readyState === EventSource.CLOSED) poll(); };
  }

  function stop() {
    clearTimeout(timer);
    clearInterval(timer);
    if (source) source.close();
    source = null;
    delete document.body.dataset.connected;
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { stop(); } else { look(); listen(); }
  });
  window.addEventListener("pagehide", stop);
  listen();
})();
