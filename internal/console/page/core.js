// What the parts of the page share: the language, elements, requests, messages, and the state in the address.
import { words } from "./words.js";

export const $ = (id) => document.getElementById(id);

/** What the server told about itself, see getAbout. */
export const about = {};

let lang = localStorage.getItem("lang") || document.documentElement.lang;
if (!words[lang]) lang = "en";
export const language = () => lang;
export const say = (word, ...values) => {
  const text = words[lang][word];
  if (typeof text === "function") return text(...values);
  return text ?? word;
};
export function switchLanguage() {
  lang = say("otherLang");
  localStorage.setItem("lang", lang);
}
/** remedy says what to do about an error code or a state, if there is something. */
export const remedy = (cause) => about.remedies?.[cause]?.[lang] ?? "";

export function element(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined) continue;
    if (key === "on") for (const [event, handle] of Object.entries(value)) node.addEventListener(event, handle);
    else if (key in node && key !== "list") node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export const button = (word, click, properties = {}) =>
  element("button", { type: "button", textContent: say(word), on: { click }, ...properties });

/** translate fills in all words that stand in the page itself. */
export function translate() {
  document.documentElement.lang = lang;
  for (const node of document.querySelectorAll("[data-word]")) node.textContent = say(node.dataset.word);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", say(node.dataset.label));
  for (const node of document.querySelectorAll("[data-placeholder]")) node.placeholder = say(node.dataset.placeholder);
}

/** Problem is a request that failed, in the page's language. */
export class Problem extends Error {
  constructor(code, text) {
    const known = words[lang].problems[code];
    super(known ?? (lang === "en" && text ? text : say("problem", code)));
    this.code = code;
  }
}

export async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Problem("Offline");
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(body.code ?? `HTTP ${response.status}`, body.error);
  return body;
}
export const post = (path, body) => ask(path, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });

/** tell shows a message until somebody closes it. The same one is not shown twice. */
export function tell(text, kind = "bad") {
  for (const shown of $("messages").children) if (shown.dataset.text === text) return;
  const item = element("div", { className: kind, role: kind === "bad" ? "alert" : "status" }, element("span", { textContent: text }));
  item.dataset.text = text;
  item.append(element("button", { type: "button", textContent: "×", className: "close", "aria-label": say("closeMessage"), on: { click: () => item.remove() } }));
  $("messages").append(item);
}

/** attempt does something and shows what went wrong. */
export async function attempt(what) {
  try {
    return await what();
  } catch (error) {
    tell(error.message);
    if (!(error instanceof Problem)) throw error;
  }
}

export const time = (text) => new Date(text).toLocaleTimeString(lang, { hour12: false });
export const moment = (text) => new Date(text).toLocaleString(lang, { dateStyle: "short", timeStyle: "short", hour12: false });
export const count = (n) => n.toLocaleString(lang);

// The state that a reload, a link and the back button keep. What somebody searches for is not in it.
const fields = { view: "", filter: "", code: "", sort: "uploaded", page: "1", image: "", review: "" };
export const state = { ...fields };
const listeners = [];
export const onState = (listener) => listeners.push(listener);

export function address(changes) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...state, ...changes })) if (value && value !== fields[name]) query.set(name, value);
  return `${location.pathname}${query.size ? `?${query}` : ""}`;
}
export function readAddress() {
  const query = new URLSearchParams(location.search);
  for (const name of Object.keys(fields)) state[name] = query.get(name) ?? fields[name];
}
/** go changes the state, and shows it. */
export function go(changes, replace = false) {
  const before = { ...state };
  const to = address(changes);
  Object.assign(state, changes);
  if (to !== location.pathname + location.search) history[replace ? "replaceState" : "pushState"](null, "", to);
  for (const listener of listeners) listener(before);
}
window.addEventListener("popstate", () => {
  const before = { ...state };
  readAddress();
  for (const listener of listeners) listener(before);
});

/** badge is a state as a colored word. */
export const badge = (row) => element("span", { className: `badge ${row.state}`, textContent: say("state")[row.state] + (row.reviewed ? ` ✓` : ""),
  title: row.reviewed ? say("reviewed") : undefined });

/** confirmation asks in a dialog, and resolves to whether somebody agreed. */
export function confirmation(title, lines, agree) {
  const dialog = $("dialog");
  return new Promise((resolve) => {
    dialog.replaceChildren(
      element("h2", { id: "dialog-title", textContent: title }),
      ...lines.map((line) => element("p", { textContent: line })),
      element("form", { method: "dialog", className: "bar" },
        element("button", { value: "", textContent: say("cancel"), autofocus: true }), element("button", { value: "yes", className: "primary", textContent: agree })));
    dialog.returnValue = "";
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
    dialog.showModal();
  });
}
