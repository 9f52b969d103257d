// The console: shows what the server says, and keeps no state that a reload would lose but the choice of language.
import { words } from "/console/words.js";

const $ = (id) => document.getElementById(id);
const order = ["claim", "look", "recognize", "write", "release"];

let lang = localStorage.getItem("lang") || document.documentElement.lang;
if (!words[lang]) lang = "en";
let images = [];
let chosen = "";
let detail = null;
let revealed = false;
let live = []; // steps of the chosen image that came after its detail
const told = new Map(); // key -> status that was announced

const say = (word) => words[lang][word] ?? word;

function element(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in node) node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

function translate() {
  document.documentElement.lang = lang;
  for (const node of document.querySelectorAll("[data-word]")) {
    if (!(node.id === "detail-title" && chosen)) node.textContent = say(node.dataset.word);
  }
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", say(node.dataset.label));
  $("language").textContent = say("other");
  $("language").lang = say("otherLang");
  $("language").setAttribute("aria-label", say("switchTo"));
  showConnection();
  showTable();
  showDetail();
}

let connected = false;
function showConnection() {
  $("connection").textContent = connected ? say("connected") : say("lost");
  $("connection").className = connected ? "good" : "bad";
}

async function ask(path, options) {
  const response = await fetch(path, options);
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(body.error || `HTTP ${response.status}`);
  return body;
}

function trouble(text) {
  $("problem").textContent = text;
  $("problem").hidden = !text;
}

// The table.

function badge(status) {
  return element("span", { className: `badge ${status}`, textContent: say(status) });
}

function showTable() {
  const focused = document.activeElement?.dataset?.focus;
  const filter = $("filter").value;
  const shown = images.filter((image) => !filter || image.status === filter);
  $("rows").replaceChildren(...shown.map((image) => {
    const open = element("button", { type: "button", className: "link", textContent: image.key, "aria-pressed": String(image.key === chosen) });
    open.dataset.focus = `open ${image.key}`;
    open.addEventListener("click", () => choose(image.key, true));
    const cells = [element("td", {}, open), element("td", {}, badge(image.status)), element("td", { textContent: image.name || "" })];
    const id = element("td");
    if (image.idNumber) id.append(idButton(image.key, image.idNumber));
    return element("tr", { className: image.key === chosen ? "chosen" : "" }, ...cells, id);
  }));
  $("none").hidden = shown.length > 0;
  if (focused) document.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
}

// idButton shows a masked ID number, and the whole of it once it is clicked.
function idButton(key, masked) {
  const button = element("button", { type: "button", className: "link id", textContent: masked, title: say("reveal") });
  button.dataset.focus = `id ${key}`;
  button.setAttribute("aria-label", `${say("reveal")}: ${key}`);
  button.addEventListener("click", async () => {
    if (button.textContent !== masked) {
      button.textContent = masked;
      button.title = say("reveal");
      button.setAttribute("aria-label", `${say("reveal")}: ${key}`);
      return;
    }
    try {
      const full = await ask(`/console/image?reveal=1&key=${encodeURIComponent(key)}`);
      const id = full.document?.card?.idNumber;
      if (!id) return;
      button.textContent = id;
      button.title = say("conceal");
      button.setAttribute("aria-label", `${say("conceal")}: ${id}`);
    } catch (error) {
      trouble(error.message);
    }
  });
  return button;
}

let loading = false;
let again = false;
async function load() {
  if (loading) {
    again = true;
    return;
  }
  loading = true;
  try {
    images = (await ask("/console/images")).images;
    for (const image of images) {
      if (told.has(image.key) && told.get(image.key) !== image.status && image.status !== "pending") {
        $("live").textContent = say("announce")(image.key, say(image.status));
      }
      told.set(image.key, image.status);
    }
    showTable();
  } catch (error) {
    trouble(error.message);
  }
  loading = false;
  if (again) {
    again = false;
    load();
  }
}

// The chosen image.

async function choose(key, focus) {
  if (key !== chosen) revealed = false;
  chosen = key;
  detail = null;
  live = [];
  showPicture(true);
  $("picture").src = `/console/picture?key=${encodeURIComponent(key)}&t=${Date.now()}`;
  await refresh();
  showTable();
  if (focus) $("detail").focus({ preventScroll: window.innerWidth > 900 });
}

async function refresh() {
  const key = chosen;
  try {
    const answer = await ask(`/console/image?key=${encodeURIComponent(key)}${revealed ? "&reveal=1" : ""}`);
    if (key !== chosen) return;
    detail = answer;
    live = [];
    showDetail();
  } catch (error) {
    trouble(error.message);
  }
}

function showPicture(possible) {
  $("picture").hidden = !possible;
  $("no-picture").hidden = possible;
}

// states tells how far the image is. Only what came after its last release counts, if the image was claimed since.
function states(steps, final) {
  let from = 0;
  let released = false;
  steps.forEach((step, n) => {
    if (released && step.step === "claim") [from, released] = [n, false];
    if (step.step === "release") released = true;
  });
  const state = {};
  for (const step of steps.slice(from).sort((a, b) => new Date(a.time) - new Date(b.time))) {
    if (step.service === "gateway") state.recognize = step.charged || /recognized|rejected/.test(step.outcome) ? "done" : "trouble";
    else if (step.caller === "presigned") state.recognize ??= "current";
    else if (step.status >= 200 && step.status < 300 || step.step === "look" && step.status === 404) state[step.step] = "done";
    else state[step.step] = "trouble";
  }
  if (state.write === "done") state.recognize = "done";
  const last = order.findLastIndex((step) => state[step]);
  return order.map((step, n) => {
    if (state[step]) return [step, state[step]];
    if (n < last || (final && steps.length > 0 && state.release === "done")) return [step, "skipped"];
    if (final && steps.length === 0) return [step, "done"];
    return [step, n === last + 1 && !final ? "current" : "waiting"];
  });
}

function showDetail() {
  $("chosen").hidden = !chosen;
  if (!chosen) return;
  $("detail-title").textContent = chosen;
  $("picture").alt = say("pictureOf")(chosen);
  $("no-picture").textContent = say("noPicture");
  const steps = [...(detail?.steps || []), ...live];
  const result = detail?.document;
  const final = Boolean(result) && !result.error?.retryable;
  $("steps").replaceChildren(...states(steps, final).map(([step, state]) => {
    const item = element("li", { className: state }, element("b", { textContent: say(step) }), element("small", { textContent: say(state) }));
    if (state === "current") item.setAttribute("aria-current", "step");
    return item;
  }));
  showCard(result);
  $("cost").textContent = say("cost")(detail?.calls ?? 0, detail?.charged ?? 0, steps.filter((step) => step.step !== "upload").length) +
    (result?.ocr?.possibleExtraCharges ? say("extra")(result.ocr.possibleExtraCharges) : "");
  $("requests").replaceChildren(...steps.map((step) => element("tr", {},
    element("td", { textContent: new Date(step.time).toLocaleTimeString(lang, { hour12: false }) }),
    element("td", { textContent: say(step.step) }),
    element("td", { textContent: `${step.service.toUpperCase()} ${step.operation}${step.caller === "presigned" ? " (URL)" : ""}` }),
    element("td", { textContent: step.service === "gateway" ? step.outcome + (step.charged ? `, ${say("charged")}` : "") : step.status || say("noAnswer") }),
    element("td", { className: "number", textContent: step.durationMs ? step.durationMs.toFixed(1) : "" }))));
  $("document").textContent = result ? JSON.stringify(result, null, 2) : "";
}

const checks = { sex: ["sex"], birthDate: ["birthDate"], idNumber: ["checkDigit", "region"] };

function check(field, result) {
  const value = result.card[field];
  if (!value) return ["warn", say("notRead")];
  if (!checks[field]) return ["good", say("read")];
  const made = checks[field].map((name) => result.validation?.[name]).filter((passed) => passed !== undefined);
  if (made.includes(false)) return ["bad", say(field === "idNumber" ? "badId" : "bad")];
  return made.length ? ["good", say("ok")] : ["warn", say("unchecked")];
}

function showCard(result) {
  const verdict = $("verdict");
  verdict.className = result ? result.status : "pending";
  $("card").replaceChildren();
  if (!result) {
    verdict.textContent = say("pending");
    return;
  }
  if (!result.card) {
    const hint = say("hints")[result.error?.code];
    verdict.replaceChildren(element("b", { textContent: `${say(result.status)}: ${result.error?.code}` }),
      element("span", { textContent: result.error?.message || "" }));
    if (hint) verdict.append(element("span", { textContent: hint }));
    return;
  }
  verdict.replaceChildren(element("b", { textContent: say(result.validation?.valid ? "valid" : "invalid") }));
  for (const field of ["name", "sex", "ethnicity", "birthDate", "address", "idNumber"]) {
    const [kind, text] = check(field, result);
    const value = element("dd", {}, element("span", { className: "value", textContent: result.card[field] || "–" }));
    if (field === "idNumber" && result.card[field]) {
      const button = element("button", { type: "button", textContent: say(revealed ? "conceal" : "reveal") });
      button.id = "reveal";
      button.addEventListener("click", async () => {
        revealed = !revealed;
        await refresh();
        $("reveal")?.focus();
      });
      value.append(button);
    }
    value.append(element("span", { className: `check ${kind}`, textContent: text }));
    $("card").append(element("dt", { textContent: say(field) }), value);
  }
}

// Uploads.

async function upload(files) {
  trouble("");
  let first = true;
  for (const file of files) {
    try {
      const { key } = await ask(`/console/images?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file });
      told.set(key, "pending");
      await load();
      if (first) await choose(key, false);
      first = false;
    } catch (error) {
      trouble(say("cannotUpload")(file.name, error.message));
    }
  }
}

$("files").addEventListener("change", async (event) => {
  const files = [...event.target.files];
  event.target.value = ""; // so that the same file can be chosen again
  await upload(files);
});
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    $("drop").classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) $("drop").classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  upload([...event.dataTransfer.files]);
});

// What happens.

const source = new EventSource("/console/steps");
source.addEventListener("open", () => {
  connected = true;
  showConnection();
  load();
  if (chosen) refresh();
});
source.addEventListener("error", () => {
  connected = false;
  showConnection();
});
source.addEventListener("step", (event) => {
  const step = JSON.parse(event.data);
  if (step.key === chosen) {
    live.push(step);
    showDetail();
    if (step.step === "write" || step.step === "release" || step.service === "gateway") refresh();
  }
  if (step.step === "claim" || step.step === "write" || step.step === "upload") load();
});

$("filter").addEventListener("change", showTable);
$("language").addEventListener("click", () => {
  lang = say("otherLang");
  localStorage.setItem("lang", lang);
  translate();
});
$("picture").addEventListener("error", () => showPicture(false));
translate();
