// The console: puts the parts of the page together, and tells them what happens.
import { $, about, ask, attempt, go, onState, readAddress, say, state, switchLanguage, tell, translate } from "./core.js";
import * as detail from "./detail.js";
import * as list from "./list.js";
import * as numbers from "./numbers.js";
import * as sandbox from "./sandbox.js";
import * as upload from "./upload.js";
import * as work from "./work.js";

let connected = false;
function showConnection() {
  $("connection").textContent = say(connected ? "connected" : "lost");
  $("connection").className = connected ? "good" : "bad";
}

const view = () => state.view || "images";

function showView() {
  for (const name of ["images", "numbers", "work", "sandbox"]) $(`view-${name}`).hidden = view() !== name;
  for (const link of $("views").children) {
    if (link.dataset.view === view()) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function showAll() {
  translate();
  $("language").textContent = say("other");
  $("language").lang = say("otherLang");
  $("language").setAttribute("aria-label", say("switchTo"));
  $("where").textContent = about.sandbox ? say("sandbox") : [about.bucket, about.prefix].filter(Boolean).join("/");
  showConnection();
  showView();
  list.show();
  detail.show();
  for (const part of [numbers, work, sandbox]) part.load();
}

// What changes often is asked for once.
let due;
function changed() {
  clearTimeout(due);
  due = setTimeout(() => {
    list.load();
    numbers.load();
    work.load();
    sandbox.load();
    if (state.image) detail.refresh();
  }, 100);
}

readAddress();
await attempt(async () => Object.assign(about, await ask("api/about")));
$("views").querySelector("[data-view=sandbox]").hidden = !about.sandbox;
$("views").addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go({ view: link.dataset.view === "images" ? "" : link.dataset.view });
});
onState((before) => {
  if (before.view === state.view) return;
  showView();
  for (const part of [numbers, work, sandbox]) part.load();
});
$("language").addEventListener("click", () => {
  switchLanguage();
  showAll();
});
list.start();
numbers.start();
detail.start();
upload.start();
showAll();
list.load();
if (state.image) detail.refresh();

const source = new EventSource("api/events");
source.addEventListener("open", () => {
  connected = true;
  showConnection();
  changed();
});
source.addEventListener("error", () => {
  connected = false;
  showConnection();
});
source.addEventListener("step", (event) => detail.onStep(JSON.parse(event.data)));
source.addEventListener("changed", changed);
window.addEventListener("unhandledrejection", (event) => tell(event.reason?.message ?? String(event.reason)));
