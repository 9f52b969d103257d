// The numbers: tiles above the list, each a filter, and a view of its own with charts and the tables behind them.
import { $, about, ask, attempt, count, element, go, language, onState, say, state } from "./core.js";

let numbers = null;

const percent = (part, whole) => (whole ? `${((100 * part) / whole).toFixed(1)} %` : "–");
const recognized = () => sum(["consistent", "contradictory", "doubtful"]);
const sum = (states) => states.reduce((n, name) => n + (numbers.states[name] ?? 0), 0);

export async function load() {
  await attempt(async () => {
    numbers = await ask("api/numbers");
    showTiles();
    if (state.view === "numbers") show();
  });
}

function tile(filter, label, value, extra, kind) {
  const chosen = state.filter === filter && !state.code;
  const node = element("button", { type: "button", className: `tile ${kind ?? ""}`, "aria-pressed": String(chosen),
    on: { click: () => go({ view: "", filter: chosen && filter ? "" : filter, code: "", page: "1" }) } },
  element("b", { textContent: value }), " ", element("span", { textContent: label }), extra ? element("small", { textContent: ` ${extra}` }) : null);
  node.dataset.filter = filter;
  return node;
}

let shownTiles = "";
function showTiles() {
  const made = JSON.stringify([numbers?.images, numbers?.states, numbers?.charged, numbers?.reviewed, state.filter, state.code, say("other")]);
  if (!numbers || made === shownTiles) return;
  shownTiles = made;
  const n = numbers.states;
  const focused = document.activeElement?.dataset?.filter;
  const words = say("state");
  const tiles = [tile("", say("all"), count(numbers.images)), tile("recognized", say("recognized"), count(recognized()), percent(recognized(), numbers.images - sum(["working", "waiting"])), "good")];
  for (const [name, kind] of [["contradictory", "warn"], ["doubtful", "warn"], ["unrecognized", "bad"], ["failed", "bad"], ["retrying", "bad"], ["stale", "bad"], ["foreign", "bad"], ["waiting"], ["working"]]) {
    if (n[name] || state.filter === name || ["contradictory", "unrecognized", "failed"].includes(name)) tiles.push(tile(name, words[name], count(n[name] ?? 0), "", n[name] ? kind : ""));
  }
  if (numbers.reviewed || state.filter === "reviewed") tiles.push(tile("reviewed", say("reviewed"), count(numbers.reviewed)));
  tiles.push(tile("charged", say("chargedCalls"), count(numbers.charged), about.price ? say("yuan", numbers.yuan.toFixed(2)) : ""));
  $("tiles").replaceChildren(...tiles);
  if (focused !== undefined) $("tiles").querySelector(`[data-filter="${CSS.escape(focused)}"]`)?.focus();
}

const series = [["recognized", ["consistent"]], ["doubtfulCards", ["contradictory", "doubtful"]], ["unrecognized", ["unrecognized"]], ["failed", ["failed", "retrying"]]];

const svg = (name, attributes = {}, text) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
};

/** step is a round distance of about four lines below the top. */
function step(top) {
  const raw = Math.max(1, top / 4);
  const power = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= raw);
}

/** chart draws stacked bars with axes; the table behind it says the same. */
function chart(title, bars, label) {
  const [width, height, left, bottom, above] = [720, 200, 44, 26, 8];
  const values = bars.map((bar) => series.map(([, states]) => states.reduce((n, name) => n + (bar.n[name] ?? 0), 0)));
  const top = Math.max(1, ...values.map((each) => each.reduce((a, b) => a + b, 0)));
  const distance = step(top);
  const scale = Math.ceil(top / distance) * distance;
  const y = (n) => above + (height - above - bottom) * (1 - n / scale);
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title, class: "chart" });
  for (let n = 0; n <= scale; n += distance) {
    drawing.append(svg("line", { x1: left, x2: width, y1: y(n), y2: y(n), class: "grid" }), svg("text", { x: left - 6, y: y(n) + 4, class: "axis end" }, count(n)));
  }
  const slot = (width - left) / bars.length;
  const every = Math.ceil(bars.length / 10);
  bars.forEach((bar, i) => {
    let from = 0;
    values[i].forEach((n, kind) => {
      if (!n) return;
      const rect = svg("rect", { x: left + i * slot + slot * .12, width: slot * .76, y: y(from + n), height: y(from) - y(from + n), class: `bar-${series[kind][0]}` });
      rect.append(svg("title", {}, `${label(bar.start)}: ${say(series[kind][0])} ${count(n)}`));
      drawing.append(rect);
      from += n;
    });
    if (i % every === 0) drawing.append(svg("text", { x: left + (i + .5) * slot, y: height - 8, class: "axis middle" }, label(bar.start)));
  });
  const table = element("table", { "aria-label": title },
    element("thead", {}, element("tr", {}, element("th", { scope: "col", textContent: say("time") }), ...series.map(([name]) => element("th", { scope: "col", className: "number", textContent: say(name) })))),
    element("tbody", {}, ...bars.map((bar, i) => [bar, i]).filter(([, i]) => values[i].some(Boolean)).map(([bar, i]) => element("tr", {},
      element("th", { scope: "row", textContent: label(bar.start) }), ...values[i].map((n) => element("td", { className: "number", textContent: count(n) }))))));
  return element("figure", {}, element("figcaption", { textContent: title }), drawing,
    element("p", { className: "legend" }, ...series.map(([name]) => element("span", { className: `key-${name}`, textContent: say(name) }))),
    element("details", {}, element("summary", { textContent: say("asTable") }), element("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": title }, table)));
}

function line(label, value, filter, code = "") {
  const shown = filter === undefined ? document.createTextNode(value) : element("a", { href: `?filter=${filter}&code=${code}`, textContent: value,
    on: { click: (event) => { event.preventDefault(); go({ view: "", filter, code, page: "1" }); } } });
  if (filter !== undefined) shown.setAttribute("aria-label", `${label}: ${value}`);
  return [element("dt", { textContent: label }), element("dd", {}, shown)];
}

const quantiles = (q) => (q.n ? say("quantiles", format(q.p50), format(q.p99), count(q.n)) : say("notKnown"));
const format = (ms) => (ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(1)} s`);

export function show() {
  const view = $("view-numbers");
  if (!numbers || view.contains(document.activeElement) && document.activeElement.tagName !== "H2") return; // what somebody reads stays
  const opened = [...view.querySelectorAll("details")].map((each) => each.open);
  const n = numbers.states;
  const words = say("state");
  view.replaceChildren(element("h2", { id: "numbers-title", textContent: say("numbers") }),
    numbers.progress.unread || !numbers.progress.complete ? element("p", { className: "note", textContent: say("incomplete", count(numbers.progress.unread), count(numbers.progress.listed)) }) : "",
    element("div", { className: "columns" },
      element("dl", { className: "sums" },
        ...line(say("all"), count(numbers.images), ""),
        ...line(say("recognized"), `${count(recognized())} (${percent(recognized(), numbers.images - sum(["working", "waiting"]))})`, "recognized"),
        ...line(say("allPass"), count(n.consistent ?? 0), "consistent"),
        ...["contradictory", "doubtful", "unrecognized", "failed", "retrying", "stale", "waiting", "working"].flatMap((name) => line(words[name], count(n[name] ?? 0), name)),
        ...line(say("reviewed"), count(numbers.reviewed), "reviewed")),
      element("dl", { className: "sums" },
        ...line(say("chargedCalls"), count(numbers.charged), "charged"),
        ...line(say("extraCalls"), count(numbers.extra)),
        ...(about.price ? line(say("price"), say("yuan", numbers.yuan.toFixed(2))) : []),
        ...line(say("callTime"), about.sandbox ? quantiles(numbers.calls) : say("callTimeInLog")),
        ...line(say("delay"), quantiles(numbers.delays)),
        ...Object.entries(numbers.codes).sort((a, b) => b[1] - a[1]).flatMap(([code, many]) => line(code, count(many), "", code)))),
    element("div", { className: "charts" },
      chart(say("perHour"), numbers.hours, (at) => new Date(at).toLocaleTimeString(language(), { hour: "2-digit", minute: "2-digit", hour12: false })),
      chart(say("perDay"), numbers.days, (at) => new Date(at).toLocaleDateString(language(), { month: "numeric", day: "numeric" }))));
  view.querySelectorAll("details").forEach((each, i) => { each.open = opened[i] ?? false; });
}

export function start() {
  onState(() => {
    showTiles();
    if (state.view === "numbers") show();
  });
}
