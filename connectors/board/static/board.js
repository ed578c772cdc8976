"use strict";
// The page is whole without this file. It swaps in the fresh fragment when the watch says that something changed,
// moves the clocks, and says loudly when it has lost contact: a board that silently shows old facts is worse than none.
(() => {
  const QUIET_LIMIT_MS = 40000;
  const LOOK_ANYWAY_MS = 15000;
  const live = document.getElementById("live");
  const lost = document.getElementById("lost");
  const lostSince = document.getElementById("lost-since");
  const { events, fragment, name } = document.body.dataset;
  let offsetMs = 0;
  let heardAt = Date.now();
  let heardClock = "";
  let fetching = false;
  let again = false;
  let finger = false;

  const marked = () => live.querySelector("[data-now]");
  const serverNow = () => Date.now() + offsetMs;

  const span = (ms) => {
    const s = Math.max(0, Math.floor(ms / 1000));
    if (s < 60) return `${s} s`;
    if (s < 3600) return `${Math.floor(s / 60)} min`;
    if (s < 172800) return `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")} min`;
    return `${Math.floor(s / 86400)} d`;
  };
  const until = (ms) => {
    const s = Math.floor(ms / 1000);
    if (s <= 0) return "now";
    if (s >= 3600) return span(ms);
    return `${String(Math.floor(s / 60)).padStart(2, "0")}:${String(s % 60).padStart(2, "0")}`;
  };

  const setClock = () => {
    const mark = marked();
    if (!mark) return;
    offsetMs = Date.parse(mark.dataset.now) - Date.now();
    heardAt = Date.now();
    heardClock = new Intl.DateTimeFormat("en-GB", {
      hour: "2-digit", minute: "2-digit", second: "2-digit", timeZone: mark.dataset.zone,
    }).format(serverNow());
    const waiting = Number(mark.dataset.open || 0);
    document.title = waiting ? `(${waiting}) ${name}` : name;
  };

  const tick = () => {
    for (const el of live.querySelectorAll("[data-tick]")) {
      const at = Date.parse(el.getAttribute("datetime"));
      const text = el.dataset.tick === "since" ? span(serverNow() - at) : until(at - serverNow());
      if (el.textContent !== text) el.textContent = text;
    }
    const silent = Date.now() - heardAt > QUIET_LIMIT_MS;
    if (silent) lostSince.textContent = heardClock;
    lost.hidden = !silent;
    document.body.classList.toggle("stale", silent);
  };

  // a person may be choosing a name, or reading an opened list: what they do must survive the swap
  const remember = () => ({
    focus: live.contains(document.activeElement) ? document.activeElement.id : "",
    open: [...live.querySelectorAll("details[open]")].map((el) => el.id),
    chosen: [...live.querySelectorAll("select[id], input[id], textarea[id]")].map((el) => [el.id, el.value]),
  });
  const restore = (was) => {
    for (const id of was.open) document.getElementById(id)?.setAttribute("open", "");
    for (const [id, value] of was.chosen) {
      const el = document.getElementById(id);
      if (el && value) el.value = value;
    }
    if (was.focus) document.getElementById(was.focus)?.focus({ preventScroll: true });
  };

  // forms beside the part that is swapped fit one stage alone: the page is opened anew, unless somebody has begun to
  // write, who is told instead
  const changed = document.getElementById("changed");
  let touched = false;
  // a form that is on its way is not cut off by opening the page anew
  let leaving = false;
  document.addEventListener("submit", () => {
    leaving = true;
    setTimeout(() => { leaving = false; }, 10000);
  });
  const reopen = () => { if (!leaving) location.reload(); };
  if (changed) {
    document.addEventListener("input", () => { touched = true; });
    document.addEventListener("click", ({ target }) => {
      if (!live.contains(target) && target.closest("summary")) touched = true;
    });
  }
  const stageNow = () => marked()?.dataset.stage;
  const renew = () => {
    if (!changed) return;
    if (touched) changed.hidden = false;
    else reopen();
  };

  const refresh = async () => {
    if (fetching || finger) { again = true; return; }
    fetching = true;
    try {
      const answer = await fetch(fragment, { cache: "no-store", signal: AbortSignal.timeout(10000) });
      if (answer.status === 401) { reopen(); return; }
      const html = await answer.text();
      if (answer.ok && finger) again = true;
      else if (answer.ok) {
        const was = remember();
        const stage = stageNow();
        live.innerHTML = html;
        restore(was);
        setClock();
        tick();
        if (stageNow() !== stage) renew();
      }
    } catch (error) {
      // no contact: `tick` says so once it has lasted, and the next look tries again
      console.warn("callwatch: no contact", error.name);
    } finally {
      fetching = false;
      lookAgain();
    }
  };
  const lookAgain = () => {
    if (again && !finger) { again = false; refresh(); }
  };
  // nothing may move away under a finger that is already down
  document.addEventListener("pointerdown", () => { finger = true; });
  for (const up of ["pointerup", "pointercancel"]) {
    document.addEventListener(up, () => { finger = false; setTimeout(lookAgain, 300); });
  }

  const listen = () => {
    if (!events) return;
    const source = new EventSource(events);
    source.addEventListener("changed", refresh);
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
    });
  };

  setClock();
  tick();
  setInterval(tick, 1000);
  setInterval(refresh, LOOK_ANYWAY_MS);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  listen();
})();
