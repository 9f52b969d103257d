// The table of images: one page of it at a time, and nothing of it is lost when it is updated.
import { $, about, ask, attempt, badge, button, confirmation, count, element, go, moment, onState, post, say, state, tell } from "./core.js";

const pageSize = 50;
let rows = [];
let total = 0;
let search = ""; // never in the address: it may be a name or a number
const lines = new Map(); // id -> { tr, shown }
const numbers = new Map(); // id -> revealed ID number, with the masked one that it stands for
export const selection = new Set();
const told = new Map(); // id -> state that was announced

export const shownRows = () => rows;

function query(offset, limit) {
  const [sort, up] = state.sort.split(" ");
  return { search, filter: state.filter, code: state.code, sort, up: up === "up", offset, limit };
}

let loading = null;
let again = false;
/** load asks for the page that is shown. Calls while one is under way lead to one more. */
export async function load() {
  if (loading) {
    again = true;
    return loading;
  }
  loading = (async () => {
    try {
      do {
        again = false;
        await attempt(loadOnce);
      } while (again);
    } finally {
      loading = null;
    }
  })();
  return loading;
}

async function loadOnce() {
  const page = await post("api/images", query((Number(state.page) - 1) * pageSize, pageSize));
  if (!page.rows.length && page.total && Number(state.page) > 1) {
    go({ page: String(Math.ceil(page.total / pageSize)) }, true);
    return;
  }
  rows = page.rows;
  total = page.total;
  announce();
  show();
  showProgress(page.progress);
}

function announce() {
  for (const row of rows) {
    if (told.has(row.id) && told.get(row.id) !== row.state && !["working", "waiting", "unread"].includes(row.state)) {
      $("live").textContent = say("announce", row.key, say("state")[row.state]);
    }
    told.set(row.id, row.state);
  }
}

function showProgress(progress) {
  const text = progress.error ? say("listingFailed", progress.error) : !progress.complete ? say("listing", count(progress.listed))
    : progress.unread ? say("reading", count(progress.unread), count(progress.listed)) : "";
  $("progress").textContent = text;
  $("progress").hidden = !text;
}

export function show() {
  const body = $("rows");
  const kept = new Set();
  rows.forEach((row, n) => {
    kept.add(row.id);
    let line = lines.get(row.id);
    if (!line) {
      line = makeLine(row.id);
      lines.set(row.id, line);
    }
    fill(line, row);
    if (body.children[n] !== line.tr) body.insertBefore(line.tr, body.children[n] ?? null);
  });
  for (const [id, line] of lines) {
    if (!kept.has(id)) {
      line.tr.remove();
      lines.delete(id);
    }
  }
  $("none").hidden = rows.length > 0;
  const first = (Number(state.page) - 1) * pageSize;
  $("range").textContent = total ? say("range", count(first + 1), count(first + rows.length), count(total)) : "";
  $("previous").disabled = state.page === "1";
  $("next").disabled = first + rows.length >= total;
  $("pager").hidden = total <= pageSize;
  $("sort").value = state.sort;
  $("code-filter").hidden = !state.code;
  if (state.code) $("code-filter").replaceChildren(element("span", { textContent: say("onlyCode", state.code) }), " ", button("showAll", () => go({ code: "", filter: "", page: "1" })));
  showSelection();
}

function makeLine(id) {
  const line = { id, shown: "" };
  line.box = element("input", { type: "checkbox", tabIndex: -1, on: { change: () => select(id, line.box.checked) } });
  line.open = element("button", { type: "button", className: "link", on: { click: () => go({ image: id }) } });
  line.number = element("button", { type: "button", className: "link id", tabIndex: -1, on: { click: () => toggleNumber(id) } });
  line.thumb = element("img", { alt: "", className: "thumb", hidden: true, loading: "lazy" });
  line.state = element("td");
  line.name = element("td", { className: "name" });
  line.when = element("td", { className: "when" });
  line.tr = element("tr", {}, element("td", { className: "select" }, line.box), element("td", { className: "key" }, line.thumb, line.open),
    line.state, line.name, element("td", {}, line.number), line.when);
  line.tr.dataset.id = id;
  return line;
}

function fill(line, row) {
  const revealed = numbers.get(row.id);
  if (revealed && revealed.masked !== row.idNumber) numbers.delete(row.id);
  const number = numbers.get(row.id)?.full ?? row.idNumber ?? "";
  const isChosen = row.id === state.image;
  const shown = JSON.stringify([row, number, isChosen, $("thumbs").checked, say("other")]);
  line.box.checked = selection.has(row.id);
  if (line.shown === shown) return;
  line.shown = shown;
  line.box.setAttribute("aria-label", say("select", row.key));
  line.open.textContent = row.key;
  if (isChosen) line.open.setAttribute("aria-current", "true");
  else line.open.removeAttribute("aria-current");
  line.tr.className = isChosen ? "chosen" : "";
  line.state.replaceChildren(badge(row), row.code ? element("small", { className: "code", textContent: row.code }) : "");
  line.name.textContent = row.name ?? "";
  line.when.textContent = moment(row.uploaded);
  line.number.hidden = !number;
  line.number.textContent = number;
  line.number.title = say(numbers.has(row.id) ? "conceal" : "reveal");
  const thumbs = $("thumbs").checked;
  line.thumb.hidden = !thumbs;
  if (thumbs && !line.thumb.getAttribute("src")) line.thumb.src = `api/picture?size=small&id=${row.id}`;
}

async function toggleNumber(id) {
  await attempt(async () => {
    const row = rows.find((each) => each.id === id);
    if (numbers.has(id)) numbers.delete(id);
    else {
      const full = (await ask(`api/image?reveal=1&id=${id}`)).idNumber;
      if (full) numbers.set(id, { masked: row.idNumber, full });
    }
    show();
  });
}

// Selecting, and what is done with what is selected.

function select(id, on) {
  if (on) selection.add(id);
  else selection.delete(id);
  showSelection();
}

function showSelection() {
  $("selection").hidden = selection.size === 0;
  $("selected").textContent = say("selected", count(selection.size));
  $("retry").hidden = $("force").hidden = !about.canAct;
  const here = rows.filter((row) => selection.has(row.id)).length;
  $("all").checked = rows.length > 0 && here === rows.length;
  $("all").indeterminate = here > 0 && here < rows.length;
  for (const line of lines.values()) line.box.checked = selection.has(line.id);
}

/** act asks the server what an action costs, and does it if somebody agrees. */
export async function act(action, ids) {
  await attempt(async () => {
    const plan = await post("api/actions", { action, ids });
    if (!plan.images) return tell(say("nothingToDo"));
    const cost = say("cost", plan.calls, about.price ? plan.yuan.toFixed(2) : "");
    const lines = [cost, plan.documents ? say("documentsRemoved", plan.documents) : "", plan.skipped ? say("leftOut", plan.skipped) : ""].filter(Boolean);
    if (!(await confirmation(say(action === "force" ? "forceTitle" : "retryTitle", plan.images), lines, say(action === "force" ? "forceNow" : "retryNow")))) return;
    const done = await post("api/actions", { action, ids, confirm: true, images: plan.images });
    if (done.submitted) tell(say("submitted", done.submitted), "good");
    if (done.failed) tell(say("notSubmitted", done.failed) + (done.problem ? ` ${done.problem}` : ""));
    for (const id of ids) selection.delete(id);
    showSelection();
  });
}

/** matching returns the IDs of all images of a filter, as many as one action may be about. */
export async function matching(filter, code) {
  const ids = [];
  for (let offset = 0; offset < 1000; offset += 200) {
    const page = await post("api/images", { filter, code, sort: "uploaded", up: true, offset, limit: 200 });
    ids.push(...page.rows.map((row) => row.id));
    if (ids.length >= page.total) break;
  }
  return ids;
}

/** neighbor is the row before or after the chosen one. */
export function neighbor(step) {
  const n = rows.findIndex((row) => row.id === state.image);
  return n < 0 ? rows[0] : rows[n + step];
}

export function start() {
  $("all").addEventListener("change", () => {
    const on = $("all").checked;
    for (const row of rows) select(row.id, on);
  });
  $("unselect").addEventListener("click", () => {
    selection.clear();
    showSelection();
  });
  $("retry").addEventListener("click", () => act("retry", [...selection]));
  $("force").addEventListener("click", () => act("force", [...selection]));
  $("sort").addEventListener("change", () => go({ sort: $("sort").value, page: "1" }));
  $("previous").addEventListener("click", () => go({ page: String(Number(state.page) - 1) }));
  $("next").addEventListener("click", () => go({ page: String(Number(state.page) + 1) }));
  $("thumbs").addEventListener("change", show);
  $("refresh").addEventListener("click", () => attempt(() => fetch("api/refresh", { method: "POST" }).then(load)));
  let typing;
  $("search").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      search = $("search").value;
      if (state.page !== "1") go({ page: "1" }, true);
      else load();
    }, 150);
  });
  $("rows").addEventListener("keydown", (event) => {
    const id = event.target.closest("tr")?.dataset.id;
    const n = rows.findIndex((row) => row.id === id);
    const focus = (to) => {
      event.preventDefault();
      lines.get(rows[Math.max(0, Math.min(rows.length - 1, to))].id).open.focus();
    };
    if (event.altKey || event.ctrlKey || event.metaKey || n < 0) return;
    if (event.key === "ArrowDown") focus(n + 1);
    else if (event.key === "ArrowUp") focus(n - 1);
    else if (event.key === "Home") focus(0);
    else if (event.key === "End") focus(rows.length - 1);
    else if (event.key === "x") select(id, !selection.has(id));
    else if (event.key === "r") toggleNumber(id);
    else if (event.key === "Escape" && state.image) go({ image: "", review: "" });
  });
  onState((before) => {
    if (["filter", "code", "sort", "page"].some((name) => before[name] !== state[name])) load();
    else show();
    if (before.image && !state.image) lines.get(before.image)?.open.focus({ preventScroll: true });
  });
}
