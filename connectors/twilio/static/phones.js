// Shows every stand-in telephone and lets a person use it. Asks again as soon as something changed (long poll).
"use strict";

const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];
const TEXT_STATUS = { queued: "on its way", sent: "on its way", delivered: "delivered", received: "sent",
  undelivered: "did not arrive", failed: "did not arrive" };
const CALL_STATUS = { completed: "ended", busy: "busy", "no-answer": "not answered", canceled: "given up",
  failed: "failed" };
// a demo has a telephone for everybody: beyond this many, those on which nothing happened are only counted
const SHOW_ALL = 12;
const cards = new Map();

function make(name, text, className) {
  const node = document.createElement(name);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
}

const clock = (at) => new Date(at).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const live = (call) => call.status === "ringing" || call.status === "in-progress";

async function tell(card, path, body) {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body || {}) }).catch(() => null);
  const problem = card.querySelector(".problem");
  problem.hidden = Boolean(answer && answer.ok);
  if (answer && !answer.ok) problem.textContent = ((await answer.json().catch(() => ({}))).error) || "That did not work.";
  if (!answer) problem.textContent = "The stand-in does not answer.";
  return Boolean(answer && answer.ok);
}

function button(card, words, path, body, className) {
  const node = make("button", words, className);
  node.type = "button";
  node.addEventListener("click", () => tell(card, path, body));
  return node;
}

function ringing(card, call) {
  const row = make("div", undefined, "row");
  row.append(button(card, "Answer", `calls/${call.sid}/answer`, null, "first"),
    button(card, "Let it go to voicemail", `calls/${call.sid}/voicemail`),
    button(card, "Busy", `calls/${call.sid}/busy`),
    button(card, "Do not answer", `calls/${call.sid}/no-answer`));
  return [make("h3", `Ringing: ${call.from} is calling, since ${clock(call.at)}`), row];
}

function talking(card, call) {
  const machine = (call.answered_by || "").startsWith("machine");
  const heard = make("ol", undefined, "heard");
  call.script.forEach((words) => heard.append(make("li", words)));
  const keys = make("div", undefined, "keys");
  if (!machine) KEYS.forEach((key) => {
    const node = button(card, key, `calls/${call.sid}/press`, { digits: key });
    node.disabled = !call.waiting_for_key;
    keys.append(node);
  });
  const title = machine ? "The answering machine is listening" :
    call.waiting_for_key ? "On the line, waiting for a key" : "On the line";
  return [make("h3", title), heard, keys, button(card, "Hang up", `calls/${call.sid}/hangup`)];
}

function fill(node, value, build) {
  const shape = JSON.stringify(value);
  if (node.dataset.shape === shape) return;
  node.dataset.shape = shape;
  node.replaceChildren(...build());
}

function showCall(card, phone) {
  const call = phone.calls.filter(live).pop();
  card.classList.toggle("ringing", Boolean(call && call.status === "ringing"));
  card.classList.toggle("talking", Boolean(call && call.status === "in-progress"));
  fill(card.querySelector(".call"), call || null, () => !call ? [] :
    call.status === "ringing" ? ringing(card, call) : talking(card, call));
}

// a link in a text opens as it would on a phone, and the page that it opens does not learn from where
function words(body) {
  const line = make("p");
  body.split(/(https?:\/\/\S+)/).forEach((part, n) => {
    if (n % 2 === 0) return line.append(part);
    const link = make("a", part);
    Object.assign(link, { href: part, target: "_blank", rel: "noreferrer" });
    line.append(link);
  });
  return line;
}

function textItem(phone, text) {
  const mine = text.from === phone.number;
  const item = make("li", undefined, mine ? "mine" : "");
  item.append(make("p", `${clock(text.at)} ${mine ? "to " + text.to : "from " + text.from} · ` +
    (TEXT_STATUS[text.status] || text.status), "meta"), words(text.body));
  return item;
}

function showTexts(card, phone) {
  fill(card.querySelector(".texts"), phone.texts, () => phone.texts.map((text) => textItem(phone, text)));
}

// only what is on the page can be scrolled, and a card that moves forgets where it was
function toNewest(card) {
  const list = card.querySelector(".texts");
  list.scrollTop = list.scrollHeight;
}

function pastItem(call) {
  const machine = (call.answered_by || "").startsWith("machine") ? ", by an answering machine" : "";
  const key = call.pressed ? `, keys pressed: ${call.pressed}` : "";
  return make("li", `${clock(call.at)} ${CALL_STATUS[call.status] || call.status}${machine}${key}`);
}

function showPast(card, phone) {
  const past = phone.calls.filter((call) => !live(call)).reverse();
  const details = card.querySelector(".past");
  details.hidden = past.length === 0;
  details.querySelector("summary").textContent = past.length === 1 ? "1 earlier call" : `${past.length} earlier calls`;
  fill(details.querySelector("ol"), past, () => past.map(pastItem));
}

function newCard(number) {
  const card = document.getElementById("phone").content.firstElementChild.cloneNode(true);
  card.dataset.number = number;
  const form = card.querySelector("form");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const sent = await tell(card, `phones/${encodeURIComponent(number)}/reply`, { body: form.body.value });
    if (sent) form.reset();
  });
  cards.set(number, card);
  return card;
}

function lastAt(phone) {
  return [...phone.texts, ...phone.calls].map((each) => each.at).sort().pop() || "";
}

function order(a, b) {
  const urgency = (phone) => phone.calls.some(live) ? 1 : 0;
  return urgency(b) - urgency(a) || lastAt(b).localeCompare(lastAt(a));
}

function show(phones) {
  const main = document.getElementById("phones");
  document.getElementById("empty").hidden = phones.length > 0;
  const wanted = phones.sort(order).map((phone) => {
    const card = cards.get(phone.number) || newCard(phone.number);
    card.querySelector(".label").textContent = phone.label || "Telephone";
    card.querySelector(".number").textContent = phone.number;
    showCall(card, phone);
    showTexts(card, phone);
    showPast(card, phone);
    return card;
  });
  const typing = main.contains(document.activeElement) && document.activeElement.tagName === "INPUT";
  // a card that moves while somebody writes in it would lose the focus: only new ones are added then
  if (typing) wanted.filter((card) => !card.isConnected).forEach((card) => main.append(card));
  else if (wanted.some((card, i) => main.children[i] !== card)) main.replaceChildren(...wanted);
  wanted.forEach(toNewest);
  [...cards.keys()].filter((number) => !phones.some((phone) => phone.number === number)).forEach((number) => {
    cards.get(number).remove();
    cards.delete(number);
  });
}

// one telephone rings one of ours: the call then stands on its own card, like any other
function ringUs(form) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const path = `phones/${encodeURIComponent(form.elements.from.value.trim())}/call`;
    const rung = await tell(form, path, { to: form.elements.to.value, withheld: form.elements.withheld.checked });
    if (rung) form.elements.from.value = "";
  });
}

function offerNumbers(phones) {
  fill(document.getElementById("known"), phones.map((phone) => [phone.number, phone.label]), () => phones.map((phone) => {
    const option = make("option", phone.label || "");
    option.value = phone.number;
    return option;
  }));
}

const busyOnes = (phones) => phones.length <= SHOW_ALL ? phones :
  phones.filter((phone) => phone.texts.length + phone.calls.length > 0);

function state(phones) {
  const quiet = phones.length - busyOnes(phones).length;
  const rings = phones.filter((phone) => phone.calls.some((call) => call.status === "ringing")).length;
  const words = rings === 1 ? "1 is ringing" : rings ? `${rings} are ringing` : "none is ringing";
  document.getElementById("state").textContent = `${phones.length} telephones, ${words}.` +
    (quiet ? ` Nothing has happened yet on ${quiet} of them; they are not shown.` : "");
  document.title = (rings ? `(${rings}) ` : "") + "Telephones · callwatch";
}

async function watch() {
  let version = -1;
  for (;;) {
    try {
      const answer = await fetch(`phones.json?after=${version}&wait=20`);
      if (!answer.ok) throw new Error(String(answer.status));
      const seen = await answer.json();
      version = seen.version;
      state(seen.phones);
      offerNumbers(seen.phones);
      show(busyOnes(seen.phones));
    } catch {
      document.getElementById("state").textContent = "The stand-in does not answer. Trying again every two seconds.";
      version = -1;
      await new Promise((next) => setTimeout(next, 2000));
    }
  }
}

ringUs(document.getElementById("ring"));
watch();
